"""Between floats, integers and texts."""

from __future__ import annotations

import math

from metaloom_floats.finite import finite
from metaloom_registry import EvaluationError, Primitive

_INT64 = 1 << 63
_LONGEST = 40
_DECIMALS = 12


def whole(value: int) -> int:
    """The integer. Raises EvaluationError where it does not fit into 64 bits."""
    if -_INT64 <= value < _INT64:
        return value
    raise EvaluationError("an integer overflows 64 bits")


def rounded(x: float, decimals: int) -> float:
    if not 0 <= decimals <= _DECIMALS:
        raise EvaluationError(f"{decimals} decimals are not between 0 and {_DECIMALS}")
    return finite(round(x, decimals))


def decimal(s: str) -> float:
    try:
        if len(s) <= _LONGEST:
            return finite(float(s))
    except ValueError:
        pass
    raise EvaluationError(f"{s[:_LONGEST]!r} is no number")


ROUNDING = (
    Primitive(
        "floats/as_float", 1, "int -> float", "The integer as a float.",
        ("n",), float,
        source="float(n)", examples=(("(as_float 2)", 2.0), ("(as_float -3)", -3.0)),
    ),
    Primitive(
        "floats/floor", 1, "float -> int", "The greatest integer that is not above the float.",
        ("x",), lambda x: whole(math.floor(x)),
        source="math.floor(x)", imports=("import math",),
        examples=(("(floor 2.7)", 2), ("(floor -0.5)", -1)),
    ),
    Primitive(
        "floats/ceiling", 1, "float -> int", "The least integer that is not below the float.",
        ("x",), lambda x: whole(math.ceil(x)),
        source="math.ceil(x)", imports=("import math",),
        examples=(("(ceiling 2.2)", 3), ("(ceiling -0.5)", 0)),
    ),
    Primitive(
        "floats/nearest_integer", 1, "float -> int", "The nearest integer, of two the even one.",
        ("x",), lambda x: whole(round(x)),
        source="round(x)", examples=(("(nearest_integer 2.7)", 3), ("(nearest_integer 0.5)", 0)),
    ),
    Primitive(
        "floats/rounded", 1, "float -> int -> float", "The float with so many decimals.",
        ("x", "n"), rounded,
        source="round(x, n)",
        examples=(("(rounded 2.718 2)", 2.72), ("(rounded 2.718 0)", 3.0)),
    ),
    Primitive(
        "floats/decimal", 1, "text -> float", "The number that the text writes in decimal.",
        ("s",), decimal,
        source="float(s)", examples=(('(decimal "2.50")', 2.5), ('(decimal "-1")', -1.0)),
    ),
)  # fmt: skip
"""The primitives that make floats of integers and texts, and integers of floats."""
