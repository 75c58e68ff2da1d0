from collections.abc import Callable

import pytest

from metaloom_metalearn import Problem, Search
from metaloom_metalearn.testing.search import SearchSuite
from metaloom_template.random_search import random_search


class TestRandomSearch(SearchSuite):
    """Everything that Metaloom asks of a search with `ask` and `tell`, asked of ours."""

    @pytest.fixture
    def make(self) -> Callable[[Problem], Search]:
        def begin(problem: Problem) -> Search:
            search = random_search().search(problem)
            assert search is not None
            return search

        return begin
