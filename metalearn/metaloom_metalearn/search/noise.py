"""When what a program of numbers gets wrong is noise, and no longer program is to be expected.

An approximate program leaves a residual on each example, the output less what it gives.  Residuals
of integers are written out under a two-sided geometric code (the discrete Laplace distribution),
those of floats under a Laplace distribution, to within a millionth of the output, the largest as
exceptions; each with the scale that makes the code shortest and half of ln n for that.  They are
taken for noise where

- there are enough examples, and the program is wrong on several of them;
- they take at most a quarter of the nats that the outputs take; of floats, they are a quarter as
  large as the outputs' deviation from their median;
- they depend on nothing simple: in the order of each of some features of the inputs (an integer,
  its remainders, the length, sum, first and largest item of a list) neighbours differ as much as
  any two, by von Neumann's ratio (1941), at the level of half a percent.

Any other program would have to be shorter than the program and its residuals together, the length
`Noise.length`.  The programs below that are too many to be tried; so a search that has tried all
that are up to `BEYOND` nats longer than the approximate one, and has spent `LEAST` of its time,
stops, and gives the approximate program with the score `Noise.length`.  It is asked of the program
that is shortest with its residuals alone: a worse one may well err at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from metaloom_metalearn.search.coding import description_length, exception_cost
from metaloom_registry import Type
from metaloom_registry.types import FLOAT, INT

RELATIVE, ABSOLUTE = 1e-6, 1e-9
"""Floats are equal where they differ by no more than this share of the one wanted, or this."""

EXAMPLES = 10
"""Fewer than so many examples tell nothing of noise."""

WRONG = 3
"""A program that is wrong on fewer examples errs on these alone."""

EXPLAINED = 0.25
"""The most that residuals may take of what the outputs take."""

UNLIKE = 2.58
"""How many standard deviations below 2 a ratio may be."""

BEYOND = 5.0
"""So many nats longer are the programs that are tried all the same: e^5 = 148 times less likely."""

LEAST = 0.2
"""The share of the time that a search takes in any case."""

FEATURES: Sequence[Callable[[int], int]] = (
    lambda x: x, lambda x: x % 2, lambda x: x % 3, lambda x: x % 4, lambda x: x % 5,
)  # fmt: skip


@dataclass(frozen=True)
class Noise:
    """An approximate program whose residuals look like noise.

    `cost` is the program's, `length` that with its residuals, in nats; `size` their mean magnitude.
    """

    cost: float
    length: float
    size: float


@dataclass
class Residuals:
    """What programs leave of the outputs of a task: of which these are shortest, and are noise.

    `shortest` is the cost of the program that is shortest with its residuals, and theirs; `noise`
    is what it leaves, where that looks like noise.
    """

    inputs: Sequence[Sequence[Any]]
    outputs: Sequence[Any]
    want: Type
    shortest: float = math.inf
    noise: Noise | None = None

    def shorter(self, values: Sequence[Any], cost: float) -> bool:
        """Whether a program that gives these values is shorter than all before it."""
        nats = residual_nats(self.outputs, values, self.want)
        if cost + nats >= self.shortest:
            return False
        self.shortest = cost + nats
        self.noise = noise_of(self.inputs, self.outputs, values, cost, self.want)
        return True


def noise_of(
    inputs: Sequence[Sequence[Any]],
    outputs: Sequence[Any],
    values: Sequence[Any],
    cost: float,
    want: Type = INT,
) -> Noise | None:
    """The noise that a program of this cost leaves, where it gives these values for these inputs.

    None where outputs or values are no numbers, or the residuals do not look like noise.
    """
    nats = residual_nats(outputs, values, want)
    if len(outputs) < EXAMPLES or nats == math.inf:
        return None
    residuals = [output - value for output, value in zip(outputs, values, strict=True)]
    size = sum(map(abs, residuals)) / len(residuals)
    if want == INT:
        wrong = sum(map(bool, residuals))
        explained = nats <= EXPLAINED * sum(description_length(output, INT) for output in outputs)
    else:
        wrong = sum(abs(r) > precision(y) for r, y in zip(residuals, outputs, strict=True))
        explained = size <= EXPLAINED * _deviation(outputs)
    if wrong < WRONG or not explained:
        return None
    if any(depends(residuals, feature) for feature in features_of(inputs)):
        return None
    return Noise(cost, cost + nats, size)


def residual_nats(outputs: Sequence[Any], values: Sequence[Any], want: Type = INT) -> float:
    """The nats of what values leave of outputs; infinite where one of them is no number."""
    if want == FLOAT:
        return float_nats(outputs, values)
    if not all(type(v) is int for v in (*outputs, *values)):
        return math.inf
    return code_length([output - value for output, value in zip(outputs, values, strict=True)])


def worth(outputs: Sequence[Any], want: Type) -> float:
    """The nats of numbers, lists ... with no program: in a row, or, floats, about their median."""
    plain = sum(description_length(output, want) for output in outputs)
    if want != FLOAT or not outputs:
        return plain
    middle = median(outputs)
    return min(
        plain, description_length(middle, FLOAT) + float_nats(outputs, [middle] * len(outputs))
    )


def precision(wanted: float) -> float:
    """How far a float may be from the one wanted, and be equal to it."""
    return max(ABSOLUTE, RELATIVE * abs(wanted))


def float_nats(outputs: Sequence[Any], values: Sequence[Any]) -> float:
    """The nats of floats under the Laplace distribution about the values, to within a millionth.

    Those that are furthest from their values are exceptions, as many as makes the code shortest;
    what is no number is one in any case.
    """
    count = len(outputs)
    exception = exception_cost(0.0, FLOAT, count)
    kept = sorted(
        (abs(output - value), precision(output))
        for output, value in zip(outputs, values, strict=True)
        if type(value) in (float, int) and math.isfinite(value)
    )
    best = count * exception
    total = bits = 0.0
    for n, (residual, least) in enumerate(kept, 1):
        total += residual
        bits -= math.log(2 * least)
        scale = max(total / n, least)
        nats = bits + n * math.log(2 * scale) + total / scale + 0.5 * math.log(n)
        best = min(best, max(nats, 0.0) + (count - n) * exception)
    return best


def _deviation(outputs: Sequence[float]) -> float:
    """The mean distance from the median."""
    middle = median(outputs)
    return sum(abs(output - middle) for output in outputs) / len(outputs)


def code_length(residuals: Sequence[int], count: int = 0) -> float:
    """The nats of residuals under p(r) = (1 - q) / (1 + q) q^|r|, with the likeliest q.

    They are `count`, where zeros are left out; nothing but their sum matters.
    """
    total, count = sum(map(abs, residuals)), count or len(residuals)
    if total == 0:
        return 0.0
    mean = total / count
    q = (math.sqrt(1 + mean * mean) - 1) / mean
    return -count * math.log((1 - q) / (1 + q)) - total * math.log(q) + 0.5 * math.log(count)


def features_of(inputs: Sequence[Sequence[Any]]) -> list[list[float]]:
    """What the inputs are put in order by, a number an example each."""
    found: list[list[float]] = []
    for column in zip(*inputs, strict=True):
        if all(type(x) is float for x in column):
            found.append(list(column))
            continue
        if all(type(x) is int for x in column):
            numbers = [list(column)]
        elif all(isinstance(x, tuple) for x in column):
            numbers = [list(map(len, column))]
            if all(type(item) is int for x in column for item in x):
                numbers += [
                    [sum(x) for x in column],
                    [x[0] if x else 0 for x in column],
                    [max(x, default=0) for x in column],
                ]
        else:
            continue
        found += [[feature(x) for x in each] for each in numbers for feature in FEATURES]
    return found


def depends(residuals: Sequence[float], feature: Sequence[float]) -> bool:
    """Whether residuals whose feature is alike are alike: von Neumann's ratio is too low.

    The ratio is the mean square of the difference of neighbours over the variance: 2 where the
    order tells nothing, with the variance 4 (n - 2) / (n^2 - 1).
    """
    count, mean = len(residuals), sum(residuals) / len(residuals)
    spread = sum((r - mean) ** 2 for r in residuals) / count
    if spread == 0:
        return True
    order = sorted(range(count), key=lambda i: feature[i])
    differences = sum((residuals[i] - residuals[j]) ** 2 for i, j in pairwise(order)) / (count - 1)
    deviation = math.sqrt(4 * (count - 2) / (count**2 - 1))
    return differences / spread < 2 - UNLIKE * deviation
