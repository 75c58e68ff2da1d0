"""The numbers that a formula of floats needs: those of lines through the examples.

A formula seldom spells out what the examples show: 1.8 and 32 stand in none of the temperatures
that they convert.  For each number of the input, and the product of two, these are offered:

    the ratio or the difference                  where it is nearly the same in all examples
    the slope of the line and its value at 0     Theil 1950, Sen 1968: the median of the slopes of
                                                 all pairs, and of what they leave; unless the one
                                                 above is the same in most

each with three digits and, ten times less likely, with ten.  Three examples or more are needed: a
line through two points says nothing but these.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations, islice
from statistics import median
from typing import Any

from metaloom_registry import Type
from metaloom_registry.types import FLOAT, INT

FEWEST = 3
PAIRS = 500
"""So many pairs of examples are looked at."""

ALIKE = 0.05
"""Numbers are nearly the same where the median distance from their median is this share of it."""

SAME = 1e-9

DIGITS = {3: 1.0, 10: 0.1}
"""With how many digits a number is offered, and how much it then weighs."""


def fitted_numbers(
    examples: Sequence[tuple[Sequence[Any], Any]], given: Sequence[Type], want: Type
) -> dict[float, float]:
    """The numbers of formulas of floats that may hold, each with its weight.

    None where no float is wanted.
    """
    if want != FLOAT:
        return {}
    rows = [(inputs, float(output)) for inputs, output in examples]
    places = [i for i, type_ in enumerate(given) if type_ in (INT, FLOAT)]
    columns = [[float(inputs[i]) for inputs, _ in rows] for i in places]
    columns += [
        [x * y for x, y in zip(one, other, strict=True)] for one, other in combinations(columns, 2)
    ]
    outputs = [output for _, output in rows]
    found: dict[float, float] = {}
    for column in columns:
        for number in _numbers(column, outputs):
            for digits, weight in DIGITS.items():
                rounded = float(f"{number:.{digits}g}")
                if math.isfinite(rounded) and rounded != 0:
                    found.setdefault(rounded, weight)
    return found


def _numbers(xs: Sequence[float], ys: Sequence[float]) -> Iterator[float]:
    """The slope, the value at 0, the ratio and the difference of outputs against a column."""
    if len(set(xs)) < FEWEST:
        return
    ratios = [y / x for x, y in zip(xs, ys, strict=True) if x != 0]
    differences = [y - x for x, y in zip(xs, ys, strict=True)]
    for each in (ratios, differences):
        middle = median(each)
        away = median(abs(one - middle) for one in each)
        if away <= ALIKE * abs(middle):
            yield middle
            if away <= SAME * abs(middle):
                return
            break
    pairs = islice(combinations(zip(xs, ys, strict=True), 2), PAIRS)
    slope = median((v - y) / (u - x) for (x, y), (u, v) in pairs if u != x)
    yield slope
    yield median(y - slope * x for x, y in zip(xs, ys, strict=True))
