"""Which terms a level is made of: the ways to share its cost among the arguments of productions.

A bank makes the terms of a type at a level by applying each production to arguments whose levels
add up to what its own cost leaves.  A pool holds the terms of one type and level: those carried
over from the outer bank, and those made in this one.  Pools are sequences of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from metaloom_metalearn.search.grammar import Group, Production, Slot

S = TypeVar("S")
NESTED = 6
"""How many levels more a function costs for each function it stands in."""

UNUSED = 3
"""How many levels more a function costs for each parameter that its body does not use."""


@dataclass(frozen=True)
class Combinations(Generic[S]):
    """The combinations of one bank: of its pools, `depth` functions deep.

    `pool` makes what can stand as an argument at a level; `joined` is two sequences of a pool as
    one, `size` the length of one.
    """

    pool: Callable[[Slot, int], tuple[S, S]]
    joined: Callable[[S, S], S]
    size: Callable[[S], int]
    depth: int
    known: dict[tuple[int, int], tuple[S, S]] = field(default_factory=dict)

    def of(
        self, groups: Sequence[Group], level: int
    ) -> Iterator[tuple[Sequence[Production], list[S]]]:
        """What can be applied to what, so that a term of the level comes out.

        Each of the productions takes any combination of the choices.
        """
        for group in groups:
            rest = level - group.level
            if group.higher:
                rest -= self.depth * NESTED
            if rest >= len(group.slots):
                for choices in self._choices(group, rest):
                    yield group.productions, choices

    def _choices(self, group: Group, rest: int) -> Iterator[list[S]]:
        """Arguments whose levels add up to `rest`; in an inner bank one at least is made there."""
        size = self.size
        for pools in self._splits(group.slots, rest, group.symmetric):
            if self.depth == 0:
                yield [new for _, new in pools]
                continue
            for first in range(len(pools)):
                choices = [old for old, _ in pools[:first]]
                choices.append(pools[first][1])
                choices += [self.joined(old, new) for old, new in pools[first + 1 :]]
                if all(size(choice) for choice in choices):
                    yield choices

    def _splits(
        self, slots: Sequence[Slot], rest: int, symmetric: bool = False
    ) -> Iterator[list[tuple[S, S]]]:
        """Pools for the slots, none empty, whose levels add up to `rest`."""
        slot, size = slots[0], self.size
        if len(slots) == 1:
            pool = self._pool(slot, rest)
            if size(pool[0]) or size(pool[1]):
                yield [pool]
            return
        highest = rest // 2 if symmetric else rest - len(slots) + 1
        for level in range(1, highest + 1):
            pool = self._pool(slot, level)
            if size(pool[0]) or size(pool[1]):
                for others in self._splits(slots[1:], rest - level):
                    yield [pool, *others]

    def _pool(self, slot: Slot, level: int) -> tuple[S, S]:
        """A pool, made once; slots live as long as the grammar, so that their ids will do."""
        key = (id(slot), level)
        pool = self.known.get(key)
        if pool is None:
            pool = self.known[key] = self.pool(slot, level)
        return pool
