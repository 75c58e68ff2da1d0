"""Parts of a text by place or by what stands beside them, and texts put together."""

from __future__ import annotations

from metaloom_registry import EvaluationError, Primitive
from metaloom_text.limits import characters


def concatenate(s: str, t: str) -> str:
    characters(len(s) + len(t))
    return s + t


def character(i: int, s: str) -> str:
    try:
        return s[i]
    except IndexError:
        raise EvaluationError(f"a text of {len(s)} characters has none at {i}") from None


def between(start: str, stop: str, s: str) -> str:
    if not start or not stop:
        raise EvaluationError("nothing stands between empty texts")
    return s.partition(start)[2].partition(stop)[0]


def part(s: str, separator: str, side: int) -> str:
    if not separator:
        raise EvaluationError("a text is not cut at an empty text")
    return s.partition(separator)[side]


def last_part(s: str, separator: str, side: int) -> str:
    if not separator:
        raise EvaluationError("a text is not cut at an empty text")
    return s.rpartition(separator)[side]


SLICES = (
    Primitive(
        "text/concatenate", 1, "text -> text -> text", "One text and then the other.",
        ("s", "t"), concatenate,
        source="s + t",
        examples=(('(concatenate "ab" "c")', "abc"), ('(concatenate "" "é")', "é")),
    ),
    Primitive(
        "text/text_length", 1, "text -> int", "How many code points the text has.",
        ("s",), len,
        source="len(s)", examples=(('(text_length "abc")', 3), ('(text_length "")', 0)),
    ),
    Primitive(
        "text/character", 1, "int -> text -> text",
        "The character at place i, counted from 0; below 0, from the end.", ("i", "s"), character,
        source="s[i]", examples=(('(character 1 "abc")', "b"), ('(character -1 "abc")', "c")),
    ),
    Primitive(
        "text/left", 1, "int -> text -> text",
        "The first n characters; below 0, all but the last -n.", ("n", "s"), lambda n, s: s[:n],
        source="s[:n]", examples=(('(left 2 "abc")', "ab"), ('(left -1 "abc")', "ab")),
    ),
    Primitive(
        "text/skip", 1, "int -> text -> text",
        "All but the first n characters; below 0, the last -n.", ("n", "s"), lambda n, s: s[n:],
        source="s[n:]", examples=(('(skip 2 "abc")', "c"), ('(skip -2 "abc")', "bc")),
    ),
    Primitive(
        "text/substring", 1, "int -> int -> text -> text",
        "The characters from place i up to the one before place j.",
        ("i", "j", "s"), lambda i, j, s: s[i:j],
        source="s[i:j]",
        examples=(('(substring 1 3 "abcd")', "bc"), ('(substring 1 -1 "abcd")', "bc")),
    ),
    Primitive(
        "text/before", 1, "text -> text -> text",
        "What stands before the first such separator; the whole text where there is none.",
        ("separator", "s"), lambda separator, s: part(s, separator, 0),
        source="s.partition(separator)[0]",
        examples=(('(before "-" "a-b-c")', "a"), ('(before "-" "abc")', "abc")),
    ),
    Primitive(
        "text/after", 1, "text -> text -> text",
        "What stands after the first such separator; nothing where there is none.",
        ("separator", "s"), lambda separator, s: part(s, separator, 2),
        source="s.partition(separator)[2]",
        examples=(('(after "-" "a-b-c")', "b-c"), ('(after "-" "abc")', "")),
    ),
    Primitive(
        "text/before_last", 1, "text -> text -> text",
        "What stands before the last such separator; nothing where there is none.",
        ("separator", "s"), lambda separator, s: last_part(s, separator, 0),
        source="s.rpartition(separator)[0]",
        examples=(('(before_last "-" "a-b-c")', "a-b"), ('(before_last "-" "abc")', "")),
    ),
    Primitive(
        "text/after_last", 1, "text -> text -> text",
        "What stands after the last such separator; the whole text where there is none.",
        ("separator", "s"), lambda separator, s: last_part(s, separator, 2),
        source="s.rpartition(separator)[2]",
        examples=(('(after_last "-" "a-b-c")', "c"), ('(after_last "-" "abc")', "abc")),
    ),
    Primitive(
        "text/between", 1, "text -> text -> text -> text",
        "What stands after the first start and before the next stop.",
        ("start", "stop", "s"), between,
        source="s.partition(start)[2].partition(stop)[0]",
        examples=(('(between "(" ")" "a(b)c")', "b"), ('(between "," "," "a,b")', "b")),
    ),
)  # fmt: skip
"""The primitives that cut texts and put them together."""
