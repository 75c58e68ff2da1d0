"""Dictionaries, sets and graphs as values: read from JSON and Python, and written again."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloom_metalearn import Examples, Task, json_value, parse_jsonl, read_values
from metaloom_metalearn.search.examples import hard_value, plain_examples
from metaloom_registry import FrozenDict, InvalidTask, ParseError, frozen_value, parse_type
from metaloom_registry.testing import values

TYPES = (
    "dict[text, int]", "dict[int, list[bool]]", "dict[(int, text), float]", "dict[bool, set[int]]",
    "set[text]", "set[(int, int)]", "list[set[float]]", "graph[text]", "graph[int]",
    "graph[(bool, int)]", "(dict[text, set[int]], graph[text])", "dict[text, dict[int, text]]",
)  # fmt: skip


@settings(
    max_examples=100, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.sampled_from(TYPES), st.data())
def test_what_is_written_as_json_is_read_as_the_same_value(text: str, data: st.DataObject) -> None:
    type_ = parse_type(text)
    value = data.draw(values(type_))
    written = json.loads(json.dumps(json_value(value, type_)))
    assert read_values([written], type_, lambda _: "it") == (value,)
    assert hard_value(written, type_, "value") == value
    assert hard_value(value, type_, "value") == value


def read(text: str, value: Any) -> Any:
    [found] = read_values([value], parse_type(text), lambda _: "line 1 of t")
    return found


def test_a_graph_is_read_from_successors_from_weights_and_from_edges() -> None:
    wanted = FrozenDict({"a": FrozenDict({"b": 1}), "b": FrozenDict()})
    for value in ({"a": ["b"], "b": []}, {"a": {"b": 1}, "b": {}}, [["a", "b"]], [["a", "b", 1]]):
        assert read("graph[text]", value) == wanted
    assert read("graph[int]", {"1": {"2": 5}, "2": []})[1] == {2: 5}
    pairs = {"nodes": [[1, True], [2, False]], "edges": [[[1, True], [2, False], 3]]}
    assert read("graph[(int, bool)]", pairs)[1, True] == {(2, False): 3}


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        ("dict[text, int]", {"a": "b"}, r"line 1 of t has 'b' where int is wanted"),
        ("dict[text, int]", [["a", 1], ["a", 2]], "one key stands twice"),
        ("dict[text, int]", [1, 2], r"has '\[1, 2\]' where dict\[text, int\] is wanted"),
        ("dict[text, int]", {"a": 1 << 63}, "where int is wanted"),
        ("dict[int, int]", {"a": 1}, "'a' where int is wanted"),
        ("set[int]", 3, r"'3' where set\[int\] is wanted"),
        ("set[int]", [1, "a"], "'a' where int is wanted"),
        ("graph[text]", {"a": ["b"]}, "an edge from 'a' to 'b', which is no node of it; give that"),
        ("graph[text]", {"a": 3}, "'3' where"),
        ("graph[text]", [["a"]], r"'\['a'\]' where graph\[text\] is wanted|where graph"),
        ("graph[text]", [["a", "b", "c"]], "'c' where int is wanted"),
        ("graph[int]", {"nodes": [1], "edges": [[1, 2]]}, "one end of which is no node"),
        ("graph[int]", {"nodes": 1, "edges": []}, "where graph"),
    ],
)  # fmt: skip
def test_what_is_no_value_of_the_type_is_told_with_its_place(
    text: str, value: Any, message: str
) -> None:
    with pytest.raises(InvalidTask, match=message):
        read(text, value)


def test_the_type_of_objects_is_inferred_and_ragged_ones_are_told() -> None:
    task = parse_jsonl('{"i": {"a": [1]}, "o": {"x": {"y": 2.5}}}\n{"i": {}, "o": {}}')
    assert str(task.type) == "dict[text, list[int]] -> dict[text, dict[text, float]]"
    with pytest.raises(InvalidTask, match=r"the object .* in which 'x' is no int; a dictionary"):
        parse_jsonl('{"i": {"a": 1, "b": "x"}, "o": 1}')
    with pytest.raises(InvalidTask, match=r"line 2 of task has \[1\], which is no dict"):
        parse_jsonl('{"i": {"a": 1}, "o": 1}\n{"i": [1], "o": 1}')
    with pytest.raises(ParseError, match="does not fit into 64 bits"):
        parse_jsonl('{"i": {"a": 99999999999999999999}, "o": 1}')


@pytest.mark.parametrize("type_", ["dict[list[int], int] -> int", "int -> set[set[int]]"])
def test_a_task_whose_keys_cannot_be_keys_is_refused(type_: str) -> None:
    with pytest.raises(InvalidTask, match=r"has keys of the type .*; keys are int, bool, float"):
        Task(parse_type(type_), Examples(((1,),), (1,)))


def test_python_s_own_containers_are_taken_as_examples() -> None:
    task = Task(
        parse_type("dict[text, int] -> set[int]"), Examples((({"a": 1, "b": 2},),), ({1, 2},))
    )
    assert plain_examples(task) == [((FrozenDict({"a": 1, "b": 2}),), frozenset({1, 2}))]


def test_large_and_odd_keys_are_read() -> None:
    many = {f"\u00e9\U0001f40e{i}": i for i in range(100_000)}
    assert len(read("dict[text, int]", many)) == 100_000
    assert read("set[text]", ["\0", "\u202e", ""]) == {"\0", "\u202e", ""}


def test_a_frozen_dict_is_a_value() -> None:
    one, other = FrozenDict({1: 2, 3: 4}), FrozenDict({3: 4, 1: 2})
    assert one == other == {1: 2, 3: 4}
    assert hash(one) == hash(other)
    assert {one: "x"}[other] == "x"
    assert pickle.loads(pickle.dumps(one)) == one
    assert frozen_value({1: [2, {3}]}) == FrozenDict({1: (2, frozenset({3}))})
    for change in (
        lambda: one.__setitem__(1, 1), lambda: one.update({1: 1}), lambda: one.pop(1), one.clear,
    ):  # fmt: skip
        with pytest.raises(TypeError, match="cannot be changed"):
            change()
