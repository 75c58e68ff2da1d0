"""The search for programs with a memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaloom import Hub
from metaloom_dictionaries import PRIMITIVES as DICTIONARIES
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_memory import PRIMITIVES as MEMORY
from metaloom_metalearn import (
    Arm,
    Clock,
    Effect,
    Examples,
    Problem,
    Remembering,
    Solution,
    Task,
    called_in_turn,
    empty_value,
    parse_jsonl,
    solve,
)
from metaloom_metalearn.testing.search import ArmSuite, Ticks
from metaloom_registry import (
    EvaluationError,
    InvalidTask,
    MemoryLibrary,
    NoSolution,
    TypeMismatch,
    check,
    parse_type,
    references,
)

LIBRARY = MemoryLibrary.of((*LISTS, *DICTIONARIES, *MEMORY))
COUNTER = """{"type": "store[int] -> text -> (int, store[int])"}
{"i": ["a", "b", "a"], "o": [1, 2, 3]}
{"i": ["c"], "o": [1]}"""
NEW = """{"type": "store[set[text]] -> text -> (bool, store[set[text]])"}
{"i": ["a", "b", "a", "c", "b"], "o": [true, true, false, true, false]}
{"i": ["x", "x"], "o": [true, false]}"""
RISING = """{"type": "store[int] -> int -> (bool, store[int])"}
{"i": [3, 1, 4, 1, 5, 9, 2, 6], "o": [true, false, true, false, true, true, false, true]}
{"i": [2, 2, 3], "o": [true, false, true]}"""


def a_problem_with_a_memory() -> Problem:
    task = parse_jsonl(COUNTER)
    entries = tuple(LIBRARY.candidates(task.want, task.given, 1000))
    return Problem(task, LIBRARY, entries, Clock(1e7, Ticks()))


class TestRememberingIsAnArm(ArmSuite):
    @pytest.fixture
    def arm(self) -> Arm:
        return Remembering()

    @pytest.fixture
    def problem(self) -> Problem:
        return a_problem_with_a_memory()

    def again(self) -> Problem:
        return a_problem_with_a_memory()


def found(text: str) -> Solution:
    return solve(parse_jsonl(text), LIBRARY, clock=Clock(1e7, Ticks()))


def test_a_counter_a_filter_of_repeats_and_a_look_back_are_found() -> None:
    assert found(COUNTER).predict(["x"] * 5) == (1, 2, 3, 4, 5)
    assert found(NEW).predict(["d", "e", "d", "d", "f"]) == (True, True, False, False, True)
    assert found(RISING).predict([5, 4, 6]) == (True, False, True)


def test_what_is_remembered_is_in_the_type_and_a_pure_term_has_no_memory() -> None:
    solution = found(COUNTER)
    assert str(solution.type) == "list[text] -> list[int]"
    assert str(solution.term_type) == "store[int] -> text -> (int, store[int])"
    assert "memory/remember@1" in map(str, references(solution.term))
    with pytest.raises(TypeMismatch):
        check(solution.term, parse_type("int -> text -> int"), solution.resolver.type_of)
    makers = [p for p in (*LISTS, *DICTIONARIES, *MEMORY) if p.type.startswith("store[")]
    assert [p.short for p in makers] == ["recall"], "nothing makes a memory out of plain values"


def test_a_task_without_a_memory_is_searched_without_one() -> None:
    task = Task(parse_type("list[text] -> list[int]"), Examples(((("a", "b"),),), ((1, 2),)))
    try:
        solution = solve(task, LIBRARY, clock=Clock(2e4, Ticks()))
    except NoSolution:
        return
    assert not [r for r in references(solution.term) if str(r).startswith("memory/")]


def test_a_solution_with_a_memory_is_saved_and_published_whole(tmp_path: Path) -> None:
    solution = found(NEW)
    solution.save(tmp_path / "saved")
    again = Solution.load(tmp_path / "saved", LIBRARY)
    assert again.predict(["a", "a"]) == (True, False)
    with Hub.open(tmp_path / "library") as hub:
        hub.publish("me/new", solution)
        assert [hub.run("me/new", x) for x in ("a", "b", "a")] == [True, True, False]
        assert hub.solution("me/new").predict(["a", "a"]) == (True, False)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"i": [1, 2], "o": [1]}', "example 1 of .* shows 2 inputs and 1 outputs"),
        ('{"i": 1, "o": 1}', r"has 1 where list\[int\] is wanted"),
        ('{"i": [1], "o": ["a"]}', "where int is wanted"),
    ],
)
def test_examples_that_are_no_streams_are_refused(lines: str, message: str) -> None:
    with pytest.raises(InvalidTask, match=message):
        parse_jsonl('{"type": "store[int] -> int -> (int, store[int])"}\n' + lines)


def test_a_memory_of_tensors_or_functions_is_refused() -> None:
    for held in ("image[1,2,2]", "int -> int"):
        with pytest.raises(InvalidTask, match=f"a memory cannot hold {held[:3]}"):
            parse_jsonl(json.dumps({"type": f"store[{held}] -> int -> (int, store[{held}])"})
                        + '\n{"i": [1], "o": [1]}')  # fmt: skip


def test_contradictions_and_a_library_without_memory_are_told() -> None:
    same = '{"type": "store[int] -> int -> (int, store[int])"}\n{"i": [1, 1], "o": [7, 8]}'
    with pytest.raises(NoSolution, match="examples 1 and 2 are calls of the same inputs"):
        solve(
            parse_jsonl(same + '\n{"i": [1, 1], "o": [7, 9]}'),
            LIBRARY,
            clock=Clock(2e4, Ticks()),
        )
    with pytest.raises(NoSolution, match=r"lacks memory/recall@1 or memory/remember@1; install"):
        solve(parse_jsonl(same), MemoryLibrary.of(LISTS), clock=Clock(1e6, Ticks()))


def test_a_search_with_a_memory_ends_when_its_time_is_up() -> None:
    noise = '{"type": "store[int] -> int -> (int, store[int])"}\n{"i": [1, 2, 3], "o": [71, 5, 88]}'
    with pytest.raises(NoSolution, match=r"budget of 0\.1 s was over"):
        solve(parse_jsonl(noise), LIBRARY, clock=Clock(0.1))


def test_effects_are_read_off_types() -> None:
    type_ = parse_type("store[int] -> text -> bool -> (int, store[int])")
    effect = Effect.of(type_)
    assert effect is not None
    assert effect.type == type_
    assert str(effect.streams) == "list[text] -> list[bool] -> list[int]"
    for other in ("int -> int", "store[int] -> int", "store[int] -> int -> (int, store[bool])"):
        assert Effect.of(parse_type(other)) is None
    assert empty_value(parse_type("(int, dict[text, set[int]], graph[int])")) == (0, {}, {})
    with pytest.raises(EvaluationError, match="not equally many"):
        called_in_turn(lambda *_: (0, 0), 0, [(1,), (1, 2)])
