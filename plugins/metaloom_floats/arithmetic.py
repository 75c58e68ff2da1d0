"""Arithmetic and comparison of floats."""

from __future__ import annotations

import math
import operator

from metaloom_floats.finite import finite
from metaloom_registry import EvaluationError, Primitive


def over(x: float, y: float) -> float:
    if y == 0:
        raise EvaluationError(f"{x} is divided by zero")
    return finite(x / y)


def square_root(x: float) -> float:
    if x < 0:
        raise EvaluationError(f"{x} has no square root")
    return math.sqrt(x)


def power(x: float, n: int) -> float:
    try:
        return finite(x**n)
    except (OverflowError, ZeroDivisionError):
        raise EvaluationError(f"{x} to the power {n} has no value") from None


ARITHMETIC = (
    Primitive(
        "floats/added", 1, "float -> float -> float", "The sum of two floats.",
        ("x", "y"), lambda x, y: finite(x + y),
        source="x + y", examples=(("(added 0.5 2.0)", 2.5), ("(added -1.0 1.0)", 0.0)),
    ),
    Primitive(
        "floats/minus", 1, "float -> float -> float", "The first float less the second.",
        ("x", "y"), lambda x, y: finite(x - y),
        source="x - y", examples=(("(minus 0.5 2.0)", -1.5), ("(minus 3.0 1.0)", 2.0)),
    ),
    Primitive(
        "floats/times", 1, "float -> float -> float", "The product of two floats.",
        ("x", "y"), lambda x, y: finite(x * y),
        source="x * y", examples=(("(times 0.5 3.0)", 1.5), ("(times -2.0 2.0)", -4.0)),
    ),
    Primitive(
        "floats/over", 1, "float -> float -> float", "The first float divided by the second.",
        ("x", "y"), over,
        source="x / y", examples=(("(over 3.0 2.0)", 1.5), ("(over -1.0 4.0)", -0.25)),
    ),
    Primitive(
        "floats/power", 1, "float -> int -> float", "A float to the power of an integer.",
        ("x", "n"), power,
        source="x ** n", examples=(("(power 1.5 2)", 2.25), ("(power 2.0 -1)", 0.5)),
    ),
    Primitive(
        "floats/square_root", 1, "float -> float", "The square root of a float.",
        ("x",), square_root,
        source="math.sqrt(x)", imports=("import math",),
        examples=(("(square_root 2.25)", 1.5), ("(square_root 0.0)", 0.0)),
    ),
    Primitive(
        "floats/magnitude", 1, "float -> float", "The float without its sign.",
        ("x",), abs,
        source="abs(x)", examples=(("(magnitude -1.5)", 1.5), ("(magnitude 2.0)", 2.0)),
    ),
    Primitive(
        "floats/lesser", 1, "float -> float -> float", "The lower of two floats.",
        ("x", "y"), min,
        source="min(x, y)", examples=(("(lesser 0.5 2.0)", 0.5), ("(lesser 1.0 -1.0)", -1.0)),
    ),
    Primitive(
        "floats/larger", 1, "float -> float -> float", "The higher of two floats.",
        ("x", "y"), max,
        source="max(x, y)", examples=(("(larger 0.5 2.0)", 2.0), ("(larger 1.0 -1.0)", 1.0)),
    ),
    Primitive(
        "floats/below", 1, "float -> float -> bool", "Whether the first float is below the second.",
        ("x", "y"), operator.lt,
        source="x < y", examples=(("(below 0.5 2.0)", True), ("(below 1.0 1.0)", False)),
    ),
)  # fmt: skip
"""The primitives on two floats or one."""
