"""Evolution of programs: typed genetic programming with lexicase selection.

Programs are crossed and changed where types agree (Montana 1995, "Strongly typed genetic
programming").  A parent is chosen by the examples one by one, in random order: those that come
nearest on the first, of these those that come nearest on the second, and so on (Helmuth, Spector
and Matheson 2015, "Solving uncompromising problems with lexicase selection"), so that a program
that is right where others are wrong is kept.  Of programs that are equally near everywhere the
cheapest lives on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.strategies.space import Space
from metaloom_metalearn.search.strategies.strategy import Strategy
from metaloom_registry import ParseError, Term

ATTEMPTS = 1000
"""So many children in turn that are known before the search ends."""

FIRST = 30.0
"""The most nats of a program of the first generation."""

RIVALS = 32
"""Among so many, drawn at random, a parent is chosen."""


def evolve(size: int = 300, crossing: float = 0.4, newcomers: float = 0.05) -> Strategy:
    """The arm: `size` programs live on; the shares of children that are crossed, and drawn anew.

    Raises ParseError on settings that evolve nothing.
    """
    if size < 2 or crossing < 0 or newcomers < 0 or crossing + newcomers > 1:
        raise ParseError(
            f"a population of {size}, of whose children {crossing} are crossed and {newcomers} are "
            "new; give two programs or more, and shares that add up to 1 at most"
        )
    return Strategy("evolve", lambda space: Evolution(space, size, crossing, newcomers))


@dataclass(frozen=True)
class _Member:
    """A program that lives: how it is made, how near it comes to each output, and its score."""

    node: Node
    near: tuple[float, ...]
    graded: float


class Evolution:
    """A population over the programs of a space; a `Search`."""

    def __init__(self, space: Space, size: int, crossing: float, newcomers: float) -> None:
        self.space, self.size = space, size
        self.crossing, self.newcomers = crossing, newcomers
        self.members: list[_Member] = []
        self.born: dict[Term, Node] = {}

    def ask(self, n: int) -> Sequence[Candidate]:
        """Programs drawn at random until there are enough, then children."""
        found: list[Candidate] = []
        if self.space.expired():
            return found
        for _ in range(ATTEMPTS + n):
            if len(found) == n:
                break
            node = self._child()
            candidate = None if node is None else self.space.propose(node)
            if node is not None and candidate is not None:
                self.born[candidate.term] = node
                found.append(candidate)
        return found

    def tell(self, scored: Sequence[Scored]) -> None:
        for one in scored:
            node = self.born.pop(one.candidate.term, None)
            if node is not None:
                near = one.near or tuple(map(float, one.right))
                self.members.append(_Member(node, near, one.graded))
        if len(self.members) > 2 * self.size:
            self._select()

    def _select(self) -> None:
        """The best `size`; of those equally near everywhere the cheapest."""
        alike: dict[tuple[float, ...], _Member] = {}
        for member in sorted(self.members, key=lambda member: member.graded):
            alike.setdefault(member.near, member)
        self.members = list(alike.values())[: self.size]

    def _child(self) -> Node | None:
        if len(self.members) < self.size // 2 or self.space.random.random() < self.newcomers:
            return self.space.drawn(FIRST)
        parent = self._parent()
        if self.space.random.random() < self.crossing:
            return self.space.crossed(parent, self._parent())
        return self.space.changed(parent)

    def _parent(self) -> Node:
        """Lexicase selection among a few members."""
        random = self.space.random
        left = random.sample(self.members, min(RIVALS, len(self.members)))
        cases = list(range(len(left[0].near)))
        random.shuffle(cases)
        for case in cases:
            best = max(member.near[case] for member in left)
            left = [member for member in left if member.near[case] == best]
            if len(left) == 1:
                break
        return random.choice(left).node
