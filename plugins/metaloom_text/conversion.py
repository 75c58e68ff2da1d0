"""Between texts and integers."""

from __future__ import annotations

from metaloom_registry import EvaluationError, Primitive

_LONGEST = 40
_INT64 = 1 << 63


def parsed(s: str) -> int:
    try:
        if len(s) <= _LONGEST and -_INT64 <= (value := int(s)) < _INT64:
            return value
    except ValueError:
        pass
    raise EvaluationError(f"{s[:_LONGEST]!r} is no integer of 64 bits")


def code_point(s: str) -> int:
    if len(s) != 1:
        raise EvaluationError("one character has a code point, not " + repr(s[:_LONGEST]))
    return ord(s)


def from_code_point(n: int) -> str:
    if not 0 <= n < 0x110000 or 0xD800 <= n < 0xE000:
        raise EvaluationError(f"{n} is the code point of no character")
    return chr(n)


CONVERSION = (
    Primitive(
        "text/number", 1, "text -> int", "The integer that the text writes in decimal.",
        ("s",), parsed,
        source="int(s)", examples=(('(number "042")', 42), ('(number "-7")', -7)),
    ),
    Primitive(
        "text/written", 1, "int -> text", "The integer in decimal.", ("n",), str,
        source="str(n)", examples=(("(written 42)", "42"), ("(written -7)", "-7")),
    ),
    Primitive(
        "text/code_point", 1, "text -> int", "The number of the one character in Unicode.",
        ("s",), code_point,
        source="ord(s)", examples=(('(code_point "a")', 97), ('(code_point "é")', 233)),
    ),
    Primitive(
        "text/from_code_point", 1, "int -> text", "The character of that number in Unicode.",
        ("n",), from_code_point,
        source="chr(n)",
        examples=(("(from_code_point 97)", "a"), ("(from_code_point 233)", "é")),
    ),
)  # fmt: skip
"""The primitives between texts and integers."""
