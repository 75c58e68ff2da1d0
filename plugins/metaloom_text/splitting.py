"""Texts as lists of their pieces, and back."""

from __future__ import annotations

from metaloom_registry import EvaluationError, Primitive
from metaloom_text.limits import characters, items


def split(separator: str, s: str) -> tuple[str, ...]:
    if not separator:
        raise EvaluationError("a text is not split at an empty text")
    pieces = s.split(separator)
    items(len(pieces))
    return tuple(pieces)


def join(separator: str, xs: tuple[str, ...]) -> str:
    characters(sum(map(len, xs)) + len(separator) * max(0, len(xs) - 1))
    return separator.join(xs)


def listed(s: str) -> tuple[str, ...]:
    items(len(s))
    return tuple(s)


SPLITTING = (
    Primitive(
        "text/split", 1, "text -> text -> list[text]",
        "The pieces of the text between the separators.", ("separator", "s"), split,
        source="s.split(separator)",
        examples=(('(split "," "a,b,,c")', ("a", "b", "", "c")), ('(split "," "")', ("",))),
    ),
    Primitive(
        "text/join", 1, "text -> list[text] -> text",
        "The texts one after the other, with the separator between them.",
        ("separator", "xs"), join,
        source="separator.join(xs)",
        examples=(('(join "-" (words "a b c"))', "a-b-c"), ('(join "" (words ""))', "")),
    ),
    Primitive(
        "text/words", 1, "text -> list[text]", "What stands between the white space.",
        ("s",), lambda s: tuple(s.split()),
        source="s.split()", examples=(('(words " a bc ")', ("a", "bc")), ('(words "")', ())),
    ),
    Primitive(
        "text/lines", 1, "text -> list[text]", "The lines of the text, without their ends.",
        ("s",), lambda s: tuple(s.splitlines()),
        source="s.splitlines()",
        examples=(('(lines "a\\nb")', ("a", "b")), ('(lines "")', ())),
    ),
    Primitive(
        "text/characters", 1, "text -> list[text]", "The code points of the text, one by one.",
        ("s",), listed,
        source="list(s)", examples=(('(characters "aé")', ("a", "é")), ('(characters "")', ())),
    ),
    Primitive(
        "text/alphabetical", 1, "list[text] -> list[text]",
        "The texts in the order of their code points.", ("xs",), lambda xs: tuple(sorted(xs)),
        source="sorted(xs)",
        examples=(
            ('(alphabetical (words "b a"))', ("a", "b")),
            ('(alphabetical (words "b B"))', ("B", "b")),
        ),
    ),
)  # fmt: skip
"""The primitives between texts and lists of texts."""
