"""Input that is hard or wrong: a clear word, within the time, and the best so far."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from metaloom import read_questions, read_task
from metaloom.cli.overdue import overdue
from metaloom_lists import PRIMITIVES as ON_LISTS
from metaloom_metalearn import (
    Bounds,
    Clock,
    Constants,
    Divide,
    Enumerate,
    new_inputs,
    ranked,
    solve,
)
from metaloom_registry import InvalidTask, MemoryLibrary, NoSolution, Primitive, Refused, parse_type
from metaloom_text import PRIMITIVES as ON_TEXT

from .conftest import by_example


def test_contradictory_examples_are_named(words: MemoryLibrary) -> None:
    rows = [("a", "x1"), ("b", "b"), ("a", "y2"), ("c", "c"), ("d", "d")]
    solution = solve(by_example("text -> text", *rows), words, clock=Clock(2))
    assert solution.trace.warnings[0] == (
        "examples 1 and 3 have the same input and different outputs; no program is right on both"
    )
    assert "the program is right on 3 of 5 examples alone" in solution.trace.warnings[1]


def test_a_list_of_a_hundred_thousand_items_is_searched_in_time() -> None:
    long = tuple(range(100_000))
    rows = [(long, 100_000), ((1, 2), 2), ((7,), 1)]
    clock = Clock(20, time.process_time)
    solution = solve(by_example("list[int] -> int", *rows), MemoryLibrary.of(ON_LISTS), clock=clock)
    assert solution.predict((5, 5, 5)) == 3


def test_any_unicode_is_searched_and_saved_as_python(words: MemoryLibrary) -> None:
    rows = [("🙂-é\u0301", "🙂"), ("ß-x", "ß"), ("日本-語", "日本")]
    solution = solve(by_example("text -> text", *rows), words, clock=Clock(10))
    assert solution.predict("𝒳-\ud800") == "𝒳"
    done = subprocess.run(
        [sys.executable, "-I", "-c", solution.python(), json.dumps("𝒳-y")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == "𝒳"


def test_a_primitive_that_raises_has_no_value_and_harms_nothing() -> None:
    def broken(text: str) -> str:
        raise RuntimeError(f"broken on {text}")

    bad = Primitive("test/broken", 1, "text -> text", "Fails.", ("s",), broken, source="s")
    library = MemoryLibrary.of([bad, *ON_TEXT, *ON_LISTS])
    solution = solve(by_example("text -> text", ("ab", "AB"), ("c", "C")), library, clock=Clock(10))
    assert solution.predict("x") == "X"


def test_a_primitive_that_never_comes_back_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def loops(text: str) -> str:
        while text:
            time.sleep(0.01)
        return text

    monkeypatch.setattr("metaloom.cli.overdue.GRACE", 0.5)
    bad = Primitive("test/loops", 1, "text -> text", "Loops.", ("s",), loops, source="s")
    task = by_example("text -> text", ("ab", "zz1"), ("c", "yy2"))
    with overdue(0.5), pytest.raises(NoSolution, match=r"the budget of 0\.5 s was over"):
        solve(task, MemoryLibrary.of([bad]), clock=Clock(0.5))


@pytest.mark.parametrize("arm", [Divide(bounds=Bounds(cells=500)), Enumerate(bounds=Bounds(500))])
def test_at_the_memory_limit_the_best_so_far_is_kept(arm, words: MemoryLibrary) -> None:
    rows = [("ab", "ab"), ("cd", "cd"), ("ef", "zz9")]
    solution = solve(by_example("text -> text", *rows), words, clock=Clock(10), searches=[arm])
    assert solution.right == 2
    assert "kept values was reached" in str(solution.report)


@pytest.mark.parametrize("type_", ["text -> text", "list[int] -> list[int]"])
def test_a_deadline_of_a_tenth_of_a_second_is_kept(type_: str, words: MemoryLibrary) -> None:
    made = {"text -> text": lambda i: ("x" * i, f"{i * i}!")}
    row = made.get(type_, lambda i: ((i, 7), (i * i + 1, 3 * i, 5)))
    task = by_example(type_, *(row(i) for i in range(1, 9)))
    start = time.process_time()
    with pytest.raises(NoSolution, match=r"give more time"):
        solve(task, words, clock=Clock(0.1, time.process_time))
    assert time.process_time() - start < 3.0


def test_a_type_that_nothing_makes_is_named() -> None:
    texts = MemoryLibrary.of([p for p in ON_TEXT if p.short in ("upper", "lower")])
    task = by_example("text -> list[text]", ("a b", ("a", "b")), ("c", ("c",)))
    with pytest.raises(NoSolution, match=r"no block makes list\[text\]"):
        solve(task, texts, clock=Clock(5))


def test_what_has_no_output_is_a_question(tmp_path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("a,b,both\nx,y,xy\nu,v,uv\np,q,\n")
    task = read_task(table)
    assert len(task.support) == 2
    assert read_questions(table, task.type) == (("p",), ("q",))
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"i": 1, "o": 2}\n{"i": 5, "o": 6}\n{"i": 7}\n')
    assert len(read_task(lines).support) == 2
    assert read_questions(lines, parse_type("int -> int")) == ((7,),)
    lines.write_text('{"i": 1, "o": 2}\n{"i": 5, "o": 6}\n{"i": "x"}\n')
    with pytest.raises(InvalidTask, match=r"line 3 of a\.jsonl"):
        read_questions(lines, parse_type("int -> int"))
    lines.write_text('{"i": 1, "o": 2}\n{"inputs": [5, 6]}\n')
    with pytest.raises(InvalidTask, match="has 2 inputs, and int -> int takes 1"):
        read_questions(lines, parse_type("int -> int"))


def test_candidates_are_ranked_with_their_agreement(words: MemoryLibrary) -> None:
    task = by_example("text -> text", ("ab-cd", "ab"), ("xy-z", "xy"), ("no-p", "no"))
    solution = solve(task, words, clock=Clock(10))
    found = ranked(solution, task.support, 4)
    assert 2 <= len(found) <= 4
    assert found[0].agreement == 1.0
    assert [one.score for one in found] == sorted(one.score for one in found)
    assert any(one.agreement is not None and one.agreement < 1.0 for one in found)
    assert ranked(solution, task.support, 2, [("kl-m",)])[1].agreement in (0.0, 1.0)
    with pytest.raises(InvalidTask, match="ask for 1 or more"):
        ranked(solution, task.support, 0)
    assert not set(new_inputs(task.support, task.type)[0]) & set(task.support.inputs[0])
    assert len(repr(solution)) < 400


def test_a_program_without_a_source_is_no_python_file() -> None:
    plain = Primitive("test/up", 1, "text -> text", "Capitals.", ("s",), str.upper)
    task = by_example("text -> text", ("ab", "AB"), ("c", "C"))
    solution = solve(task, MemoryLibrary.of([plain]), clock=Clock(5))
    with pytest.raises(Refused, match="not to be written as Python alone"):
        solution.python()


def test_the_name_of_a_class_may_be_written_where_several_examples_show_it() -> None:
    task = by_example("int -> text", (2, "even"), (3, "odd"), (8, "even"), (7, "odd"), (4, "even"))
    library = MemoryLibrary.of(ON_LISTS)
    solution = solve(task, library, clock=Clock(20))
    assert [solution.predict(n) for n in (10, 11)] == ["even", "odd"]
    examples = [((n,), o) for n, o in zip(*task.support.inputs, task.support.outputs, strict=True)]
    strict = Constants().of(examples, task.given, task.want)
    assert parse_type("text") not in strict
