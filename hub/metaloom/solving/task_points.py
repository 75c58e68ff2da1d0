"""The point of a task: 128 numbers by which tasks that look alike are found.

The first half is the task's type, each part hashed to a place and a sign (Weinberger et al. 2009).
The second half says what its examples are like: statistics of the numbers in them, of the inputs,
of the output, and of what the two have to do with each other, each squashed to within one; their
mean and deviation over the support.  Nothing is learned, so all points can be compared for ever.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from metaloom_metalearn import Task
from metaloom_registry import parts

HALF = 64
MOST_EXAMPLES = 64
MOST_NUMBERS = 20_000
"""Of one value; what comes after is left out."""

LARGEST = 1e30
"""Numbers of a value are cut off here."""

TYPE_WEIGHT = 2.0
"""How much the type counts beside the examples."""


def task_point(task: Task) -> tuple[float, ...]:
    """128 numbers; equal tasks have equal points."""
    count = min(len(task.support), MOST_EXAMPLES)
    rows = [
        _example([column[i] for column in task.support.inputs], task.support.outputs[i])
        for i in range(count)
    ]
    means = [sum(column) / count for column in zip(*rows, strict=True)]
    spread = [
        math.sqrt(sum((value - mean) ** 2 for value in column) / count)
        for column, mean in zip(zip(*rows, strict=True), means, strict=True)
    ]
    looks = [*means, *spread]
    return (*_type_half(task), *looks, *[0.0] * (HALF - len(looks)))


def _type_half(task: Task) -> list[float]:
    """The parts of the type, hashed; of length `TYPE_WEIGHT`."""
    found = [0.0] * HALF
    for part in parts(task.type):
        digest = hashlib.sha256(str(part).encode()).digest()
        found[digest[0] % HALF] += 1.0 if digest[1] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in found)) or 1.0
    return [TYPE_WEIGHT * value / length for value in found]


def _example(inputs: Sequence[Any], output: Any) -> list[float]:
    """What one example is like: 24 numbers within one."""
    given = [number for value in inputs for number in _numbers(value)]
    made = _numbers(output)
    kept = len(set(made) & set(given)) / max(1, len(set(made)))
    longer = math.log((1 + len(made)) / (1 + len(given)))
    sums = math.tanh((sum(made) - sum(given)) / (1 + abs(sum(given))))
    return [
        *_statistics(given),
        *_statistics(made),
        kept,
        float(made == given),
        math.tanh(longer),
        sums,
    ]


def _statistics(numbers: Sequence[float]) -> list[float]:
    """Ten numbers within one: count, mean, deviation, ends, order, sign, whole numbers, repeats."""
    count = len(numbers)
    if not count:
        return [0.0] * 10
    mean = sum(numbers) / count
    deviation = math.sqrt(sum((number - mean) ** 2 for number in numbers) / count)
    rising = sum(a <= b for a, b in pairwise(numbers)) / max(1, count - 1)
    return [
        math.log1p(count) / 10,
        _squashed(mean),
        _squashed(deviation),
        _squashed(min(numbers)),
        _squashed(max(numbers)),
        rising,
        sum(number < 0 for number in numbers) / count,
        sum(number == 0 for number in numbers) / count,
        sum(number == math.floor(number) for number in numbers) / count,
        len(set(numbers)) / count,
    ]


def _squashed(number: float) -> float:
    """A number of any size within one, its sign kept."""
    return math.copysign(math.log1p(abs(number)) / (1 + math.log1p(abs(number))), number)


def _numbers(value: Any) -> list[float]:
    """All numbers in a value, in order; characters by their code points."""
    found: list[float] = []
    for number in _walk(value):
        if len(found) == MOST_NUMBERS:
            break
        found.append(max(-LARGEST, min(LARGEST, number)) if math.isfinite(number) else 0.0)
    return found


def _walk(value: Any) -> Iterator[float]:
    if isinstance(value, str):
        yield from (float(ord(character)) for character in value)
    elif isinstance(value, bool | int | float):
        yield _float(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(key)
            yield from _walk(item)
    elif isinstance(value, Sequence | set | frozenset):
        for item in sorted(value, key=repr) if isinstance(value, set | frozenset) else value:
            yield from _walk(item)
    elif hasattr(value, "flatten"):
        yield from map(float, value.detach().flatten()[:MOST_NUMBERS].tolist())


def _float(number: float) -> float:
    """A number as a float; one too large for it is as large as floats are."""
    try:
        return float(number)
    except OverflowError:
        return LARGEST if number > 0 else -LARGEST
