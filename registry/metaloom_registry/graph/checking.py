"""Checking a graph without computing it: shapes through every node, and what it will cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaloom_registry.errors import Refused
from metaloom_registry.graph.document import BATCH, Graph, Node, leaves
from metaloom_registry.graph.ops import TABLE
from metaloom_registry.graph.rules import Ref
from metaloom_registry.graph.values import MAX_INTEGER, MAX_RANK, Spec, Value


@dataclass(frozen=True, slots=True)
class Budget:
    """What a graph may cost at batch 1: bytes alive at once, and floating point operations."""

    bytes: int = 4 << 30
    flops: int = 10**13


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
    small, large = sample_sizes(graph)
    values, cost = infer(graph, small, budget or Budget())
    if large != small:
        others, _ = infer(graph, large, None)
        for one, other in zip(leaves(graph.outputs), leaves(graph.outputs), strict=True):
            a, b = values[one], others[other]
            if isinstance(a, Spec) and isinstance(b, Spec) and a.rank != b.rank:
                raise Refused(f"outputs: a rank that changes with the sizes: {a} and {b}")
    return cost


def output_specs(graph: Graph, sizes: Mapping[str, int]) -> tuple[Spec, ...]:
    """Dtype and shape of each output at the given sizes of the open dimensions."""
    values, _ = infer(graph, sizes, None)
    found = [values[index] for index in leaves(graph.outputs)]
    return tuple(value for value in found if isinstance(value, Spec))


def infer(
    graph: Graph, sizes: Mapping[str, int], budget: Budget | None
) -> tuple[list[Value], Cost]:
    """Dtype and shape of every value, and the cost. Raises Refused."""
    values: list[Value] = [
        Spec(leaf.dtype, tuple(s if isinstance(s, int) else sizes[s] for s in leaf.shape))
        for leaf in graph.leaves
    ]
    own: dict[str, Spec] = {}
    for state in graph.state:
        spec = own[state.shared_with] if state.shared_with else Spec(state.dtype, state.shape)
        own[state.name] = spec
        values.append(spec)
    first = len(values)
    last = _last_uses(graph)
    flops = 0
    alive = peak = sum(_bytes(value) for value in values[: first - len(graph.state)])
    total = 0
    for position, node in enumerate(graph.nodes):
        found = _infer_node(node, position, values)
        values.extend(found)
        op = TABLE[node.op]
        inputs = [None if i is None else values[i] for i in node.inputs]
        flops += op.count(inputs, found, node.arguments)
        made = sum(_bytes(value) for value in found)
        total += made
        alive += made
        scratch = op.scratch(inputs, found, node.arguments) if op.scratch else 0
        peak = max(peak, alive + scratch)
        alive -= sum(_bytes(values[index]) for index in last.get(position, ()))
        if budget and (peak > budget.bytes or flops > budget.flops):
            raise Refused(
                f"nodes[{position}] ({node.op}): by here a pass at {dict(sizes)} takes {peak} "
                f"bytes and {flops} operations; the budget is {budget.bytes} and {budget.flops}"
            )
    _check_ends(graph, values)
    return values, Cost(flops, peak, total)


def _infer_node(node: Node, position: int, values: Sequence[Value]) -> tuple[Value, ...]:
    op = TABLE[node.op]
    try:
        inputs = []
        for index in node.inputs:
            value = None if index is None else values[index]
            if isinstance(value, int):
                raise Refused(f"value {index} is a size where a tensor is wanted")
            inputs.append(value)
        found = op.specs(inputs, resolved(node, values))
        for value in found:
            if isinstance(value, Spec) and not (
                value.rank <= MAX_RANK and value.elements <= MAX_INTEGER
            ):
                raise Refused(f"{value} is beyond rank {MAX_RANK} or 2^40 elements")
        return found
    except Refused as error:
        raise Refused(f"nodes[{position}] ({node.op}): {error}") from None


def resolved(node: Node, values: Sequence[Any]) -> Mapping[str, Any]:
    """The arguments with each reference replaced by the integer it names. Raises Refused."""
    if not node.sizes:
        return node.arguments
    return {
        name: tuple(_resolve(item, values) for item in value)
        if isinstance(value, tuple)
        else _resolve(value, values)
        for name, value in node.arguments.items()
    }


def _resolve(value: Any, values: Sequence[Any]) -> Any:
    if not isinstance(value, Ref):
        return value
    found = values[value.index]
    if not isinstance(found, int):
        raise Refused(f"value {value.index} is a tensor where a size is wanted")
    return found


def _last_uses(graph: Graph) -> dict[int, list[int]]:
    """node position -> the values that no later node and no end of the graph uses."""
    first = len(graph.leaves) + len(graph.state)
    kept = {*leaves(graph.outputs), *(update.value for update in graph.updates)}
    last: dict[int, int] = {}
    known = first
    for position, node in enumerate(graph.nodes):
        for index in (*node.inputs, *node.sizes):
            if index is not None:
                last[index] = position
        for index in range(known, known + len(TABLE[node.op].outputs)):
            last[index] = position
        known += len(TABLE[node.op].outputs)
    found: dict[int, list[int]] = {}
    for index, position in last.items():
        owned = len(graph.leaves) <= index < first
        if index not in kept and not owned:
            found.setdefault(position, []).append(index)
    return found


def _check_ends(graph: Graph, values: Sequence[Value]) -> None:
    for index in leaves(graph.outputs):
        if isinstance(values[index], int):
            raise Refused(f"outputs: value {index} is a size where a tensor is wanted")
    for update in graph.updates:
        state, value = graph.state[update.state], values[update.value]
        wanted = Spec(state.dtype, state.shape)
        if value != wanted:
            raise Refused(f"updates: {state.name} is {wanted}, its new value {value}")


def _bytes(value: Value) -> int:
    return value.bytes if isinstance(value, Spec) else 0
