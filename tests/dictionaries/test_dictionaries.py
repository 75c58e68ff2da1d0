"""Dictionaries and sets: as Python's, within bounds, and in tasks that are solved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_dictionaries import MAX_ITEMS, PRIMITIVES
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import Clock, parse_jsonl, solve
from metaloom_metalearn.testing.search import Ticks
from metaloom_registry import EvaluationError, FrozenDict, MemoryLibrary, Primitive

CALL: dict[str, Any] = {primitive.short: primitive.scalar for primitive in PRIMITIVES}
ITEMS = st.lists(st.tuples(st.text(max_size=2), st.integers(-5, 5)), max_size=8).map(tuple)


def early(key: str) -> Callable[[int], bool]:
    return lambda value: key < "m"


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(ITEMS, ITEMS, st.text(max_size=2))
def test_dictionaries_do_what_python_s_do_in_the_same_order(
    pairs: Any, others: Any, key: str
) -> None:
    d, e = dict(pairs), dict(others)
    mine, yours = CALL["from_pairs"](pairs), CALL["from_pairs"](others)
    for found, wanted in (
        (mine, d),
        (CALL["merge"](mine, yours), {**d, **e}),
        (CALL["put"](key, 7, mine), {**d, key: 7}),
        (CALL["remove_key"](key, mine), {k: v for k, v in d.items() if k != key}),
        (CALL["counts"](tuple(k for k, _ in pairs)), Counter(k for k, _ in pairs)),
        (CALL["map_values"](lambda v: v + 1, mine), {k: v + 1 for k, v in d.items()}),
        (CALL["filter_items"](early, mine), {k: v for k, v in d.items() if k < "m"}),
    ):  # fmt: skip
        assert found == wanted
        assert list(found) == list(wanted)
        assert type(found) is FrozenDict
    assert CALL["get"](3, key, mine) == d.get(key, 3)
    assert CALL["has_key"](key, mine) == (key in d)
    assert CALL["items"](mine) == tuple(zip(CALL["keys"](mine), CALL["values"](mine), strict=True))
    groups = CALL["group_by"](lambda pair: pair[1] % 2, pairs)
    assert all(pair in groups[pair[1] % 2] for pair in pairs)
    assert CALL["count_by"](len, tuple(d)) == Counter(map(len, d))


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.frozensets(st.integers(-5, 5)), st.frozensets(st.integers(-5, 5)), st.integers(-5, 5))
def test_sets_do_what_python_s_do_and_list_their_items_sorted(s: Any, t: Any, x: int) -> None:
    assert CALL["union"](s, t) == s | t
    assert CALL["intersection"](s, t) == s & t
    assert CALL["difference"](s, t) == s - t
    assert CALL["is_subset"](s, t) == (s <= t)
    assert CALL["insert"](x, s) == s | {x}
    assert CALL["discard"](x, s) == s - {x}
    assert CALL["to_list"](s) == tuple(sorted(s))
    assert CALL["to_set"](CALL["to_list"](s)) == s


def test_what_would_be_too_large_or_is_not_there_is_told() -> None:
    full = FrozenDict(zip(range(MAX_ITEMS), range(MAX_ITEMS), strict=True))
    with pytest.raises(EvaluationError, match="100001 items is larger than the 100000 allowed"):
        CALL["put"](-1, 0, full)
    with pytest.raises(EvaluationError, match="larger than the 100000 allowed"):
        CALL["insert"](-1, frozenset(full))
    with pytest.raises(EvaluationError, match="the dictionary has no key 'nobody'"):
        CALL["lookup"]("nobody", FrozenDict())
    assert len(CALL["counts"](tuple(full))) == MAX_ITEMS


def test_lists_of_a_hundred_thousand_items_are_counted_and_grouped_in_one_pass() -> None:
    xs = tuple(i % 1000 for i in range(100_000))
    assert CALL["counts"](xs)[999] == 100
    assert len(CALL["group_by"](lambda x: x % 7, xs)) == 7
    assert len(CALL["to_set"](xs)) == 1000


LIBRARY = MemoryLibrary.of((*PRIMITIVES, *LISTS))


@pytest.mark.parametrize(
    ("lines", "given_", "wanted"),
    [
        ('{"i": {"ann": 3, "bob": 5}, "o": 8}\n{"i": {"cy": 10}, "o": 10}\n{"i": {}, "o": 0}',
         {"x": 1, "y": 2}, 3),
        ('{"i": ["b", "a", "b"], "o": {"a": 1, "b": 2}}\n{"i": ["x"], "o": {"x": 1}}',
         ("u", "u"), {"u": 2}),
        ('{"inputs": [["c", "a"], {"a": 3, "b": 4, "c": 5}], "o": [5, 3]}\n'
         '{"inputs": [["b"], {"a": 3, "b": 4}], "o": [4]}\n{"inputs": [[], {"a": 3}], "o": []}',
         (("z", "y"), {"y": 1, "z": 2}), (2, 1)),
        ('{"type": "list[int] -> list[int] -> set[int]"}\n'
         '{"inputs": [[1, 2, 3], [2, 9]], "o": [2]}\n{"inputs": [[5, 5], [5]], "o": [5]}\n'
         '{"inputs": [[1], [2]], "o": []}',
         ((7, 8), (8, 7)), {7, 8}),
    ],
)  # fmt: skip
def test_tasks_on_dictionaries_and_sets_are_solved(lines: str, given_: Any, wanted: Any) -> None:
    task = parse_jsonl(lines)
    solution = solve(task, LIBRARY, clock=Clock(3e6, Ticks()))
    inputs = given_ if len(task.given) > 1 else (given_,)
    assert solution.predict(*inputs) == wanted
    assert solution.right == len(task.support)


def test_a_task_on_lists_sees_neither_dictionaries_nor_sets() -> None:
    class Watched(MemoryLibrary):
        def load(self, digest: Any) -> Any:
            loaded = super().load(digest)
            assert isinstance(loaded, Primitive)
            assert loaded.name.startswith("lists/")
            return loaded

    task = parse_jsonl('{"i": [1, 2, 3], "o": [2, 4, 6]}\n{"i": [5], "o": [10]}')
    assert solve(task, Watched(LIBRARY.blocks), clock=Clock(1e6, Ticks())).right == 2
