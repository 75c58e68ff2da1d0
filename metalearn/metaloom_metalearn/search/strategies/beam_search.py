"""Beam search over programs: the best few, and all that one edit makes of them, round by round.

The beam (Lowerre 1976, the Harpy system) holds whole programs.  An edit replaces a part by a
variable or literal, by a block applied to variables and literals, or by a block around the part.
Of a program's edits the cheapest are tried, and more of them where a round brings nothing better.
Nothing is drawn at random.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import islice, product

from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.grammar.grammar import Production, Slot
from metaloom_metalearn.search.strategies.space import (
    DEPTH,
    Place,
    Scope,
    Space,
    applied,
    function,
    replaced,
)
from metaloom_metalearn.search.strategies.strategy import Strategy
from metaloom_registry import ParseError, Term, Type

LEAVES = 4
"""So many variables and literals are tried for an argument, the cheapest."""

BODIES = 40
"""So many bodies are tried for a function, the cheapest."""

COMBINATIONS = 24
"""So many combinations of arguments are tried for a block."""


def beam(width: int = 24, edits: int = 300) -> Strategy:
    """The arm: the best `width` programs of a round, and the cheapest `edits` of each of them.

    Raises ParseError where either is below 1.
    """
    if width < 1 or edits < 1:
        raise ParseError(f"a beam of {width} programs with {edits} edits each; give 1 or more")
    return Strategy("beam", lambda space: BeamSearch(space, width, edits))


class BeamSearch:
    """The beam over the programs of a space; a `Search`."""

    def __init__(self, space: Space, width: int, edits: int) -> None:
        self.space, self.width, self.edits = space, width, edits
        self.beam: list[tuple[float, tuple[float, ...], Node]] = []
        self.told: list[tuple[float, tuple[float, ...], Node]] = []
        self.made: dict[Term, Node] = {}
        self.round = self._beginning()

    def ask(self, n: int) -> Sequence[Candidate]:
        """The next edits of the beam; when all were told of, the beam moves on."""
        found: list[Candidate] = []
        if self.space.expired():
            return found
        while len(found) < n:
            node = next(self.round, None)
            if node is not None:
                candidate = self.space.propose(node)
                if candidate is not None:
                    self.made[candidate.term] = node
                    found.append(candidate)
            elif found or self.made or not self._move():
                break
        return found

    def tell(self, scored: Sequence[Scored]) -> None:
        for one in scored:
            node = self.made.pop(one.candidate.term, None)
            if node is not None:
                near = one.near or tuple(map(float, one.right))
                self.told.append((one.graded, near, node))

    def _move(self) -> bool:
        """The best of the beam and of what was made of it; False where there is nothing left."""
        alike: dict[tuple[float, ...], tuple[float, tuple[float, ...], Node]] = {}
        for one in sorted([*self.beam, *self.told], key=lambda one: one[0]):
            alike.setdefault(one[1], one)
        beam = list(alike.values())[: self.width]
        if not self.told and self.beam:
            most = max(sum(1 for _ in self._edited(node)) for _, _, node in self.beam)
            if self.edits > most:
                return False
        if [one[2] for one in beam] == [one[2] for one in self.beam]:
            self.edits *= 2
        self.beam, self.told = beam, []
        self.round = self._edits()
        return bool(beam)

    def _beginning(self) -> Iterator[Node]:
        """Variables, literals, and blocks applied to them."""
        yield from self.space.leaves(self.space.want, self.space.outside)
        yield from sorted(self._shallow(self.space.want, self.space.outside), key=_cost)

    def _edits(self) -> Iterator[Node]:
        """The cheapest edits of each program of the beam, the cheapest program of all first."""
        each = [heapq.nsmallest(self.edits, self._edited(n), _cost) for _, _, n in self.beam]
        return heapq.merge(*each, key=_cost)

    def _edited(self, node: Node) -> Iterator[Node]:
        for place in self.space.places(node):
            for new in self._new(place):
                if new is not place.node:
                    yield replaced(node, place.path, new)

    def _new(self, place: Place) -> Iterator[Node]:
        """What can be put in a place."""
        yield from self.space.leaves(place.type, place.scope)
        for production in self.space.productions(place.type):
            for i, slot in enumerate(production.slots):
                if slot == Slot((), place.type):
                    yield from self._applied(production, place.scope, {i: place.node})
            yield from self._applied(production, place.scope, {})

    def _shallow(self, type_: Type, scope: Scope) -> Iterator[Node]:
        """Blocks applied to variables and literals."""
        for production in self.space.productions(type_):
            yield from self._applied(production, scope, {})

    def _applied(
        self, production: Production, scope: Scope, kept: dict[int, Node]
    ) -> Iterator[Node]:
        """A block with some arguments given, and cheap ones for the others."""
        choices: list[Sequence[Node]] = []
        for i, slot in enumerate(production.slots):
            if i in kept:
                choices.append((kept[i],))
            elif slot.taken:
                choices.append(self._functions(slot, scope))
            else:
                choices.append(self.space.leaves(slot.result, scope)[:LEAVES])
        most = COMBINATIONS if not production.higher else BODIES
        for arguments in islice(product(*choices), most):
            yield applied(production, arguments)

    def _functions(self, slot: Slot, scope: Scope) -> list[Node]:
        """Functions whose bodies are variables, literals, and blocks applied to these."""
        if scope.depth >= DEPTH:
            return []
        inner = self.space.inner(scope, slot.taken)
        bodies = [
            *self.space.leaves(slot.result, inner)[:LEAVES],
            *(
                body
                for production in self.space.productions(slot.result)
                if not production.higher
                for body in self._applied(production, inner, {})
            ),
        ]
        made = [function(body, len(scope.types), len(slot.taken)) for body in bodies]
        return heapq.nsmallest(BODIES, made, _cost)


def _cost(node: Node) -> float:
    return node.cost
