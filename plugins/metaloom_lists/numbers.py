"""Arithmetic and comparison of 64-bit integers, as Python does them."""

from __future__ import annotations

import math
import operator

from metaloom_registry import EvaluationError, Primitive

LOWEST = -(1 << 63)
HIGHEST = (1 << 63) - 1


def int64(value: int) -> int:
    """The value itself. Raises EvaluationError where it does not fit into 64 bits."""
    if LOWEST <= value <= HIGHEST:
        return value
    raise EvaluationError("an integer overflows 64 bits")


def add(x: int, y: int) -> int:
    total = x + y  # int64, written out: these are called most of all
    if LOWEST <= total <= HIGHEST:
        return total
    raise EvaluationError(f"{x} + {y} overflows 64 bits")


def subtract(x: int, y: int) -> int:
    difference = x - y
    if LOWEST <= difference <= HIGHEST:
        return difference
    raise EvaluationError(f"{x} - {y} overflows 64 bits")


def multiply(x: int, y: int) -> int:
    product = x * y
    if LOWEST <= product <= HIGHEST:
        return product
    raise EvaluationError(f"{x} * {y} overflows 64 bits")


def divide(x: int, y: int) -> int:
    try:
        return int64(x // y)
    except ZeroDivisionError:
        raise EvaluationError(f"{x} is divided by zero") from None


def modulo(x: int, y: int) -> int:
    try:
        return x % y
    except ZeroDivisionError:
        raise EvaluationError(f"{x} modulo zero has no value") from None


def negate(x: int) -> int:
    return int64(-x)


def absolute(x: int) -> int:
    return int64(abs(x))


def is_prime(x: int) -> bool:
    """Trial division, refused beyond 10^12, where it would take too long."""
    if x > 10**12:
        raise EvaluationError(f"{x} is too large to be tested for primality; at most 10^12")
    if x < 4 or x % 2 == 0:
        return x in (2, 3)
    return all(x % divisor for divisor in range(3, math.isqrt(x) + 1, 2))


def is_square(x: int) -> bool:
    return x >= 0 and math.isqrt(x) ** 2 == x


NUMBERS = (
    Primitive(
        "lists/add", 1, "int -> int -> int", "The sum of two integers.", ("x", "y"), add,
        source="x + y", examples=(("(add 2 3)", 5), ("(add -2 2)", 0)), tags=("dreamcoder",),
    ),
    Primitive(
        "lists/subtract", 1, "int -> int -> int", "The first integer less the second.",
        ("x", "y"), subtract,
        source="x - y", examples=(("(subtract 2 3)", -1), ("(subtract 5 0)", 5)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/multiply", 1, "int -> int -> int", "The product of two integers.",
        ("x", "y"), multiply,
        source="x * y", examples=(("(multiply 2 3)", 6), ("(multiply -4 3)", -12)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/divide", 1, "int -> int -> int",
        "The quotient, rounded towards negative infinity; none by zero.", ("x", "y"), divide,
        source="x // y", examples=(("(divide 7 2)", 3), ("(divide -7 2)", -4)),
    ),
    Primitive(
        "lists/modulo", 1, "int -> int -> int",
        "The remainder, with the sign of the divisor; none by zero.", ("x", "y"), modulo,
        source="x % y", examples=(("(modulo 7 3)", 1), ("(modulo -7 3)", 2)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/negate", 1, "int -> int", "The integer with its sign changed.", ("x",), negate,
        source="-x", examples=(("(negate 3)", -3), ("(negate 0)", 0)),
    ),
    Primitive(
        "lists/absolute", 1, "int -> int", "The integer without its sign.", ("x",), absolute,
        source="abs(x)", examples=(("(absolute -3)", 3), ("(absolute 4)", 4)),
    ),
    Primitive(
        "lists/min", 1, "int -> int -> int", "The smaller of two integers.", ("x", "y"), min,
        source="min(x, y)", examples=(("(min 2 3)", 2), ("(min 3 -2)", -2)),
    ),
    Primitive(
        "lists/max", 1, "int -> int -> int", "The larger of two integers.", ("x", "y"), max,
        source="max(x, y)", examples=(("(max 2 3)", 3), ("(max 3 -2)", 3)),
    ),
    Primitive(
        "lists/equal", 1, "int -> int -> bool", "Whether two integers are the same.",
        ("x", "y"), operator.eq,
        source="x == y", examples=(("(equal 2 2)", True), ("(equal 2 3)", False)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/less", 1, "int -> int -> bool", "Whether the first integer is below the second.",
        ("x", "y"), operator.lt,
        source="x < y", examples=(("(less 2 3)", True), ("(less 3 3)", False)),
    ),
    Primitive(
        "lists/greater", 1, "int -> int -> bool", "Whether the first integer is above the second.",
        ("x", "y"), operator.gt,
        source="x > y", examples=(("(greater 3 2)", True), ("(greater 3 3)", False)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/is_even", 1, "int -> bool", "Whether two divides the integer.",
        ("x",), lambda x: x % 2 == 0,
        source="x % 2 == 0", examples=(("(is_even 4)", True), ("(is_even -3)", False)),
    ),
    Primitive(
        "lists/is_odd", 1, "int -> bool", "Whether two does not divide the integer.",
        ("x",), lambda x: x % 2 == 1,
        source="x % 2 == 1", examples=(("(is_odd 4)", False), ("(is_odd -3)", True)),
    ),
    Primitive(
        "lists/is_prime", 1, "int -> bool",
        "Whether the integer is a prime number; none beyond 10^12.", ("x",), is_prime,
        source="x > 1 and all(x % d for d in range(2, math.isqrt(x) + 1))",
        imports=("import math",),
        examples=(("(is_prime 7)", True), ("(is_prime 9)", False), ("(is_prime -2)", False)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/is_square", 1, "int -> bool", "Whether the integer is the square of another.",
        ("x",), is_square,
        source="x >= 0 and math.isqrt(x) ** 2 == x", imports=("import math",),
        examples=(("(is_square 9)", True), ("(is_square 8)", False), ("(is_square -4)", False)),
        tags=("dreamcoder",),
    ),
)  # fmt: skip
"""The primitives on integers."""
