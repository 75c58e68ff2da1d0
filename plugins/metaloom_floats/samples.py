"""Of lists of floats: their sum, their mean, their extremes, and their items in order."""

from __future__ import annotations

import math

from metaloom_floats.finite import finite
from metaloom_registry import EvaluationError, Primitive

Floats = tuple[float, ...]


def total(xs: Floats) -> float:
    try:
        return math.fsum(xs)
    except OverflowError:
        raise EvaluationError("a float overflows") from None


def mean(xs: Floats) -> float:
    return finite(total(xs) / len(_some(xs)))


def _some(xs: Floats) -> Floats:
    if not xs:
        raise EvaluationError("an empty list has no mean, and no extremes")
    return xs


SAMPLES = (
    Primitive(
        "floats/total", 1, "list[float] -> float", "The sum of a list of floats.",
        ("xs",), total,
        source="math.fsum(xs)", imports=("import math",),
        examples=(("(total (singleton 0.5))", 0.5), ("(total empty)", 0.0)),
    ),
    Primitive(
        "floats/mean", 1, "list[float] -> float", "The mean of a list of floats.",
        ("xs",), mean,
        source="math.fsum(xs) / len(xs)", imports=("import math",),
        examples=(
            ("(mean (singleton 0.5))", 0.5),
            ("(mean (cons 1.0 (singleton 2.0)))", 1.5),
        ),
    ),
    Primitive(
        "floats/smallest", 1, "list[float] -> float", "The smallest of a list of floats.",
        ("xs",), lambda xs: min(_some(xs)),
        source="min(xs)",
        examples=(
            ("(smallest (singleton 0.5))", 0.5),
            ("(smallest (cons 1.0 (singleton 2.0)))", 1.0),
        ),
    ),
    Primitive(
        "floats/largest", 1, "list[float] -> float", "The largest of a list of floats.",
        ("xs",), lambda xs: max(_some(xs)),
        source="max(xs)",
        examples=(
            ("(largest (singleton 0.5))", 0.5),
            ("(largest (cons 1.0 (singleton 2.0)))", 2.0),
        ),
    ),
    Primitive(
        "floats/ascending", 1, "list[float] -> list[float]", "The floats, the smallest first.",
        ("xs",), lambda xs: tuple(sorted(xs)),
        source="sorted(xs)",
        examples=(
            ("(ascending (singleton 0.5))", (0.5,)),
            ("(ascending (cons 2.0 (singleton 1.0)))", (1.0, 2.0)),
        ),
    ),
)  # fmt: skip
"""The primitives on lists of floats."""
