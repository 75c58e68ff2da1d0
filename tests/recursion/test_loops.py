"""Recursion: loops end, or say that they do not; a search uses them where the task allows it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import (
    Clock,
    Evaluator,
    Examples,
    Hard,
    Limits,
    Task,
    compile_term,
    parse_jsonl,
    solve,
)
from metaloom_metalearn.testing.search import Ticks
from metaloom_recursion import MAX_ROUNDS, PRIMITIVES
from metaloom_registry import (
    EvaluationError,
    InvalidTask,
    MemoryLibrary,
    Primitive,
    PrimitiveTable,
    Type,
    parse_term,
    parse_type,
    references,
)

TABLE = PrimitiveTable((*PRIMITIVES, *LISTS))
GCD = (
    "(lam (first (while (lam (not (equal 0 (second $0)))) "
    "(lam (pair (second $0) (modulo (first $0) (second $0)))) $0)))"
)
FACTORIAL = "(fix (lam (lam (if (less $0 2) 1 (multiply $0 ($1 (subtract $0 1)))))))"
ACKERMANN = (
    "(fix (lam (lam (lam (if (equal 0 $1) (add 1 $0) (if (equal 0 $0) ($2 (subtract $1 1) 1) "
    "($2 (subtract $1 1) ($2 $1 (subtract $0 1)))))))))"
)


def value(text: str, *arguments: Any, **limits: Any) -> Any:
    term = parse_term(text, TABLE.short_names)
    return Evaluator(TABLE.__getitem__, Limits(**limits)).value(term, *arguments)


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 500), st.integers(0, 500))
def test_euclid_s_algorithm_is_a_while(x: int, y: int) -> None:
    assert value(GCD, (x, y)) == math.gcd(x, y)


def test_general_recursion_computes_what_python_s_does() -> None:
    assert [value(FACTORIAL, n) for n in range(8)] == [math.factorial(max(n, 1)) for n in range(8)]
    assert value(ACKERMANN, 2, 3) == 9
    assert value("(iterate 10 (multiply 2))", 1) == 1024
    assert value("(fixpoint (lam (divide $0 2)))", 77) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(while (lam true) (lam $0) 1)", "more than 1000000 steps|does not end"),
        ("(while (equal 1) negate 1)", None),
        ("(while is_odd negate 1)", "more than|does not end"),
        ("(fixpoint negate 1)", "more than|does not end"),
        ("(fixpoint (add 1) 9223372036854700000)", "overflows 64 bits"),
        ("(iterate 9223372036854775807 (lam $0) 1)", "longer than the 100000 allowed"),
        ("(fix (lam (lam ($1 $0))) 1)", "too deeply"),
        ("(fix (lam (lam ($1 (add 1 $0)))) 1)", "too deeply"),
        ("(while (lam true) (lam (cons 1 $0)) empty)", "more than|does not end"),
    ],
)
def test_a_loop_that_does_not_end_has_no_value_and_says_why(text: str, message: str | None) -> None:
    if message is None:
        assert value(text) == -1
        return
    with pytest.raises(EvaluationError, match=message):
        value(text)


def test_a_loop_is_bounded_in_steps_and_in_time() -> None:
    with pytest.raises(EvaluationError, match="more than 50 steps"):
        value("(while (lam true) (lam $0) 1)", steps=50)
    with pytest.raises(EvaluationError, match="longer than 1e-09 s"):
        value("(while (lam true) (lam $0) 1)", seconds=1e-9)
    endless = next(p for p in PRIMITIVES if p.short == "while")
    assert endless.scalar is not None
    with pytest.raises(EvaluationError, match=f"within the {MAX_ROUNDS} rounds allowed"):
        endless.scalar(lambda x: True, lambda x: x, 1)


@pytest.mark.parametrize(
    "text",
    [
        "(lam (while (lam (less $0 100)) (multiply 2) (add 1 (absolute $0))))",
        "(lam (iterate $0 (add $0) 1))",
        "(lam (first (while (lam (less 0 (second $0))) (lam (pair (add 1 (first $0)) "
        "(subtract (second $0) 2))) (pair 0 $0))))",
    ],
)
def test_a_whole_batch_loops_as_each_row_would(text: str) -> None:
    term = parse_term(text, TABLE.short_names)
    rows = [5, 0, -3, 9, 40]

    def type_of(reference: Any) -> Type:
        return TABLE[reference].signature

    module = compile_term(term, type_of, TABLE.__getitem__, Hard())
    assert module(torch.tensor(rows)).tolist() == [value(text, row) for row in rows]


LIBRARY = MemoryLibrary.of((*PRIMITIVES, *LISTS))
ODD_PART = [(12, 3), (40, 5), (7, 7), (-24, -3), (96, 3)]


def odd_part(**settings: Any) -> Task:
    inputs, outputs = zip(*ODD_PART, strict=True)
    return Task(parse_type("int -> int"), Examples((inputs,), outputs), **settings)


def test_a_search_finds_a_while_where_the_task_allows_recursion() -> None:
    task = odd_part(allows=frozenset({"recursion"}))
    solution = solve(task, LIBRARY, clock=Clock(4e6, Ticks()))
    assert "recursion/while@1" in map(str, references(solution.term))
    assert solution.predict(1 << 40) == 1
    with pytest.raises(EvaluationError, match="has no value"):
        solution.predict(0)


def test_no_other_search_ever_sees_recursion() -> None:
    class Watched(MemoryLibrary):
        def load(self, digest: Any) -> Any:
            loaded = super().load(digest)
            assert isinstance(loaded, Primitive)
            assert "recursion" not in loaded.tags
            return loaded

    watched = Watched(LIBRARY.blocks)
    inputs = ((1, 2, 3), (4, 5))
    task = Task(parse_type("list[int] -> int"), Examples((inputs,), (3, 2)))
    assert solve(task, watched, clock=Clock(1e6, Ticks())).right == 2


def test_what_a_task_allows_is_read_and_checked() -> None:
    task = parse_jsonl('{"type": "int -> int", "allow": ["recursion"]}\n{"i": 1, "o": 1}')
    assert task.allows == {"recursion"}
    with pytest.raises(InvalidTask, match="allows magic; it may allow recursion"):
        parse_jsonl('{"allow": ["magic"]}\n{"i": 1, "o": 1}')
    with pytest.raises(InvalidTask, match="allows 3; write a list such as"):
        parse_jsonl('{"allow": 3}\n{"i": 1, "o": 1}')
