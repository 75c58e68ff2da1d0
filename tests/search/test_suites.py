"""The enumerator passes the suites that are shipped for searches and arms."""

from collections.abc import Callable

import pytest

from metaloom_metalearn import Enumerate, Problem, Search
from metaloom_metalearn.search.arm import Arm
from metaloom_metalearn.testing.search import ArmSuite, SearchSuite


def begin(problem: Problem) -> Search:
    search = Enumerate().search(problem)
    assert search is not None
    return search


class TestEnumerationIsASearch(SearchSuite):
    @pytest.fixture
    def make(self) -> Callable[[Problem], Search]:
        return begin


class TestEnumerateIsAnArm(ArmSuite):
    @pytest.fixture
    def arm(self) -> Arm:
        return Enumerate()
