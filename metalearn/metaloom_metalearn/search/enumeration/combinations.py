"""Which terms a level is made of: the ways to share its cost among the arguments of productions.

A bank makes the terms of a type at a level by applying each production to arguments whose levels
add up to what its own cost leaves.  A pool holds the terms of one type and level: those carried
over from the outer bank, and those made in this one.  Pools are sequences of any kind.  Most levels
of most types are empty, and are passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from metaloom_metalearn.search.grammar.grammar import Group, Production, Slot

S = TypeVar("S")
NESTED = 6
"""How many levels more a function costs for each function it stands in."""

UNUSED = 3
"""How many levels more a function costs for each parameter that its body does not use."""


class Choice(Generic[S]):
    """What can stand as an argument at a level: carried over, made here, and both as one."""

    __slots__ = ("_both", "has_new", "has_old", "joined", "new", "old")

    def __init__(
        self, old: S, new: S, size: Callable[[S], int], joined: Callable[[S, S], S]
    ) -> None:
        self.old = old
        self.new = new
        self.has_old = size(old) > 0
        self.has_new = size(new) > 0
        self.joined = joined
        self._both: S | None = None

    @property
    def both(self) -> S:
        if self._both is None:
            self._both = self.joined(self.old, self.new)
        return self._both


@dataclass
class Column(Generic[S]):
    """The choices of one argument: by level, None where there are none, and those that are."""

    levels: list[Choice[S] | None] = field(default_factory=lambda: [None])
    filled: list[tuple[int, Choice[S]]] = field(default_factory=list)


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
    columns: dict[int, Column[S]] = field(default_factory=dict)

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
            if rest < len(group.slots):
                continue
            for choices in self._splits(group.slots, rest, group.symmetric):
                if self.depth == 0:
                    yield group.productions, [choice.new for choice in choices]
                else:
                    for chosen in _with_new(choices):
                        yield group.productions, chosen

    def _splits(
        self, slots: Sequence[Slot], rest: int, symmetric: bool = False
    ) -> Iterator[tuple[Choice[S], ...]]:
        """Choices for the slots, none empty, whose levels add up to `rest`."""
        if len(slots) == 1:
            choice = self._column(slots[0], rest).levels[rest]
            if choice is not None:
                yield (choice,)
            return
        highest = rest // 2 if symmetric else rest - len(slots) + 1
        following = slots[1:]
        for level, choice in self._column(slots[0], highest).filled:
            if level > highest:
                return
            if len(following) > 1:
                for others in self._splits(following, rest - level):
                    yield (choice, *others)
                continue
            last = self._column(following[0], rest - level).levels[rest - level]
            if last is not None:
                yield (choice, last)

    def _column(self, slot: Slot, level: int) -> Column[S]:
        """The choices of a slot, made up to a level; slots live as long as the grammar."""
        column = self.columns.get(id(slot))
        if column is None:
            column = self.columns[id(slot)] = Column()
        while len(column.levels) <= level:
            at = len(column.levels)
            choice = Choice(*self.pool(slot, at), self.size, self.joined)
            if choice.has_old or choice.has_new:
                column.levels.append(choice)
                column.filled.append((at, choice))
            else:
                column.levels.append(None)
        return column


def _with_new(choices: Sequence[Choice[S]]) -> Iterator[list[S]]:
    """The combinations of which one argument at least was made here, each once."""
    before: list[S] = []
    for place, choice in enumerate(choices):
        if choice.has_new:
            yield [*before, choice.new, *[other.both for other in choices[place + 1 :]]]
        if not choice.has_old:
            return
        before.append(choice.old)
