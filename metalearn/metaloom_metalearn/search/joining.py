"""Covers: the outputs of several rows as one sequence of pieces, put end to end.

A piece is a term whose value is part of the output on every row; a cover is a sequence of pieces
whose values, joined, are the outputs.  It is a path through tuples of positions, one a row, from
the beginnings of the outputs to their ends: the intersection of the rows' graphs of pieces in
FlashFill (Gulwani 2011, section 4.3), walked cheapest first (Dijkstra) instead of built.  Texts and
lists alike are joined.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from metaloom_metalearn.search.grammar import Production
from metaloom_metalearn.search.node import Node
from metaloom_registry import Literal

Values = tuple[Any, ...]
Places = tuple[int, ...]

STATES = 4000
"""How many tuples of positions one cover may visit."""

LONGEST = 64
"""Characters of the longest literal that is a piece."""

PER_VALUE = 4
"""How many pieces of one value on the first row are kept for each extent on the other rows."""


@dataclass
class Pieces:
    """The terms that are part of the outputs wanted, by the rows on which they are.

    `join` puts two values end to end.  `literal` is what a literal costs before what it says; below
    zero there are none.  `forbidden` are the texts that no literal may be.
    """

    outputs: Values
    join: Production | None
    literal: float = -1.0
    forbidden: frozenset[Any] = frozenset()
    found: list[tuple[int, Node]] = field(default_factory=list)
    _known: dict[Values, float] = field(default_factory=dict)

    def add(self, nodes: Iterable[Node]) -> int:
        """Keep the nodes that are part of the output on some row; how many are new."""
        before = len(self.found)
        for node in nodes:
            mask = 0
            for row, (value, output) in enumerate(zip(node.values, self.outputs, strict=True)):
                if type(value) is type(output) and _within(value, output):
                    mask |= 1 << row
            if mask and any(node.values) and node.values not in self._known:
                self._known[node.values] = node.cost
                self.found.append((mask, node))
        return len(self.found) - before

    def on(self, rows: int) -> list[Node]:
        """The pieces that are part of the output on all of these rows, a mask."""
        return [node for mask, node in self.found if mask & rows == rows]


def _within(value: Any, output: Any) -> bool:
    """Whether a text or list stands somewhere in another."""
    if isinstance(value, str):
        return value in output
    size = len(value)
    return any(output[i : i + size] == value for i in range(len(output) - size + 1))


def cover(
    pieces: Pieces,
    rows: int,
    make: Callable[[Production, tuple[Node, ...], Values], Node],
    below: float = math.inf,
    late: Callable[[], bool] = lambda: False,
) -> Node | None:
    """The cheapest sequence of pieces that is right on all rows of the mask; None where none is.

    `make` builds the node of an application.  Only covers that cost less than `below` are wanted.
    """
    places = [row for row in range(len(pieces.outputs)) if rows >> row & 1]
    outputs = [pieces.outputs[row] for row in places]
    steps = _Steps(pieces, places, outputs)
    start, goal = (0,) * len(places), tuple(map(len, outputs))
    joining = pieces.join.cost if pieces.join is not None else math.inf
    costs: dict[Places, float] = {start: 0.0}
    came: dict[Places, tuple[Places, Node]] = {}
    queue: list[tuple[float, Places]] = [(0.0, start)]
    done: set[Places] = set()
    while queue and len(done) < STATES and not late():
        cost, state = heappop(queue)
        if state in done:
            continue
        if state == goal and came:
            return _joined(came, start, goal, pieces.join, make)
        done.add(state)
        before = cost + joining if state != start else cost
        for node, reached in steps.of(state):
            total = before + node.cost
            if total < below and total < costs.get(reached, math.inf):
                costs[reached] = total
                came[reached] = (state, node)
                heappush(queue, (total, reached))
    return None


def _joined(
    came: dict[Places, tuple[Places, Node]],
    start: Places,
    goal: Places,
    join: Production | None,
    make: Callable[[Production, tuple[Node, ...], Values], Node],
) -> Node:
    path: list[Node] = []
    state = goal
    while state != start:
        state, node = came[state]
        path.append(node)
    whole = path.pop()
    while path:
        assert join is not None
        last = path.pop()
        values = tuple(map(join.safe, whole.values, last.values))
        whole = make(join, (whole, last), values)
    return whole


class _Steps:
    """What can come next at a tuple of positions: pieces by their value on the first row."""

    def __init__(self, pieces: Pieces, rows: Sequence[int], outputs: Sequence[Any]) -> None:
        self.pieces = pieces
        self.rows = rows
        self.outputs = outputs
        self.count = len(pieces.outputs)
        self.by_first: dict[Any, list[tuple[Values, Node]]] = defaultdict(list)
        mask = sum(1 << row for row in rows)
        cheapest: dict[Values, Node] = {}
        for node in pieces.on(mask):
            values = tuple([node.values[row] for row in rows])
            if any(values) and (values not in cheapest or node.cost < cheapest[values].cost):
                cheapest[values] = node
        for values, node in cheapest.items():
            self.by_first[values[0]].append((values, node))
        self.longest = max(map(len, self.by_first), default=0)

    def of(self, state: Places) -> Iterable[tuple[Node, Places]]:
        first, at = self.outputs[0], state[0]
        for size in range(min(self.longest, len(first) - at) + 1):
            for values, node in self.by_first.get(first[at : at + size], ()):
                for value, output, place in zip(values, self.outputs, state, strict=True):
                    if output[place : place + len(value)] != value:
                        break
                else:
                    yield node, tuple(map(_after, state, values))
        if self.pieces.literal >= 0:
            yield from self._literals(state)

    def _literals(self, state: Places) -> Iterable[tuple[Node, Places]]:
        first, at = self.outputs[0], state[0]
        for size in range(1, min(LONGEST, len(first) - at) + 1):
            text = first[at : at + size]
            for output, place in zip(self.outputs, state, strict=True):
                if output[place : place + size] != text:
                    return
            if text in self.pieces.forbidden:
                continue
            cost = self.pieces.literal + math.log(len(first)) + 2 * math.log(size + 1)
            node = Node(Literal(text), (), (text,) * self.count, cost, 0, failed=False)
            yield node, tuple([place + size for place in state])


def _after(place: int, value: Any) -> int:
    return place + len(value)
