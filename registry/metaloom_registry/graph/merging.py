"""Two drafts of one module, in training and in eval mode, made into one graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from metaloom_registry.errors import Refused
from metaloom_registry.graph.document import (
    Dimension,
    Graph,
    Leaf,
    Node,
    State,
    Tree,
    Update,
    every_node,
)
from metaloom_registry.graph.draft import Draft, DraftNode, Handle, numbered
from metaloom_registry.graph.ops import TABLE
from metaloom_registry.graph.rules import Mode


def merge(
    training: Draft,
    evaluating: Draft,
    dimensions: Sequence[Dimension],
    inputs: tuple[Tree[Leaf], ...],
    state: Sequence[State],
) -> Graph:
    """The graph of both modes. Raises Refused where they differ in more than mode arguments."""
    main, side = _split(training)
    other, other_side = _split(evaluating)
    pairs = _Pairs(training, evaluating)
    for node, twin in zip(main, other, strict=False):
        pairs.match(node, twin)
    if len(main) != len(other):
        raise Refused(_differs(f"{len(main)} operations against {len(other)}"))
    if not pairs.equal(training.outputs, evaluating.outputs):
        raise Refused(_differs("the outputs"))
    always = _always(pairs, side, other_side)
    return _numbered(
        training, evaluating, set(map(id, side)), always, pairs, dimensions, inputs, state
    )


class _Pairs:
    """Which handle of the eval draft is which of the training draft, and the mode arguments."""

    def __init__(self, training: Draft, evaluating: Draft) -> None:
        self.twins: dict[Handle, Handle] = {}
        self.modes: dict[tuple[int, str], str] = {}
        for one, other in zip(training.inputs, evaluating.inputs, strict=True):
            self.twins[other] = one
        for name, handle in evaluating.state.items():
            if name in training.state:
                self.twins[handle] = training.state[name]

    def match(self, node: DraftNode, twin: DraftNode) -> None:
        if node.op != twin.op or not self.equal(node.inputs, twin.inputs):
            raise Refused(_differs(f"{node.op} against {twin.op}"))
        for name, value in node.arguments.items():
            if self.equal(value, twin.arguments[name]):
                continue
            if isinstance(TABLE[node.op].arguments[name], Mode) and value is True:
                self.modes[id(node), name] = "mode"
                continue
            if name == "p" and twin.arguments.get("train") is False:
                continue  # attention says "no dropout" by its probability
            if isinstance(value, int | float) and name == "value":
                raise Refused(
                    f"a number of {node.op} is {value} at one pass and {twin.arguments[name]} at "
                    "the next: it depends on training, is drawn by Python or counted outside of "
                    "buffers; use dropout, a buffer, or the same number always"
                )
            raise Refused(_differs(f"{name} of {node.op}: {value} against {twin.arguments[name]}"))
        self.twins.update(zip(twin.outputs, node.outputs, strict=True))

    def equal(self, one: Any, other: Any) -> bool:
        """Whether a value of the training draft is that of the eval draft."""
        if isinstance(other, Handle):
            return self.twins.get(other) is one
        if isinstance(one, tuple) and isinstance(other, tuple):
            return len(one) == len(other) and all(map(self.equal, one, other))
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(self.equal(one[k], other[k]) for k in one)
        return type(one) is type(other) and bool(one == other)


def _split(draft: Draft) -> tuple[list[DraftNode], list[DraftNode]]:
    """The nodes outputs depend on, and those only updates depend on; others are left out."""
    wanted = set(_handles(draft.outputs))
    main, rest = [], []
    for node in reversed(draft.nodes):
        if not wanted.isdisjoint(node.outputs):
            main.append(node)
            wanted.update(node.uses())
        else:
            rest.append(node)
    kept = set(draft.updates().values())
    side = []
    for node in rest:
        if not kept.isdisjoint(node.outputs):
            side.append(node)
            kept.update(node.uses())
    return main[::-1], side[::-1]


def _handles(tree: Any) -> list[Handle]:
    if isinstance(tree, Handle):
        return [tree]
    items = tree.values() if isinstance(tree, dict) else tree
    return [handle for item in items for handle in _handles(item)]


def _always(pairs: _Pairs, side: list[DraftNode], other: list[DraftNode]) -> bool:
    """Whether updates happen in both modes; Refused where only some do, or others in eval."""
    if not other:
        return False
    if len(side) != len(other):
        raise Refused(_differs("the updates of buffers"))
    for node, twin in zip(side, other, strict=True):
        pairs.match(node, twin)
    return True


def _differs(what: str) -> str:
    return (
        f"the module computes something else in training than in eval mode ({what}); only dropout "
        "and batch norm may differ: make it the same in both, or publish one mode"
    )


def _numbered(
    draft: Draft,
    evaluating: Draft,
    side: set[int],
    always: bool,
    pairs: _Pairs,
    dimensions: Sequence[Dimension],
    inputs: tuple[Tree[Leaf], ...],
    state: Sequence[State],
) -> Graph:
    numbers: dict[Handle, int] = {handle: i for i, handle in enumerate(draft.inputs)}
    first = len(draft.inputs)
    place: dict[str, int] = {}
    for position, entry in enumerate(state):
        place[entry.name] = place.get(entry.shared_with, position)
    for name, handle in draft.state.items():
        numbers[handle] = first + place[name]
    count = first + len(state)
    nodes = []
    main, rest = _split(draft)
    kept = {id(node) for node in (*main, *rest)}
    for node in draft.nodes:
        if id(node) not in kept:
            continue
        arguments = {
            name: pairs.modes.get((id(node), name), numbered(value, numbers))
            for name, value in node.arguments.items()
        }
        nodes.append(
            Node(
                node.op,
                tuple(None if handle is None else numbers[handle] for handle in node.inputs),
                arguments,
                only_in_training=id(node) in side and not always,
            )
        )
        for handle in node.outputs:
            numbers[handle] = count
            count += 1
    in_eval = evaluating.updates()
    updates = tuple(
        Update(place[name], numbers[handle], only_in_training=name not in in_eval)
        for name, handle in sorted(draft.updates().items(), key=lambda item: place[item[0]])
    )
    return Graph(
        tuple(dimensions), inputs, tuple(state), tuple(nodes), _output(draft.outputs, numbers),
        updates, least_opset(nodes),
    )  # fmt: skip


def least_opset(nodes: Iterable[Node]) -> int:
    """The first opset that has every operation of the nodes, those in loops included."""
    return max((TABLE[node.op].since for node in every_node(nodes)), default=1)


def _output(tree: Any, numbers: dict[Handle, int]) -> Any:
    if isinstance(tree, Handle):
        return numbers[tree]
    if isinstance(tree, tuple):
        return tuple(_output(item, numbers) for item in tree)
    return {key: _output(item, numbers) for key, item in tree.items()}
