"""What a text holds, where, and how two texts compare."""

from __future__ import annotations

import operator

from metaloom_registry import EvaluationError, Primitive


def find(part: str, s: str) -> int:
    place = s.find(part)
    if place < 0:
        raise EvaluationError(f"{part[:40]!r} does not occur in the text")
    return place


def find_last(part: str, s: str) -> int:
    place = s.rfind(part)
    if place < 0:
        raise EvaluationError(f"{part[:40]!r} does not occur in the text")
    return place


def find_nth(n: int, part: str, s: str) -> int:
    if n < 0 or not part:
        raise EvaluationError("what is found is counted from 0, and is not empty")
    pieces = s.split(part, n + 1)
    if len(pieces) < n + 2:
        raise EvaluationError(f"{part[:40]!r} does not occur {n + 1} times in the text")
    return len(s) - len(pieces[-1]) - len(part)


def occurrences(part: str, s: str) -> int:
    if not part:
        raise EvaluationError("the empty text occurs everywhere")
    return s.count(part)


FINDING = (
    Primitive(
        "text/find", 1, "text -> text -> int",
        "The place of the first occurrence; none where there is none.", ("part", "s"), find,
        source="s.index(part)", examples=(('(find "b" "abcb")', 1), ('(find "" "abc")', 0)),
    ),
    Primitive(
        "text/find_last", 1, "text -> text -> int",
        "The place of the last occurrence; none where there is none.", ("part", "s"), find_last,
        source="s.rindex(part)",
        examples=(('(find_last "b" "abcb")', 3), ('(find_last "a" "abc")', 0)),
    ),
    Primitive(
        "text/find_nth", 1, "int -> text -> text -> int",
        "The place of the occurrence number n, counted from 0; none where there is none.",
        ("n", "part", "s"), find_nth,
        source="[match.start() for match in re.finditer(re.escape(part), s)][n]",
        imports=("import re",),
        examples=(('(find_nth 1 "b" "abcb")', 3), ('(find_nth 0 "bc" "abcb")', 1)), cost=1.0,
    ),
    Primitive(
        "text/occurrences", 1, "text -> text -> int",
        "How often the part occurs, without overlap; none for an empty part.",
        ("part", "s"), occurrences,
        source="s.count(part)",
        examples=(('(occurrences "b" "abcb")', 2), ('(occurrences "aa" "aaa")', 1)),
    ),
    Primitive(
        "text/has", 1, "text -> text -> bool", "Whether the part occurs in the text.",
        ("part", "s"), lambda part, s: part in s,
        source="part in s", examples=(('(has "b" "abc")', True), ('(has "d" "abc")', False)),
    ),
    Primitive(
        "text/starts_with", 1, "text -> text -> bool", "Whether the text begins with the part.",
        ("part", "s"), lambda part, s: s.startswith(part),
        source="s.startswith(part)",
        examples=(('(starts_with "a" "abc")', True), ('(starts_with "b" "abc")', False)),
    ),
    Primitive(
        "text/ends_with", 1, "text -> text -> bool", "Whether the text ends with the part.",
        ("part", "s"), lambda part, s: s.endswith(part),
        source="s.endswith(part)",
        examples=(('(ends_with "c" "abc")', True), ('(ends_with "b" "abc")', False)),
    ),
    Primitive(
        "text/same_text", 1, "text -> text -> bool", "Whether two texts are the same.",
        ("s", "t"), operator.eq,
        source="s == t",
        examples=(('(same_text "ab" "ab")', True), ('(same_text "ab" "AB")', False)),
    ),
    Primitive(
        "text/precedes", 1, "text -> text -> bool",
        "Whether the first text comes before the second in the order of code points.",
        ("s", "t"), operator.lt,
        source="s < t", examples=(('(precedes "ab" "b")', True), ('(precedes "b" "B")', False)),
    ),
    Primitive(
        "text/is_blank", 1, "text -> bool", "Whether the text has nothing but white space.",
        ("s",), lambda s: not s.strip(),
        source="not s.strip()", examples=(('(is_blank " ")', True), ('(is_blank "a ")', False)),
    ),
    Primitive(
        "text/all_digits", 1, "text -> bool",
        "Whether the text has decimal digits only, and at least one.", ("s",), str.isdecimal,
        source="s.isdecimal()",
        examples=(('(all_digits "12")', True), ('(all_digits "1a")', False)),
    ),
    Primitive(
        "text/all_letters", 1, "text -> bool",
        "Whether the text has letters only, and at least one.", ("s",), str.isalpha,
        source="s.isalpha()",
        examples=(('(all_letters "aé")', True), ('(all_letters "a1")', False)),
    ),
    Primitive(
        "text/all_upper", 1, "text -> bool",
        "Whether all letters of the text are capitals, and there is one.", ("s",), str.isupper,
        source="s.isupper()", examples=(('(all_upper "AB1")', True), ('(all_upper "Ab")', False)),
    ),
    Primitive(
        "text/all_lower", 1, "text -> bool",
        "Whether all letters of the text are small, and there is one.", ("s",), str.islower,
        source="s.islower()", examples=(('(all_lower "ab1")', True), ('(all_lower "Ab")', False)),
    ),
)  # fmt: skip
"""The primitives that look into texts and compare them."""
