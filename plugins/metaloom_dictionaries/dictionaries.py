"""Making dictionaries, looking into them and changing them; what changes is another dictionary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_dictionaries.limits import bounded
from metaloom_registry import EvaluationError, FrozenDict, Primitive

Dictionary = FrozenDict[Any, Any]


def lookup(key: Any, d: Dictionary) -> Any:
    try:
        return d[key]
    except KeyError:
        raise EvaluationError(f"the dictionary has no key {str(key)[:40]!r}") from None


def put(key: Any, value: Any, d: Dictionary) -> Dictionary:
    return bounded(FrozenDict({**d, key: value}))


def without(key: Any, d: Dictionary) -> Dictionary:
    return FrozenDict((k, v) for k, v in d.items() if k != key)


def merge(d: Dictionary, e: Dictionary) -> Dictionary:
    return bounded(FrozenDict({**d, **e}))


def map_values(f: Callable[[Any], Any], d: Dictionary) -> Dictionary:
    return FrozenDict((k, f(v)) for k, v in d.items())


def filter_items(p: Callable[[Any], Callable[[Any], bool]], d: Dictionary) -> Dictionary:
    return FrozenDict((k, v) for k, v in d.items() if p(k)(v))


DICTIONARIES = (
    Primitive(
        "dictionaries/empty_dict", 1, "dict[a, b]", "The dictionary without keys.",
        (), FrozenDict, source="{}",
        examples=(("(dict_size empty_dict)", 0), ("(put 1 2 empty_dict)", FrozenDict({1: 2}))),
    ),
    Primitive(
        "dictionaries/get", 1, "b -> a -> dict[a, b] -> b",
        "The value of a key; the first argument where the dictionary does not have it.",
        ("default", "key", "d"), lambda default, key, d: d.get(key, default),
        source="d.get(key, default)",
        examples=(("(get 0 1 (put 1 5 empty_dict))", 5), ("(get 0 2 (put 1 5 empty_dict))", 0)),
    ),
    Primitive(
        "dictionaries/lookup", 1, "a -> dict[a, b] -> b",
        "The value of a key; none where the dictionary does not have it.",
        ("key", "d"), lookup,
        source="d[key]",
        examples=(
            ("(lookup 1 (put 1 5 empty_dict))", 5),
            ("(lookup 2 (put 2 true empty_dict))", True),
        ),
    ),
    Primitive(
        "dictionaries/put", 1, "a -> b -> dict[a, b] -> dict[a, b]",
        "The dictionary with this value for this key; a new key comes last.",
        ("key", "value", "d"), put,
        source="{**d, key: value}",
        examples=(
            ("(put 2 7 (put 1 5 empty_dict))", FrozenDict({1: 5, 2: 7})),
            ("(put 1 7 (put 1 5 empty_dict))", FrozenDict({1: 7})),
        ),
    ),
    Primitive(
        "dictionaries/remove_key", 1, "a -> dict[a, b] -> dict[a, b]",
        "The dictionary without this key, if it has it.", ("key", "d"), without,
        source="{k: v for k, v in d.items() if k != key}",
        examples=(
            ("(remove_key 1 (put 1 5 empty_dict))", FrozenDict()),
            ("(remove_key 2 (put 1 5 empty_dict))", FrozenDict({1: 5})),
        ),
    ),
    Primitive(
        "dictionaries/has_key", 1, "a -> dict[a, b] -> bool", "Whether the dictionary has the key.",
        ("key", "d"), lambda key, d: key in d,
        source="key in d",
        examples=(
            ("(has_key 1 (put 1 5 empty_dict))", True),
            ("(has_key 5 (put 1 5 empty_dict))", False),
        ),
    ),
    Primitive(
        "dictionaries/dict_size", 1, "dict[a, b] -> int", "How many keys the dictionary has.",
        ("d",), len,
        source="len(d)",
        examples=(("(dict_size empty_dict)", 0), ("(dict_size (put 1 5 empty_dict))", 1)),
    ),
    Primitive(
        "dictionaries/keys", 1, "dict[a, b] -> list[a]", "The keys, in the order they were put in.",
        ("d",), tuple,
        source="list(d)",
        examples=(
            ("(keys (put 1 7 (put 2 5 empty_dict)))", (2, 1)),
            ("(keys (put 2 7 (put 2 5 empty_dict)))", (2,)),
        ),
    ),
    Primitive(
        "dictionaries/values", 1, "dict[a, b] -> list[b]", "The values, in the order of the keys.",
        ("d",), lambda d: tuple(d.values()),
        source="list(d.values())",
        examples=(
            ("(values (put 1 7 (put 2 5 empty_dict)))", (5, 7)),
            ("(values (put 2 7 (put 2 5 empty_dict)))", (7,)),
        ),
    ),
    Primitive(
        "dictionaries/items", 1, "dict[a, b] -> list[(a, b)]",
        "The keys with their values, in the order the keys were put in.",
        ("d",), lambda d: tuple(d.items()),
        source="list(d.items())",
        examples=(
            ("(items (put 1 7 (put 2 5 empty_dict)))", ((2, 5), (1, 7))),
            ("(items (put 2 true empty_dict))", ((2, True),)),
        ),
    ),
    Primitive(
        "dictionaries/merge", 1, "dict[a, b] -> dict[a, b] -> dict[a, b]",
        "The keys of both, with the values of the second where it has them.",
        ("d", "e"), merge,
        source="{**d, **e}",
        examples=(
            ("(merge (put 1 5 empty_dict) (put 2 6 empty_dict))", FrozenDict({1: 5, 2: 6})),
            ("(merge (put 1 5 empty_dict) (put 1 6 empty_dict))", FrozenDict({1: 6})),
        ),
    ),
    Primitive(
        "dictionaries/map_values", 1, "(b -> c) -> dict[a, b] -> dict[a, c]",
        "The function's value on each value, under the same key.",
        ("f", "d"), map_values,
        source="{k: f(v) for k, v in d.items()}",
        examples=(
            ("(map_values (lam (put $0 $0 empty_dict)) (put 1 5 empty_dict))",
             FrozenDict({1: FrozenDict({5: 5})})),
            ("(map_values (lam true) (put 1 5 empty_dict))", FrozenDict({1: True})),
        ),
    ),
    Primitive(
        "dictionaries/filter_items", 1, "(a -> b -> bool) -> dict[a, b] -> dict[a, b]",
        "The keys, with their values, of which it is true.",
        ("p", "d"), filter_items,
        source="{k: v for k, v in d.items() if p(k)(v)}",
        examples=(
            ("(filter_items (lam (lam $0)) (put 1 true (put 2 false empty_dict)))",
             FrozenDict({1: True})),
            ("(filter_items (lam (lam false)) (put 1 5 empty_dict))", FrozenDict()),
        ),
    ),
)  # fmt: skip
"""The primitives on dictionaries alone."""
