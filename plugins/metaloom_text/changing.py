"""Texts changed as a whole: their case, their spaces, what is replaced in them."""

from __future__ import annotations

from metaloom_registry import EvaluationError, Primitive
from metaloom_text.limits import characters


def replaced(old: str, new: str, s: str) -> str:
    if not old:
        raise EvaluationError("nothing is replaced for an empty text")
    characters(len(s) + s.count(old) * (len(new) - len(old)))
    return s.replace(old, new)


def replaced_first(old: str, new: str, s: str) -> str:
    if not old:
        raise EvaluationError("nothing is replaced for an empty text")
    characters(len(s) + len(new))
    return s.replace(old, new, 1)


def repeated(n: int, s: str) -> str:
    characters(n * len(s))
    return s * n


def padded(n: int, fill: str, s: str) -> str:
    if len(fill) != 1:
        raise EvaluationError("a text is filled up with one character")
    characters(n)
    return s.rjust(n, fill)


CHANGING = (
    Primitive(
        "text/replace", 1, "text -> text -> text -> text",
        "The text with every old part replaced by the new one.", ("old", "new", "s"), replaced,
        source="s.replace(old, new)",
        examples=(('(replace "a" "b" "aca")', "bcb"), ('(replace "-" "" "1-2")', "12")),
    ),
    Primitive(
        "text/replace_first", 1, "text -> text -> text -> text",
        "The text with the first old part replaced by the new one.",
        ("old", "new", "s"), replaced_first,
        source="s.replace(old, new, 1)",
        examples=(('(replace_first "a" "b" "aca")', "bca"), ('(replace_first "x" "b" "a")', "a")),
    ),
    Primitive(
        "text/remove", 1, "text -> text -> text", "The text without every such part.",
        ("part", "s"), lambda part, s: replaced(part, "", s),
        source='s.replace(part, "")',
        examples=(('(remove "-" "1-2-3")', "123"), ('(remove "x" "ab")', "ab")),
    ),
    Primitive(
        "text/upper", 1, "text -> text", "The text in capitals.", ("s",), str.upper,
        source="s.upper()", examples=(('(upper "aé1")', "AÉ1"), ('(upper "ß")', "SS")),
    ),
    Primitive(
        "text/lower", 1, "text -> text", "The text in small letters.", ("s",), str.lower,
        source="s.lower()", examples=(('(lower "AÉ1")', "aé1"), ('(lower "ab")', "ab")),
    ),
    Primitive(
        "text/title", 1, "text -> text",
        "The text with each run of letters beginning with its only capital.", ("s",), str.title,
        source="s.title()", examples=(('(title "ab CD")', "Ab Cd"), ('(title "")', "")),
    ),
    Primitive(
        "text/capitalised", 1, "text -> text",
        "The text with its first character a capital and small letters after it.",
        ("s",), str.capitalize,
        source="s.capitalize()",
        examples=(('(capitalised "aB c")', "Ab c"), ('(capitalised "")', "")),
    ),
    Primitive(
        "text/strip", 1, "text -> text", "The text without white space at its ends.",
        ("s",), str.strip,
        source="s.strip()", examples=(('(strip " a b ")', "a b"), ('(strip "a")', "a")),
    ),
    Primitive(
        "text/strip_symbols", 1, "text -> text",
        "The text without what is neither letter nor digit at its ends.", ("s",),
        lambda s: stripped(s),
        source=(
            's[next((i for i, c in enumerate(s) if c.isalnum()), len(s)):'
            'max((i + 1 for i, c in enumerate(s) if c.isalnum()), default=0)]'
        ),
        examples=(('(strip_symbols "(a-b).")', "a-b"), ('(strip_symbols "--")', "")), cost=0.5,
    ),
    Primitive(
        "text/squeeze", 1, "text -> text",
        "The words of the text with a single space between them.",
        ("s",), lambda s: " ".join(s.split()),
        source='" ".join(s.split())',
        examples=(('(squeeze " a  b ")', "a b"), ('(squeeze "")', "")),
    ),
    Primitive(
        "text/mirrored", 1, "text -> text", "The code points in the opposite order.",
        ("s",), lambda s: s[::-1],
        source="s[::-1]", examples=(('(mirrored "abc")', "cba"), ('(mirrored "")', "")),
    ),
    Primitive(
        "text/repeat_text", 1, "int -> text -> text", "The text n times.", ("n", "s"), repeated,
        source="s * n", examples=(('(repeat_text 2 "ab")', "abab"), ('(repeat_text -1 "a")', "")),
    ),
    Primitive(
        "text/pad", 1, "int -> text -> text -> text",
        "The text filled up on the left with a character, to n characters.",
        ("n", "fill", "s"), padded,
        source="s.rjust(n, fill)",
        examples=(('(pad 3 "0" "7")', "007"), ('(pad 1 "0" "42")', "42")),
    ),
)  # fmt: skip
"""The primitives that change a text as a whole."""


def stripped(s: str) -> str:
    """The text from its first letter or digit to its last."""
    start, stop = 0, len(s)
    while start < stop and not s[start].isalnum():
        start += 1
    while stop > start and not s[stop - 1].isalnum():
        stop -= 1
    return s[start:stop]
