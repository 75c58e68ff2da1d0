"""The comparison of searches at equal budget, and its picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable

import pytest
from benchmarks.pictures.strategies import drawn
from benchmarks.search.lists import Question
from benchmarks.strategies import SEARCHES, Attempt, RandomSearch, attempt, summary

from metaloom_metalearn import Problem, Search, Space
from metaloom_metalearn.testing.search import SearchSuite

FOUND = {
    "enumerate": [Attempt(0.05, 1000, 0.1), Attempt(0.4, 3000, 0.5)],
    "random": [Attempt(0.3, 50, 0.5), Attempt(None, 50, 0.5)],
}


class TestRandomSearchIsASearch(SearchSuite):
    @pytest.fixture
    def make(self) -> Callable[[Problem], Search]:
        def begin(problem: Problem) -> Search:
            space = Space.of(problem, "random")
            assert space is not None
            return RandomSearch(space)

        return begin


def test_tasks_are_counted_at_each_time_within_the_budget() -> None:
    metrics = summary(FOUND, 0.5)
    assert metrics["tasks"] == 2
    assert metrics["solved"]["enumerate"] == {"0.1s": 1, "0.2s": 1, "0.5s": 2}
    assert metrics["solved"]["random"] == {"0.1s": 0, "0.2s": 0, "0.5s": 1}
    assert metrics["seconds"] == {"enumerate": [0.05, 0.4], "random": [0.3]}
    assert metrics["tried_per_second"] == {"enumerate": 6667, "random": 100}


def test_every_search_has_its_line_in_the_picture() -> None:
    picture = ElementTree.fromstring(drawn(summary(FOUND, 0.5)))
    lines = list(picture.iter("{http://www.w3.org/2000/svg}polyline"))
    said = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert len(lines) == len(FOUND)
    assert set(FOUND) <= set(said)


@pytest.mark.parametrize("name", ["beam", "random"])
def test_a_task_is_solved_where_unseen_examples_are_right_too(name: str) -> None:
    seen = (((3, 1, 2), 3), ((5, 9), 9), ((4,), 4), ((7, 2, 2), 7))
    right = Question("max", "list[int] -> int", seen, (*seen, ((1, 8, 6), 8)), 1.0)
    wrong = Question("max", "list[int] -> int", seen, (*seen, ((1, 8, 6), 1)), 1.0)
    assert attempt(right, SEARCHES[name](), 5.0, 0).solved is not None
    assert attempt(wrong, SEARCHES[name](), 1.0, 0).solved is None
