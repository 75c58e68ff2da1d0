"""A composition of graphs as one graph: `g(f(x), y)` without a graph inside a graph.

The nodes of the parts are laid one after the other, values counted anew; the state of the part at
position p keeps its names behind `p.`.  A part called twice is there once, with one state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import lcm
from typing import Any, TypeAlias, TypeVar

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.graph.checking import infer, sample_sizes
from metaloom_registry.graph.document import (
    BATCH,
    Dimension,
    Graph,
    Leaf,
    Node,
    State,
    Tree,
    Update,
    leaves,
)
from metaloom_registry.graph.module import GraphModule, evaluate, flatten
from metaloom_registry.graph.ops import TABLE
from metaloom_registry.graph.program import Program
from metaloom_registry.graph.rules import Mode, Ref
from metaloom_registry.graph.values import Spec


@dataclass(frozen=True, slots=True)
class Call:
    """The part at a position on arguments: other calls, or inputs of the whole by number."""

    part: int
    arguments: tuple[Argument, ...]


Argument: TypeAlias = "Call | int"
T = TypeVar("T")
U = TypeVar("U")


def fuse(call: Call, parts: Sequence[Graph]) -> Graph:
    """One graph that computes the call.

    Inputs are numbered 0, 1, ... without a gap; one that several calls take is as narrow as all of
    them ask.  Raises TypeMismatch where what a part gives is not what the next one takes.
    """
    draft = _Draft(parts)
    draft.declare(call)
    outputs = draft.write(call)
    graph = Graph(
        tuple(draft.dimensions.values()),
        tuple(draft.inputs[number] for number in range(len(draft.inputs))),
        tuple(draft.state),
        tuple(draft.nodes),
        outputs,
        tuple(draft.updates.values()),
        max(part.opset for part in parts),
    )
    draft.check(graph)
    return graph


def settled(graph: Graph, *, training: bool) -> Graph:
    """The graph as it is in one mode, for every mode: what depends on the mode is decided."""
    nodes = []
    for node in graph.nodes:
        rules = TABLE[node.op].arguments
        arguments = {
            name: training if value == "mode" and isinstance(rules[name], Mode) else value
            for name, value in node.arguments.items()
        }
        skipped = node.only_in_training and not training
        nodes.append(replace(node, arguments=arguments, only_in_training=skipped))
    updates = tuple(
        replace(update, only_in_training=False)
        for update in graph.updates
        if training or not update.only_in_training
    )
    return replace(graph, nodes=tuple(nodes), updates=updates)


class Fused:
    """A call of loaded graphs, run as one graph: each part in its own mode, with its own state.

    Raises TypeMismatch where the parts do not fit, once at the first call in each mode.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self._made: dict[tuple[tuple[int, bool], ...], tuple[Graph, Program, list[Graph]]] = {}

    def __call__(self, parts: Sequence[GraphModule], inputs: Sequence[Any]) -> Any:
        """The outputs; inputs: one tensor, or tree of tensors, for each input of the call."""
        key = tuple((id(part.graph.value), part.training) for part in parts)
        graph, program, _ = self._made.get(key) or self._make(key, parts)
        values = flatten(graph.inputs, inputs)
        for part in parts:
            values += part.state_values()
        return evaluate(graph, program, values)

    def _make(
        self, key: tuple[tuple[int, bool], ...], parts: Sequence[GraphModule]
    ) -> tuple[Graph, Program, list[Graph]]:
        own = [part.graph.value for part in parts]  # kept, so that no other takes their place
        modes = zip(own, parts, strict=True)
        whole = fuse(self.call, [settled(graph, training=part.training) for graph, part in modes])
        self._made[key] = whole, Program(whole, training=False), own
        return self._made[key]


class _Draft:
    """A whole being written from its parts."""

    def __init__(self, parts: Sequence[Graph]) -> None:
        self.parts = parts
        self.dimensions: dict[str, Dimension] = {BATCH: Dimension(BATCH)}
        self.renamed: list[dict[str, str]] = [{BATCH: BATCH} for _ in parts]
        self.inputs: dict[int, Tree[Leaf]] = {}
        self.state: list[State] = []
        self.nodes: list[Node] = []
        self.updates: dict[int, Update] = {}
        self.owned: list[list[int]] = []
        self.values = 0
        self.joints: list[tuple[int, Tree[int], Tree[Leaf], int]] = []
        self.slots: dict[int, Tree[int]] = {}
        self.training: set[int | None] = set()
        self.first_state = 0

    def declare(self, call: Call) -> None:
        """Count the inputs, then the state of every part."""
        for graph in self.parts:
            batch = next((d for d in graph.dimensions if d.name == BATCH), Dimension(BATCH))
            self.dimensions[BATCH] = _both(self.dimensions[BATCH], batch)
        self._declare_inputs(call)
        for number in range(len(self.inputs)):
            self.slots[number] = self._counted(self.inputs[number])
        self.first_state = self.values
        for position, graph in enumerate(self.parts):
            self.owned.append([self.values + i for i in range(len(graph.state))])
            self.values += len(graph.state)
            for state in graph.state:
                shared = f"{position}.{state.shared_with}" if state.shared_with else ""
                named = replace(state, name=f"{position}.{state.name}", shared_with=shared)
                self.state.append(named)

    def _declare_inputs(self, call: Call) -> None:
        graph = self.parts[call.part]
        if len(call.arguments) != len(graph.inputs):
            raise TypeMismatch(
                f"part {call.part} takes {len(graph.inputs)} inputs; {len(call.arguments)} given"
            )
        for argument, tree in zip(call.arguments, graph.inputs, strict=True):
            if isinstance(argument, Call):
                self._declare_inputs(argument)
            elif argument in self.inputs:
                self.inputs[argument] = self._meet(self.inputs[argument], tree, call.part)
            else:
                self.inputs[argument] = self._named(tree, call.part)

    def _named(self, tree: Tree[Leaf], part: int) -> Tree[Leaf]:
        """An input of a part with the names that its dimensions have in the whole."""
        return _mapped(
            tree,
            lambda leaf: replace(
                leaf,
                shape=tuple(s if isinstance(s, int) else self._name(s, part) for s in leaf.shape),
            ),
        )

    def _name(self, dimension: str, part: int) -> str:
        known = self.renamed[part]
        if dimension not in known:
            name = dimension if dimension not in self.dimensions else f"{dimension[:24]}_{part}"
            own = next(d for d in self.parts[part].dimensions if d.name == dimension)
            known[dimension] = name
            self.dimensions[name] = replace(own, name=name)
        return known[dimension]

    def _meet(self, one: Tree[Leaf], other: Tree[Leaf], part: int) -> Tree[Leaf]:
        """What two parts take as the same input: a fixed size wins over an open one."""
        theirs = iter(list(leaves(other)))

        def met(leaf: Leaf) -> Leaf:
            second = next(theirs, None)
            if second is None or second.dtype != leaf.dtype or len(second.shape) != len(leaf.shape):
                raise TypeMismatch(f"part {part} takes {second} where another takes {leaf}")
            sizes = zip(leaf.shape, second.shape, strict=True)
            shape = tuple(b if isinstance(a, str) and a != BATCH else a for a, b in sizes)
            return replace(leaf, shape=tuple(self._open(size, part) for size in shape))

        return _mapped(one, met)

    def _open(self, size: int | str, part: int) -> int | str:
        return size if isinstance(size, int) or size in self.dimensions else self._name(size, part)

    def _counted(self, tree: Tree[Leaf]) -> Tree[int]:
        def count(_: Leaf) -> int:
            self.values += 1
            return self.values - 1

        return _mapped(tree, count)

    def write(self, call: Call) -> Tree[int]:
        """Lay down the nodes of a call, those of its arguments first; the values it gives."""
        graph = self.parts[call.part]
        values: list[int] = []
        for argument, tree in zip(call.arguments, graph.inputs, strict=True):
            given = self.write(argument) if isinstance(argument, Call) else self.slots[argument]
            self.joints.append((call.part, given, tree, len(self.nodes)))
            values += leaves(given)
        if len(values) != len(graph.leaves):
            raise TypeMismatch(
                f"part {call.part} takes {len(graph.leaves)} tensors; {len(values)} come in"
            )
        owned = self.owned[call.part]
        values += [self._current(slot) for slot in owned]
        for node in graph.nodes:
            moved = _moved(node, values)
            if not (
                node.only_in_training or self.training.isdisjoint((*moved.inputs, *moved.sizes))
            ):
                raise TypeMismatch(
                    f"part {call.part} is called twice, and its second call takes at {node.op} "
                    "what its first one gives in training only; settle the mode first"
                )
            self.nodes.append(moved)
            count = TABLE[node.op].gives(node.arguments)
            made = range(self.values, self.values + count)
            if node.only_in_training:
                self.training.update(made)
            values += made
            self.values += count
        for update in graph.updates:
            slot = owned[update.state]
            state, value = slot - self.first_state, values[update.value]
            self.updates[slot] = Update(state, value, update.only_in_training)
        return _mapped(graph.outputs, lambda index: values[index])

    def _current(self, slot: int) -> int:
        """What a tensor of the state is by now: a part called twice goes on from its first call."""
        return self.updates[slot].value if slot in self.updates else slot

    def check(self, graph: Graph) -> None:
        """Raise TypeMismatch where two parts do not fit at a joint."""
        for sizes in sample_sizes(graph):
            for part, given, tree, count in self.joints:
                before = replace(graph, nodes=graph.nodes[:count], outputs=given, updates=())
                values, _ = infer(before, sizes, None)
                for index, leaf in zip(leaves(given), leaves(tree), strict=True):
                    spec = values[index]
                    if not isinstance(spec, Spec) or not _fits(spec, leaf):
                        raise TypeMismatch(
                            f"part {part} takes {leaf.dtype}"
                            f"[{', '.join(map(str, leaf.shape))}]; {spec} comes in"
                        )


def _fits(spec: Spec, leaf: Leaf) -> bool:
    if spec.dtype != leaf.dtype or spec.rank != len(leaf.shape):
        return False
    sizes = zip(spec.shape, leaf.shape, strict=True)
    return all(size == wanted or isinstance(wanted, str) for size, wanted in sizes)


def _moved(node: Node, values: Sequence[int]) -> Node:
    """A node that takes its values where they are now."""

    def moved(value: Any) -> Any:
        if isinstance(value, Ref):
            return Ref(values[value.index])
        return tuple(map(moved, value)) if isinstance(value, tuple) else value

    inputs = tuple(None if index is None else values[index] for index in node.inputs)
    arguments: Mapping[str, Any] = {name: moved(v) for name, v in node.arguments.items()}
    return replace(node, inputs=inputs, arguments=arguments)


def _both(one: Dimension, other: Dimension) -> Dimension:
    """The sizes that two dimensions allow."""
    return Dimension(
        one.name,
        max(one.low, other.low),
        min(one.high, other.high),
        lcm(one.multiple, other.multiple),
    )


def _mapped(tree: Tree[T], function: Callable[[T], U]) -> Tree[U]:
    """A tree of the same form, its leaves replaced in their order."""
    if isinstance(tree, tuple):
        return tuple(_mapped(item, function) for item in tree)
    if isinstance(tree, dict):
        return {key: _mapped(tree[key], function) for key in sorted(tree)}
    return function(tree)
