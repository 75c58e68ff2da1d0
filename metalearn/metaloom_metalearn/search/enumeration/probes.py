"""On which values a function is tried: the rows of the bank of its body.

Two bodies that agree on every row are taken to be one function, which is an approximation, so rows
should be many and unlike.  They come from what the examples contain: for each row of the enclosing
bank, the values of the parameter's type within its variables, then within the example's output,
then within other rows, then what the enclosing bank can make cheaply.  What a program computes is
never approximated: a value that is in no row is computed when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from metaloom_metalearn.search.enumeration.node import Environment
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.constants import values_within
from metaloom_metalearn.search.grammar.grammar import Grammar
from metaloom_registry import Type
from metaloom_registry.types import BOOL, INT, parts

PER_POOL = 8


@dataclass
class Samples:
    """A few values of a type that the first environments can make without functions."""

    environments: Sequence[Environment]
    scope: Sequence[Type]
    grammar: Grammar
    known: dict[tuple[Type, int], list[Any]] = field(default_factory=dict)

    def __call__(self, type_: Type, depth: int = 2) -> list[Any]:
        """At most `PER_POOL` values, made of at most `depth` productions on top of each other."""
        known = self.known.get((type_, depth))
        if known is not None:
            return known
        found: dict[Any, None] = {}
        for environment in self.environments[:PER_POOL]:
            for value, held in zip(environment, self.scope, strict=True):
                found.update(dict.fromkeys(values_within(value, held, type_)))
        for production in self.grammar.productions.get(type_, ()):
            slots = production.slots
            if len(found) >= PER_POOL or depth == 0 or any(slot.taken for slot in slots):
                continue
            columns = [self(slot.result, depth - 1) for slot in slots]
            for arguments in zip(*columns, strict=False):
                value = production.safe(*arguments)
                if value is not FAILED:
                    found[value] = None
        self.known[type_, depth] = made = list(found)[:PER_POOL]
        return made


@dataclass(frozen=True)
class Below:
    """The rows of a bank of function bodies, and the row of the enclosing bank each belongs to."""

    scope: tuple[Type, ...]
    environments: list[Environment]
    outputs: list[tuple[Any, Type]]
    owners: list[int]


@dataclass
class Probes:
    """The probes of the functions of one bank.

    `environments` are its rows, `scope` the types of their values, `outputs` the output of the
    example of each row.
    """

    environments: Sequence[Environment]
    scope: Sequence[Type]
    outputs: Sequence[tuple[Any, Type]]
    samples: Samples
    pools: dict[Type, list[list[Any]]] = field(default_factory=dict)

    def rows(self, parameters: Sequence[Type], wanted: int) -> list[tuple[int, Environment]]:
        """About `wanted` rows: the enclosing row each belongs to, and its parameters' values.

        Empty where a parameter has no value at all.
        """
        pools = [self._pools(parameter) for parameter in parameters]
        if any(not any(pool) for pool in pools):
            return []
        rows: list[tuple[int, Environment]] = []
        taken: set[tuple[int, Environment]] = set()
        seen: set[Environment] = set()
        each = max(1, -(-wanted // len(self.environments)))
        for round_ in range(2 * each):
            for owner in range(len(self.environments)):
                if len(rows) >= wanted and len(taken) >= len(self.environments):
                    return rows
                choice = _choice([pool[owner] for pool in pools], round_, owner, seen)
                if choice is None or (owner, choice) in taken:
                    continue
                taken.add((owner, choice))
                seen.add(choice)
                rows.append((owner, choice))
        return rows

    def below(self, parameters: Sequence[Type], wanted: int) -> Below | None:
        """What the bank of bodies with these parameters has; None where no value probes them."""
        rows = self.rows(parameters, max(wanted, len(self.environments)))
        if not rows:
            return None
        return Below(
            (*self.scope, *parameters),
            [(*self.environments[owner], *values) for owner, values in rows],
            [self.outputs[owner] for owner, _ in rows],
            [owner for owner, _ in rows],
        )

    def _pools(self, wanted: Type) -> list[list[Any]]:
        """For each row, up to `PER_POOL` values of the wanted type."""
        if wanted not in self.pools:
            self.pools[wanted] = self._made_pools(wanted)
        return self.pools[wanted]

    def _made_pools(self, wanted: Type) -> list[list[Any]]:
        own: list[list[Any]] = []
        places = [(i, type_) for i, type_ in enumerate(self.scope) if wanted in parts(type_)]
        for environment, (output, want) in zip(self.environments, self.outputs, strict=True):
            found: dict[Any, None] = {}
            for place, type_ in places:
                found.update(dict.fromkeys(values_within(environment[place], type_, wanted)))
            if wanted in parts(want):
                found.update(dict.fromkeys(values_within(output, want, wanted)))
            own.append(list(found)[:PER_POOL])
        everywhere = dict.fromkeys(value for pool in own for value in pool)
        if wanted == BOOL:
            everywhere.update({False: None, True: None})
        elif wanted == INT:
            everywhere.update({0: None, 1: None, 2: None, 5: None})
        if len(everywhere) < 2:
            everywhere.update(dict.fromkeys(self.samples(wanted)))
        spare = list(everywhere)
        return [
            list(dict.fromkeys([*pool, *_turned(spare, i)]))[:PER_POOL]
            for i, pool in enumerate(own)
        ]


def _choice(
    pools: Sequence[Sequence[Any]], round_: int, owner: int, seen: set[Environment]
) -> Environment | None:
    """One value a parameter; along a diagonal of the pools, unseen ones first."""
    if any(not pool for pool in pools):
        return None
    if len(pools) == 1:
        pool = pools[0]
        for value in pool:
            if (value,) not in seen:
                return (value,)
        return (pool[round_ % len(pool)],)
    step = round_ + owner
    return tuple(pool[(step * (i + 1) + i) % len(pool)] for i, pool in enumerate(pools))


def _turned(values: list[Any], by: int) -> list[Any]:
    """The values from another start, so that rows do not all take the same ones."""
    if not values:
        return values
    start = by % len(values)
    return values[start:] + values[:start]
