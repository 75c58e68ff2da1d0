"""Checking a graph without computing it: shapes through every node, and what it will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from metaloom_registry.errors import Refused
from metaloom_registry.graph.document import BATCH, Graph, Node, leaves
from metaloom_registry.graph.inference import bytes_of, last_uses, walk
from metaloom_registry.graph.ops import TABLE
from metaloom_registry.graph.values import Spec, Value


@dataclass(frozen=True, slots=True)
class Budget:
    """What a graph may cost at batch 1: bytes alive at once, floating point operations, calls.

    calls: of operations, those within loops at every step.
    """

    bytes: int = 4 << 30
    flops: int = 10**13
    calls: int = 1 << 23


@dataclass(frozen=True, slots=True)
class Cost:
    """What one forward pass costs.

    flops: floating point operations, 2 per multiply-add.
    peak_bytes: the most bytes of inputs and activations alive at once without gradients.
    activation_bytes: the bytes of all activations together, as training keeps them.
    """

    flops: int
    peak_bytes: int
    activation_bytes: int


def sample_sizes(graph: Graph) -> tuple[dict[str, int], dict[str, int]]:
    """Two choices for the open dimensions: the smallest of each, and a larger one of each."""
    small, large = {}, {}
    for i, dimension in enumerate(graph.dimensions):
        m = dimension.multiple
        first = -(-dimension.low // m) * m
        step = 2 if dimension.name == BATCH else 7 + i
        small[dimension.name] = first
        large[dimension.name] = min(first + step * m, dimension.high // m * m)
    return small, large


def check_graph(graph: Graph, budget: Budget | None = None) -> Cost:
    """Infer every shape at two choices of the open dimensions; the cost of the smaller one.

    Raises Refused, naming node and op, where shapes or dtypes do not fit, and where the smaller
    choice (batch 1) costs more than the budget.  No memory is touched.
    """
    allowed = budget or Budget()
    return graph.once(("cost", allowed), lambda: _checked(graph, allowed))


def _checked(graph: Graph, budget: Budget) -> Cost:
    small, large = sample_sizes(graph)
    values, cost = infer(graph, small, budget)
    if large != small:
        others, _ = infer(graph, large, None)
        for one, other in zip(leaves(graph.outputs), leaves(graph.outputs), strict=True):
            a, b = values[one], others[other]
            if isinstance(a, Spec) and isinstance(b, Spec) and a.rank != b.rank:
                raise Refused(f"outputs: a rank that changes with the sizes: {a} and {b}")
    return cost


def output_specs(graph: Graph, sizes: Mapping[str, int]) -> tuple[Spec, ...]:
    """Dtype and shape of each output at the given sizes of the open dimensions."""
    return inferred(graph, sizes)[0]


def inferred(graph: Graph, sizes: Mapping[str, int]) -> tuple[tuple[Spec, ...], Cost]:
    """Dtype and shape of each output, and the cost, inferred once for the same sizes."""

    def find() -> tuple[tuple[Spec, ...], Cost]:
        values, cost = infer(graph, sizes, None)
        found = [values[index] for index in leaves(graph.outputs)]
        return tuple(value for value in found if isinstance(value, Spec)), cost

    return graph.once(("inferred", *sorted(sizes.items())), find)


def infer(
    graph: Graph, sizes: Mapping[str, int], budget: Budget | None
) -> tuple[list[Value], Cost]:
    """Dtype and shape of every value, and the cost. Raises Refused."""
    values: list[Value] = [
        Spec(leaf.dtype, tuple(s if isinstance(s, int) else sizes[s] for s in leaf.shape))
        for leaf in graph.leaves
    ]
    alive = sum(map(bytes_of, values))
    own: dict[str, Spec] = {}
    for state in graph.state:
        spec = own[state.shared_with] if state.shared_with else Spec(state.dtype, state.shape)
        own[state.name] = spec
        values.append(spec)

    def watch(position: int, node: Node, peak: int, flops: int) -> None:
        if budget and (peak > budget.bytes or flops > budget.flops):
            raise Refused(
                f"nodes[{position}] ({node.op}): by here a pass at {dict(sizes)} takes {peak} "
                f"bytes and {flops} operations; the budget is {budget.bytes} and {budget.flops}"
            )

    first = len(values)
    kept = {*leaves(graph.outputs), *(update.value for update in graph.updates)}
    kept.update(range(len(graph.leaves), first))
    spent = last_uses(graph.nodes, first, kept, TABLE)
    walked = walk(graph.nodes, values, alive, spent, TABLE, watch)
    if budget and walked.calls > budget.calls:
        raise Refused(
            f"nodes: a pass at {dict(sizes)} makes {walked.calls} calls of operations; the budget "
            f"is {budget.calls}"
        )
    cost = Cost(walked.flops, walked.peak_bytes, walked.activation_bytes)
    _check_ends(graph, values)
    return values, cost


def _check_ends(graph: Graph, values: Sequence[Value]) -> None:
    for index in leaves(graph.outputs):
        if isinstance(values[index], int):
            raise Refused(f"outputs: value {index} is a size where a tensor is wanted")
    for update in graph.updates:
        state, value = graph.state[update.state], values[update.value]
        wanted = Spec(state.dtype, state.shape)
        if value != wanted:
            raise Refused(f"updates: {state.name} is {wanted}, its new value {value}")
