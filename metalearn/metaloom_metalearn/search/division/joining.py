"""Covers: the outputs of several rows as one sequence of pieces, put end to end.

A piece is a term whose value is part of the output on every row; a cover is a sequence of pieces
whose values, joined, are the outputs.  It is a path through tuples of positions, one a row, from
the beginnings of the outputs to their ends: the intersection of the rows' graphs of pieces in
FlashFill (Gulwani 2011, section 4.3), walked cheapest first (Dijkstra) instead of built.  Texts and
lists alike are joined; what all outputs have in common may be a literal, spelled out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, TypeAlias

from metaloom_metalearn.search.coding import description_length
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.grammar.grammar import Grammar, Production, Slot
from metaloom_registry import Literal, Type
from metaloom_registry.types import INT, TEXT, list_of

Values = tuple[Any, ...]
Places = tuple[int, ...]
Make: TypeAlias = Callable[[Production, tuple[Node, ...], Values], Node]
"""Makes the node of an application, given its values."""

STATES = 4000
"""How many tuples of positions one cover may visit."""

LONGEST = 64
"""Characters of the longest literal that is a piece."""


@dataclass
class Pieces:
    """The terms that are part of the outputs wanted, by the rows on which they are.

    `join` puts two values end to end.  `literal` is what a literal costs before what it says; below
    zero there are none.  `forbidden` are the values that no literal may be.  Lists of integers are
    written item by item: `single` makes a list of one item.
    """

    outputs: Values
    join: Production | None
    literal: float = -1.0
    forbidden: frozenset[Any] = frozenset()
    single: Production | None = None
    found: list[tuple[int, Node]] = field(default_factory=list)
    _known: dict[Values, float] = field(default_factory=dict)

    def add(self, nodes: Iterable[Node]) -> int:
        """Keep the nodes that are part of the output on some row; how many are new."""
        if self.join is None:
            return 0
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

    def written(self, item: int) -> Node:
        """The list of one integer, spelled out."""
        assert self.single is not None
        count = len(self.outputs)
        cost = self.literal + description_length(item, INT)
        literal = Node(Literal(item), (), (item,) * count, cost, 0, failed=False)
        values = ((item,),) * count
        return Node(self.single, (literal,), values, cost + self.single.cost, 0, failed=False)

    def on(self, rows: int) -> list[Node]:
        """The pieces that are part of the output on all of these rows, a mask."""
        return [node for mask, node in self.found if mask & rows == rows]


def pieces_for(
    grammar: Grammar,
    given: Sequence[Type],
    want: Type,
    inputs: Sequence[Sequence[Any]],
    outputs: Sequence[Any],
) -> Pieces:
    """What covers of these outputs are made of: how to join, and what literals cost.

    No literal is a whole input or output, but for an output that all examples share; nor are there
    literals in a cover of one output alone, which they could spell out.
    """
    join = _join(grammar, want, outputs)
    single = _single(grammar) if want == list_of(INT) else None
    literal, forbidden = -1.0, set()
    if want == TEXT or single is not None:
        plain = TEXT if want == TEXT else INT
        costs = [constant.cost for constant in grammar.constants.get(plain, ())]
        literal = min(costs, default=grammar.variables[plain] + 1.0)
        shared = set(outputs) if len(set(outputs)) == 1 and len(outputs) > 1 else set()
        whole = (v for row in inputs for v, t in zip(row, given, strict=True) if t == want)
        forbidden = {*whole, *outputs} - shared
    return Pieces(tuple(outputs), join, literal, frozenset(forbidden), single)


def _single(grammar: Grammar) -> Production | None:
    """The production that makes a list of one integer, told from what it does."""
    for production in grammar.productions.get(list_of(INT), ()):
        if production.slots == (Slot((), INT),) and all(
            production.safe(x) == (x,) for x in (-1, 0, 1, 2, 7)
        ):
            return production
    return None


def _join(grammar: Grammar, want: Type, outputs: Sequence[Any]) -> Production | None:
    """The production that puts two values end to end, told from what it does to the outputs."""
    if not all(isinstance(output, str | tuple) for output in outputs):
        return None
    halves = [(output[: len(output) // 2], output[len(output) // 2 :]) for output in outputs]
    for production in grammar.productions.get(want, ()):
        if production.slots != (Slot((), want), Slot((), want)):
            continue
        run = production.safe
        if all(run(a, b) == a + b and run(b, a) == b + a for a, b in halves):
            return production
    return None


def _within(value: Any, output: Any) -> bool:
    """Whether a text or list stands somewhere in another."""
    if isinstance(value, str):
        return value in output
    size = len(value)
    return any(output[i : i + size] == value for i in range(len(output) - size + 1))


def cover(
    pieces: Pieces,
    rows: int,
    make: Make,
    below: float = math.inf,
    late: Callable[[], bool] = lambda: False,
) -> Node | None:
    """The cheapest sequence of pieces that is right on all rows of the mask; None where none is.

    `make` builds the node of an application.  Only covers that cost less than `below` are wanted.
    """
    if pieces.join is None:
        return None
    places = [row for row in range(len(pieces.outputs)) if rows >> row & 1]
    outputs = [pieces.outputs[row] for row in places]
    steps = _Steps(pieces, places, outputs)
    start, goal = (0,) * len(places), tuple(map(len, outputs))
    joining = pieces.join.cost
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
    make: Make,
) -> Node:
    path: list[Node] = []
    state = goal
    while state != start:
        state, node = came[state]
        path.append(node)
    return joined([part for node in path[::-1] for part in parts_of(node, join)], join, make)


def joined(parts: Sequence[Node], join: Production | None, make: Make) -> Node:
    """The parts put end to end."""
    whole = parts[0]
    for last in parts[1:]:
        assert join is not None
        values = tuple(map(join.safe, whole.values, last.values))
        whole = make(join, (whole, last), values)
    return whole


def parts_of(node: Node, join: Production | None) -> list[Node]:
    """The parts that a term puts end to end; itself where it puts none."""
    if join is None or node.head is not join:
        return [node]
    return [part for argument in node.arguments for part in parts_of(argument, join)]


def swapped(parts: Sequence[Node], twin: Node, join: Production | None, make: Make) -> Node:
    """The parts put end to end, with one of equal values exchanged for its twin."""
    place = next(i for i, part in enumerate(parts) if part.values == twin.values)
    return joined([*parts[:place], twin, *parts[place + 1 :]], join, make)


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
        spelled_out = len(set(self.outputs)) == 1 and self.outputs[0] in self.pieces.forbidden
        if self.pieces.literal >= 0 and not spelled_out:
            literals = self._items if self.pieces.single is not None else self._literals
            yield from literals(state)

    def _items(self, state: Places) -> Iterable[tuple[Node, Places]]:
        """The integer that comes next on every row."""
        item = self.outputs[0][state[0] : state[0] + 1]
        if not item or item in self.pieces.forbidden:
            return
        for output, place in zip(self.outputs, state, strict=True):
            if output[place : place + 1] != item:
                return
        yield self.pieces.written(item[0]), tuple([place + 1 for place in state])

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
