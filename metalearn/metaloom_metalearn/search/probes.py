"""On which values a function is tried: the rows of the bank of its body.

Two bodies that agree on every row are taken to be one function, which is an approximation, so rows
should be many and unlike.  They come from what the examples contain: for each row of the enclosing
bank, the values of the parameter's type within its variables, then within the example's output,
then within other rows, then what the enclosing bank can make cheaply.  What a program computes is
never approximated: a value that is in no row is computed when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaloom_metalearn.search.constants import values_within
from metaloom_metalearn.search.node import Environment
from metaloom_registry import Type
from metaloom_registry.types import BOOL, INT

PER_POOL = 8


def probe_rows(
    environments: Sequence[Environment],
    scope: Sequence[Type],
    outputs: Sequence[tuple[Any, Type]],
    parameters: Sequence[Type],
    wanted: int,
    made: Callable[[Type], Sequence[Any]],
) -> list[tuple[int, Environment]]:
    """About `wanted` rows: the enclosing row each belongs to, and its parameters' values.

    `outputs` has the output of the example of each enclosing row; `made(type)` are other values of
    a type, at hand where the examples contain none.  Empty where a parameter has no value at all.
    """
    pools = [_pools(environments, scope, outputs, parameter, made) for parameter in parameters]
    if any(not any(pool) for pool in pools):
        return []
    rows: list[tuple[int, Environment]] = []
    taken: set[tuple[int, Environment]] = set()
    seen: set[Environment] = set()
    each = max(1, -(-wanted // len(environments)))
    for round_ in range(2 * each):
        for owner in range(len(environments)):
            if len(rows) >= wanted and len(taken) >= len(environments):
                return rows
            choice = _choice([pool[owner] for pool in pools], round_, owner, seen)
            if choice is None or (owner, choice) in taken:
                continue
            taken.add((owner, choice))
            seen.add(choice)
            rows.append((owner, choice))
    return rows


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


def _pools(
    environments: Sequence[Environment],
    scope: Sequence[Type],
    outputs: Sequence[tuple[Any, Type]],
    wanted: Type,
    made: Callable[[Type], Sequence[Any]],
) -> list[list[Any]]:
    """For each enclosing row, up to `PER_POOL` values of the wanted type."""
    own: list[list[Any]] = []
    for environment, (output, want) in zip(environments, outputs, strict=True):
        found: dict[Any, None] = {}
        for value, type_ in zip(environment, scope, strict=True):
            found.update(dict.fromkeys(values_within(value, type_, wanted)))
        found.update(dict.fromkeys(values_within(output, want, wanted)))
        own.append(list(found)[:PER_POOL])
    everywhere = dict.fromkeys(value for pool in own for value in pool)
    if wanted == BOOL:
        everywhere.update({False: None, True: None})
    elif wanted == INT:
        everywhere.update({0: None, 1: None, 2: None, 5: None})
    if len(everywhere) < 2:
        everywhere.update(dict.fromkeys(made(wanted)))
    spare = list(everywhere)
    return [
        list(dict.fromkeys([*pool, *_turned(spare, i)]))[:PER_POOL] for i, pool in enumerate(own)
    ]


def _turned(values: list[Any], by: int) -> list[Any]:
    """The values from another start, so that rows do not all take the same ones."""
    if not values:
        return values
    start = by % len(values)
    return values[start:] + values[:start]
