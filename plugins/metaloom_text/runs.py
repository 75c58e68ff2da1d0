"""The runs of one kind of character in a text: numbers, letters, capitals, what is neither."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

from metaloom_registry import Primitive
from metaloom_text.limits import items

_IMPORTS = ("from itertools import groupby",)


def runs(kind: Callable[[str], bool]) -> Callable[[str], tuple[str, ...]]:
    """A function to the longest runs of characters of a kind, from left to right."""

    def found(s: str) -> tuple[str, ...]:
        items(len(s))
        return tuple(["".join(run) for of_kind, run in groupby(s, kind) if of_kind])

    return found


def _source(kind: str) -> str:
    return f'["".join(run) for of_kind, run in groupby(s, {kind}) if of_kind]'


def is_symbol(c: str) -> bool:
    return not c.isalnum() and not c.isspace()


def only(kind: Callable[[str], bool]) -> Callable[[str], str]:
    """A function to the characters of a kind, put together."""
    return lambda s: "".join([c for c in s if kind(c)])


def capitals(s: str) -> tuple[str, ...]:
    found = [c for c in s if c.isupper()]
    items(len(found))
    return tuple(found)


RUNS = (
    Primitive(
        "text/numbers", 1, "text -> list[text]", "The runs of decimal digits.",
        ("s",), runs(str.isdecimal),
        source=_source("str.isdecimal"), imports=_IMPORTS,
        examples=(('(numbers "a12-3")', ("12", "3")), ('(numbers "abc")', ())),
    ),
    Primitive(
        "text/letter_runs", 1, "text -> list[text]", "The runs of letters.",
        ("s",), runs(str.isalpha),
        source=_source("str.isalpha"), imports=_IMPORTS,
        examples=(('(letter_runs "ab12é")', ("ab", "é")), ('(letter_runs "12")', ())),
    ),
    Primitive(
        "text/tokens", 1, "text -> list[text]", "The runs of letters and digits.",
        ("s",), runs(str.isalnum),
        source=_source("str.isalnum"), imports=_IMPORTS,
        examples=(('(tokens "a1, b2")', ("a1", "b2")), ('(tokens "--")', ())),
    ),
    Primitive(
        "text/upper_runs", 1, "text -> list[text]", "The runs of capitals.",
        ("s",), runs(str.isupper),
        source=_source("str.isupper"), imports=_IMPORTS,
        examples=(('(upper_runs "ABcD")', ("AB", "D")), ('(upper_runs "ab")', ())),
    ),
    Primitive(
        "text/lower_runs", 1, "text -> list[text]", "The runs of small letters.",
        ("s",), runs(str.islower),
        source=_source("str.islower"), imports=_IMPORTS,
        examples=(('(lower_runs "aBcd")', ("a", "cd")), ('(lower_runs "AB")', ())),
    ),
    Primitive(
        "text/symbol_runs", 1, "text -> list[text]",
        "The runs of what is neither letter nor digit nor white space.", ("s",), runs(is_symbol),
        source=_source("lambda c: not c.isalnum() and not c.isspace()"), imports=_IMPORTS,
        examples=(('(symbol_runs "a+-b (c)")', ("+-", "(", ")")), ('(symbol_runs "ab")', ())),
    ),
    Primitive(
        "text/capitals", 1, "text -> list[text]", "The capitals, one by one.",
        ("s",), capitals,
        source="[c for c in s if c.isupper()]",
        examples=(('(capitals "New York")', ("N", "Y")), ('(capitals "ab")', ())),
    ),
    Primitive(
        "text/digits_of", 1, "text -> text", "The decimal digits of the text, put together.",
        ("s",), only(str.isdecimal),
        source='"".join([c for c in s if c.isdecimal()])',
        examples=(('(digits_of "a1-2")', "12"), ('(digits_of "ab")', "")),
    ),
    Primitive(
        "text/letters_of", 1, "text -> text", "The letters of the text, put together.",
        ("s",), only(str.isalpha),
        source='"".join([c for c in s if c.isalpha()])',
        examples=(('(letters_of "a1-b")', "ab"), ('(letters_of "12")', "")),
    ),
)  # fmt: skip
"""The primitives that find runs of characters."""
