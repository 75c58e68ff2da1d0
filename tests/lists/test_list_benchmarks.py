"""The benchmarks on lists: what judges a program is what it is said to be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

pytest.importorskip("numba")

from benchmarks.list_functions import means, most_seen, questions_of, right
from benchmarks.search.lists import ALONE, judged_on
from benchmarks.search.truths import longer_inputs, truth_of

from metaloom_metalearn import Divide, Enumerate


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("rotate-k with k=1", (1, 2, 3), (3, 1, 2)),
        ("keep-mod-k with k=3", (3, 4, 9), (3, 9)),
        ("caesar-cipher-k-modulo-n with k=1 and n=5", (4, 3), (0, 4)),
        ("slice-k-n with k=2 and n=3", (9, 8, 7, 6, 5), (8, 7, 6)),
        ("kth-largest with k=2", (5, 1, 4), 4),
        ("count-k with k=0", (0, 1, 0), 2),
        ("is-mod-k with k=2", (2, 3), False),
        ("bool-identify-is-prime", (2, 4), (True, False)),
        ("has-head-in-tail", (1, 2, 1), True),
    ],
)
def test_a_task_means_what_its_name_says(name: str, given: object, wanted: object) -> None:
    assert truth_of(name, [(given, wanted)]) is not None


def test_a_name_that_its_examples_contradict_or_that_is_unknown_means_nothing() -> None:
    assert truth_of("head", [((1, 2), 2)]) is None
    assert truth_of("rotate-k with k=1", [((1, 2, 3), (2, 3, 1))]) is None
    assert truth_of("what-nobody-said", [((1,), (1,))]) is None


def test_longer_inputs_are_twice_as_long_as_any_and_of_known_items() -> None:
    inputs = longer_inputs([(1, 2), (3, 4, 5)], seed=0)
    assert {len(xs) for xs in inputs} == {6}
    assert {item for xs in inputs for item in xs} <= {1, 2, 3, 4, 5}
    assert inputs == longer_inputs([(1, 2), (3, 4, 5)], seed=0)


def test_three_examples_are_seen_and_the_others_judge(tmp_path: Path) -> None:
    examples = [[[i], [i + 1]] for i in range(11)]
    functions = [{"file": "model/c001_1.json", "program": "", "examples": examples}]
    path = tmp_path / "functions.json.gz"
    path.write_bytes(gzip.compress(json.dumps(functions).encode()))
    (question,) = questions_of(path)
    assert question.seen == tuple(((i,), (i + 1,)) for i in range(3))
    assert question.judged == tuple(((i,), (i + 1,)) for i in range(3, 11))
    assert right(question, [(4,)] * 8) == 1 / 8
    assert most_seen(question) == (1,)
    assert means({"model/a": 1.0, "model/b": 0.5, "dataset/a": 0.0}) == {
        "model": 0.75,
        "dataset": 0.0,
    }


def test_a_program_without_a_value_is_wrong() -> None:
    program = "(lam (lists/singleton@1 (lists/head@1 $0)))"
    assert judged_on(program, [((1, 2), (1,)), ((), ()), ((3,), (4,))]) == (True, False, False)


def test_with_dreamcoder_s_primitives_there_are_its_literals_alone() -> None:
    enumerate_, divide = ALONE.arms
    assert isinstance(enumerate_, Enumerate)
    assert isinstance(divide, Divide)
    assert [number for number, _ in enumerate_.constants.small] == [0, 1]
    assert divide.constants == enumerate_.constants
    assert divide.constants.mined == 0
