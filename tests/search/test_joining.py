"""Covers of lists: what all outputs have in common is spelled out, and nothing else is."""

from __future__ import annotations

from typing import Any

from metaloom_metalearn import Divide, Scored
from metaloom_metalearn.search.candidate import Candidate
from metaloom_registry import print_term

from .conftest import library, problem_of, task_of

LISTS = ((2, 67, 32), (77, 51, 8, 27), (36, 86), (37, 47, 3, 74, 20))


def best(function: Any) -> Candidate | None:
    task = task_of("list[int] -> list[int]", function, LISTS)
    found: list[Scored] = list(Divide().run(problem_of(task, library(), budget=40_000.0)))
    exact = [scored for scored in found if scored.exact]
    return min(exact, key=lambda scored: scored.rank).candidate if exact else None


def test_items_that_all_outputs_have_around_the_input_are_spelled_out() -> None:
    candidate = best(lambda xs: (911, 421, *xs, 743))
    assert candidate is not None
    text = print_term(candidate.term)
    assert all(str(item) in text for item in (911, 421, 743))
    assert "$0" in text


def test_an_output_that_all_examples_share_may_be_spelled_out_whole() -> None:
    candidate = best(lambda xs: (911, 419, 24, 733, 42))
    assert candidate is not None
    assert "911" in print_term(candidate.term)


def test_outputs_that_differ_are_not_spelled_out() -> None:
    outputs = dict(zip(LISTS, ((9117,), (4219, 33), (7433, 8, 8), (555_555, 1)), strict=True))
    candidate = best(outputs.__getitem__)
    text = "" if candidate is None else print_term(candidate.term)
    assert not any(str(item) in text for item in (9117, 4219, 7433, 555_555))
