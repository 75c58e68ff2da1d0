"""What an example looks like to a recognition network: a vector of what it holds and changes.

Numbers that describe the input, the output, and their relation, for integers, truth values and
lists of these, as the properties of Odena and Sutton 2020, "Learning to represent programs with
property signatures"; anything else is described by its kind alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

ITEMS = 6
"""So many items of a list are shown one by one."""

VALUE = 12 + ITEMS
RELATION = 14
PROPERTIES = 2 * VALUE + RELATION
"""The length of the vector of one example."""


def properties(inputs: Sequence[Any], output: Any) -> list[float]:
    """The vector of an example, of which the first input is looked at: `PROPERTIES` floats."""
    given = inputs[0] if inputs else None
    return [*_value(given), *_value(output), *_relation(_items(given), _items(output))]


def _items(value: Any) -> tuple[int, ...]:
    """The integers of a value."""
    if isinstance(value, bool | int):
        return (int(value),)
    if isinstance(value, tuple):
        return tuple(int(item) for item in value if isinstance(item, bool | int))
    return ()


def _value(value: Any) -> list[float]:
    items = _items(value)
    pairs = list(pairwise(items))
    shown = [_squeezed(item) for item in items[:ITEMS]]
    return [
        float(isinstance(value, bool)),
        float(isinstance(value, int) and not isinstance(value, bool)),
        float(isinstance(value, tuple)),
        min(len(items), 20) / 10,
        _squeezed(sum(items)),
        _squeezed(max(items, default=0)),
        _squeezed(min(items, default=0)),
        float(all(a <= b for a, b in pairs)),
        float(all(a >= b for a, b in pairs)),
        len(set(items)) / max(1, len(items)),
        _share(item % 2 == 0 for item in items),
        _share(item > 0 for item in items),
        *shown,
        *[0.0] * (ITEMS - len(shown)),
    ]


def _relation(given: Sequence[int], made: Sequence[int]) -> list[float]:
    there, shortest = set(given), min(len(given), len(made))
    return [
        float(tuple(given) == tuple(made)),
        float(tuple(given[::-1]) == tuple(made)),
        float(sorted(given) == sorted(made)),
        (len(made) - len(given)) / 10,
        _share(item in there for item in made),
        _share(item in set(made) for item in given),
        _share(a == b for a, b in zip(given, made, strict=False)),
        _share(a == b for a, b in zip(given[::-1], made[::-1], strict=False)),
        _share(a < b for a, b in zip(given, made, strict=False)),
        _squeezed(sum(b - a for a, b in zip(given, made, strict=False)) / max(1, shortest)),
        float(list(made) == [len(given)]),
        float(list(made) == [sum(given)]),
        float(bool(given) and list(made) == [max(given)]),
        float(bool(given) and bool(made) and made[0] == given[0]),
    ]


def _squeezed(number: float) -> float:
    """A number of any size as one of a few."""
    return math.asinh(max(-1e9, min(1e9, number))) / 4


def _share(said: Iterable[bool]) -> float:
    held = list(said)
    return sum(held) / max(1, len(held))
