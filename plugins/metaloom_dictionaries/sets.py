"""Sets: their items, and what two of them have in common."""

from __future__ import annotations

from typing import Any

from metaloom_dictionaries.limits import bounded
from metaloom_registry import Primitive

Items = frozenset[Any]

SETS = (
    Primitive(
        "sets/empty_set", 1, "set[a]", "The set without items.", (), frozenset,
        source="set()",
        examples=(("(set_size empty_set)", 0), ("(insert 1 empty_set)", frozenset({1}))),
    ),
    Primitive(
        "sets/to_set", 1, "list[a] -> set[a]", "The items of a list, each once.",
        ("xs",), lambda xs: bounded(frozenset(xs)),
        source="set(xs)",
        examples=(
            ("(to_set (to_list (insert 1 empty_set)))", frozenset({1})),
            ("(to_set (to_list (insert true empty_set)))", frozenset({True})),
        ),
    ),
    Primitive(
        "sets/to_list", 1, "set[a] -> list[a]", "The items, the least first.",
        ("s",), lambda s: tuple(sorted(s)),
        source="sorted(s)",
        examples=(
            ("(to_list (insert 1 (insert 2 empty_set)))", (1, 2)),
            ("(to_list (insert 3 empty_set))", (3,)),
        ),
    ),
    Primitive(
        "sets/insert", 1, "a -> set[a] -> set[a]", "The set with one more item.",
        ("x", "s"), lambda x, s: bounded(s | {x}),
        source="s | {x}",
        examples=(
            ("(insert 1 empty_set)", frozenset({1})),
            ("(insert 1 (insert 1 empty_set))", frozenset({1})),
        ),
    ),
    Primitive(
        "sets/discard", 1, "a -> set[a] -> set[a]", "The set without an item, if it has it.",
        ("x", "s"), lambda x, s: s - {x},
        source="s - {x}",
        examples=(
            ("(discard 1 (insert 1 empty_set))", frozenset()),
            ("(discard 2 (insert 1 empty_set))", frozenset({1})),
        ),
    ),
    Primitive(
        "sets/member", 1, "a -> set[a] -> bool", "Whether the item is in the set.",
        ("x", "s"), lambda x, s: x in s,
        source="x in s",
        examples=(("(member 1 (insert 1 empty_set))", True), ("(member 1 empty_set)", False)),
    ),
    Primitive(
        "sets/set_size", 1, "set[a] -> int", "How many items the set has.", ("s",), len,
        source="len(s)",
        examples=(("(set_size empty_set)", 0), ("(set_size (insert 1 empty_set))", 1)),
    ),
    Primitive(
        "sets/union", 1, "set[a] -> set[a] -> set[a]", "The items that are in one of the two.",
        ("s", "t"), lambda s, t: bounded(s | t),
        source="s | t",
        examples=(
            ("(union (insert 1 empty_set) (insert 2 empty_set))", frozenset({1, 2})),
            ("(union (insert 1 empty_set) empty_set)", frozenset({1})),
        ),
    ),
    Primitive(
        "sets/intersection", 1, "set[a] -> set[a] -> set[a]", "The items that are in both.",
        ("s", "t"), lambda s, t: s & t,
        source="s & t",
        examples=(
            ("(intersection (insert 1 empty_set) (insert 1 empty_set))", frozenset({1})),
            ("(intersection (insert 1 empty_set) (insert 2 empty_set))", frozenset()),
        ),
    ),
    Primitive(
        "sets/difference", 1, "set[a] -> set[a] -> set[a]", "The items of the first alone.",
        ("s", "t"), lambda s, t: s - t,
        source="s - t",
        examples=(
            ("(difference (insert 1 empty_set) (insert 2 empty_set))", frozenset({1})),
            ("(difference (insert 1 empty_set) (insert 1 empty_set))", frozenset()),
        ),
    ),
    Primitive(
        "sets/is_subset", 1, "set[a] -> set[a] -> bool",
        "Whether every item of the first is in the second.",
        ("s", "t"), lambda s, t: s <= t,
        source="s <= t",
        examples=(
            ("(is_subset empty_set (insert 1 empty_set))", True),
            ("(is_subset (insert 1 empty_set) empty_set)", False),
        ),
    ),
)  # fmt: skip
"""The primitives on sets."""
