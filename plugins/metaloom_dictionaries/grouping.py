"""Dictionaries out of lists: from pairs, counts, and groups by what a function gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_dictionaries.limits import bounded
from metaloom_registry import FrozenDict, Primitive

Items = tuple[Any, ...]
Function = Callable[[Any], Any]


def counts(xs: Items) -> FrozenDict[Any, int]:
    found: dict[Any, int] = {}
    for x in xs:
        found[x] = found.get(x, 0) + 1
    return bounded(FrozenDict(found))


def group_by(f: Function, xs: Items) -> FrozenDict[Any, Items]:
    found: dict[Any, list[Any]] = {}
    for x in xs:
        found.setdefault(f(x), []).append(x)
    return bounded(FrozenDict((key, tuple(group)) for key, group in found.items()))


GROUPING = (
    Primitive(
        "dictionaries/from_pairs", 1, "list[(a, b)] -> dict[a, b]",
        "The dictionary of these keys and values; the last value of a key counts.",
        ("pairs",), lambda pairs: bounded(FrozenDict(pairs)),
        source="dict(pairs)",
        examples=(
            ("(from_pairs (items (put 1 5 empty_dict)))", FrozenDict({1: 5})),
            ("(from_pairs (items empty_dict))", FrozenDict()),
        ),
    ),
    Primitive(
        "dictionaries/counts", 1, "list[a] -> dict[a, int]",
        "How often each item is in the list, in the order they first stand.",
        ("xs",), counts,
        source="dict(Counter(xs))", imports=("from collections import Counter",),
        examples=(
            ("(counts (values (put 1 5 (put 2 5 empty_dict))))", FrozenDict({5: 2})),
            ("(counts (keys (put 1 5 empty_dict)))", FrozenDict({1: 1})),
        ),
    ),
    Primitive(
        "dictionaries/count_by", 1, "(a -> b) -> list[a] -> dict[b, int]",
        "Of how many items the function gives each of its values.",
        ("f", "xs"), lambda f, xs: counts(tuple([f(x) for x in xs])),
        source="dict(Counter(f(x) for x in xs))", imports=("from collections import Counter",),
        examples=(
            ("(count_by (lam true) (keys (put 1 5 (put 2 5 empty_dict))))", FrozenDict({True: 2})),
            ("(count_by (lam $0) (keys (put 1 5 empty_dict)))", FrozenDict({1: 1})),
        ),
    ),
    Primitive(
        "dictionaries/group_by", 1, "(a -> b) -> list[a] -> dict[b, list[a]]",
        "The items under each value that the function gives, in the order they stand.",
        ("f", "xs"), group_by,
        source="{y: [x for x in xs if f(x) == y] for y in dict.fromkeys(f(x) for x in xs)}",
        examples=(
            ("(group_by (lam true) (keys (put 1 5 (put 2 5 empty_dict))))",
             FrozenDict({True: (2, 1)})),
            ("(group_by (lam $0) (keys (put 1 5 empty_dict)))", FrozenDict({1: (1,)})),
        ),
    ),
    Primitive(
        "dictionaries/tabulate", 1, "(a -> b) -> list[a] -> dict[a, b]",
        "Each item as a key, with the function's value on it.",
        ("f", "xs"), lambda f, xs: bounded(FrozenDict((x, f(x)) for x in xs)),
        source="{x: f(x) for x in xs}",
        examples=(
            ("(tabulate (lam true) (keys (put 1 5 empty_dict)))", FrozenDict({1: True})),
            ("(tabulate (lam $0) (values (put 1 5 empty_dict)))", FrozenDict({5: 5})),
        ),
    ),
)  # fmt: skip
"""The primitives that make dictionaries out of lists."""
