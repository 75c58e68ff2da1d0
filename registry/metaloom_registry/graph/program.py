"""A graph made ready to run: a flat list of bound operations over numbered slots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from metaloom_registry.graph.document import Body, Graph, Node, leaves
from metaloom_registry.graph.layers import Lstm, find_layers
from metaloom_registry.graph.ops import TABLE
from metaloom_registry.graph.rules import Mode, Ref, Rule

Step: TypeAlias = tuple[Callable[..., Any], tuple[int | None, ...], int, int, tuple[int, ...]]
"""function, input slots, first output slot, count of outputs, slots to empty afterwards."""


class Program:
    """The steps of a graph in one mode (training or not); immutable, and shared by copies.

    outputs: the slots of the outputs in order.
    updates: (position in the state, slot of the new value) of each buffer that changes.
    """

    def __init__(self, graph: Graph, *, training: bool) -> None:
        self.made_of = graph, training
        self.outputs = tuple(leaves(graph.outputs))
        self.updates = tuple(
            (update.state, update.value)
            for update in graph.updates
            if training or not update.only_in_training
        )
        first = len(graph.leaves) + len(graph.state)
        kept = {*self.outputs, *(value for _, value in self.updates)}
        self.steps, self.slots = _steps(graph.nodes, first, kept, training=training)

    def run(self, values: list[Any]) -> None:
        """values: inputs, then state; the list is filled with what outputs and updates name."""
        values.extend([None] * (self.slots - len(values)))
        _execute(self.steps, values)

    def __reduce__(self) -> tuple[Any, ...]:
        graph, training = self.made_of
        return partial(Program, training=training), (graph,)

    def __deepcopy__(self, memo: Mapping[int, Any]) -> Program:
        return self


def _uses(node: Node) -> list[int]:
    return [i for i in node.inputs if i is not None] + list(node.sizes)


def _execute(steps: tuple[Step, ...], values: list[Any]) -> None:
    for function, inputs, start, count, spent in steps:
        result = function(*[None if i is None else values[i] for i in inputs])
        if count == 1:
            values[start] = result
        else:
            values[start : start + count] = result
        for index in spent:
            values[index] = None


def _steps(
    nodes: Sequence[Node], first: int, kept: set[int], *, training: bool
) -> tuple[tuple[Step, ...], int]:
    """The steps that the kept values depend on, and the count of slots; `first` is a node's."""
    needed = _needed(nodes, first, kept, training=training)
    layers = find_layers(needed, kept, _uses)
    within = {before for before, _ in layers.values()}
    taken = [
        layers[position][1].inputs if position in layers else (*node.inputs, *node.sizes)
        for position, (node, _) in enumerate(needed)
    ]
    last: dict[int, int] = {}
    for position, inputs in enumerate(taken):
        for index in inputs:
            if index is not None and position not in within:
                last[index] = position
    spent: dict[int, list[int]] = {}
    for index, position in last.items():
        if index not in kept:
            spent.setdefault(position, []).append(index)
    steps = []
    for position, (node, start) in enumerate(needed):
        if position not in within:
            function = _function(node, training=training)
            if position in layers:
                function = Lstm(function, node.arguments)
            count = TABLE[node.op].gives(node.arguments)
            emptied = tuple(spent.get(position, ()))
            steps.append((function, taken[position], start, count, emptied))
    return tuple(steps), max((start + count for _, _, start, count, _ in steps), default=first)


def _needed(
    nodes: Sequence[Node], first: int, kept: set[int], *, training: bool
) -> list[tuple[Node, int]]:
    """The nodes that the kept values depend on, each with its first slot."""
    placed: list[tuple[Node, int]] = []
    start = first
    for node in nodes:
        placed.append((node, start))
        start += TABLE[node.op].gives(node.arguments)
    wanted = set(kept)
    found = []
    for node, start in reversed(placed):
        slots = range(start, start + TABLE[node.op].gives(node.arguments))
        if (training or not node.only_in_training) and not wanted.isdisjoint(slots):
            wanted.update(_uses(node))
            found.append((node, start))
    return found[::-1]


def _function(node: Node, *, training: bool) -> Callable[..., Any]:
    """The operation of a node with its arguments bound."""
    op = TABLE[node.op]
    arguments = {
        name: _bound(value, op.arguments[name], training=training)
        for name, value in node.arguments.items()
    }
    if node.sizes:
        return Late(op.run, len(node.inputs), arguments)
    return partial(op.run, **arguments) if arguments else op.run


def _bound(value: Any, rule: Rule, *, training: bool) -> Any:
    """An argument as its operation takes it: the mode told, the body of a loop made ready."""
    if value == "mode" and isinstance(rule, Mode):
        return training
    return Loop(value, training=training) if isinstance(value, Body) else value


class Loop:
    """The body of a loop made ready to run: what comes into a step -> what goes out of it."""

    def __init__(self, body: Body, *, training: bool) -> None:
        self.outputs = body.outputs
        self.steps, self.slots = _steps(
            body.nodes, body.inputs, {*range(body.inputs), *body.outputs}, training=training
        )

    def __call__(self, values: list[Any]) -> list[Any]:
        values.extend([None] * (self.slots - len(values)))
        _execute(self.steps, values)
        return [values[index] for index in self.outputs]


class Late:
    """An operation some of whose arguments are sizes known only when it runs."""

    def __init__(self, run: Callable[..., Any], tensors: int, arguments: Mapping[str, Any]) -> None:
        self.run = run
        self.tensors = tensors
        self.arguments = arguments

    def __call__(self, *values: Any) -> Any:
        sizes = iter(values[self.tensors :])
        return self.run(
            *values[: self.tensors],
            **{name: _filled(value, sizes) for name, value in self.arguments.items()},
        )


def _filled(value: Any, sizes: Any) -> Any:
    if isinstance(value, Ref):
        return next(sizes)
    if isinstance(value, tuple):
        return tuple([next(sizes) if isinstance(item, Ref) else item for item in value])
    return value
