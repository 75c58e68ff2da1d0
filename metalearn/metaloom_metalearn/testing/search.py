"""The suites that searches and arms pass: subclass one and say which.

class TestMine(SearchSuite):
    @pytest.fixture
    def make(self): return lambda problem: Mine(problem)
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import torch

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.engines.hard.evaluator import Evaluator
from metaloom_metalearn.memory import Effect
from metaloom_metalearn.search.arm import Arm, Problem
from metaloom_metalearn.search.candidate import Candidate, Scored, Search
from metaloom_metalearn.search.coding import exception_cost, task_ceiling
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.search.trace import Trace
from metaloom_metalearn.solver import solve
from metaloom_metalearn.tasks import Examples, Task
from metaloom_registry import (
    EvaluationError,
    Library,
    MemoryLibrary,
    Primitive,
    check,
    parse_type,
    term_digest,
)

ARITHMETIC = (
    Primitive(
        "suite/add", 1, "int -> int -> int", "The sum.", ("x", "y"),
        lambda x, y: x + y, source="x + y",
    ),
    Primitive(
        "suite/double", 1, "int -> int", "Twice the integer.", ("x",),
        lambda x: 2 * x, source="2 * x",
    ),
    Primitive(
        "suite/map", 1, "(a -> b) -> list[a] -> list[b]", "The function on each item.",
        ("f", "xs"), lambda f, xs: tuple([f(x) for x in xs]), source="[f(x) for x in xs]",
    ),
    Primitive(
        "suite/sum", 1, "list[int] -> int", "The sum of the items.", ("xs",), sum,
        source="sum(xs)",
    ),
)  # fmt: skip
"""The primitives of the suite's tasks."""


class Ticks:
    """A clock that advances by `step` each time it is looked at, so that budgets are exact."""

    def __init__(self, step: float = 1.0) -> None:
        self.step = step
        self.time = 0.0

    def __call__(self) -> float:
        self.time += self.step
        return self.time


def small_problem(
    budget: float = 20_000.0, library: Library | None = None, seed: int = 0
) -> Problem:
    """From lists of integers to twice their sum, on a clock of ticks."""
    xs = ((1, 2), (3,), (), (4, 0, 5))
    task = Task(
        parse_type("list[int] -> int"), Examples((xs,), tuple(2 * sum(x) for x in xs)), name="twice"
    )
    library = library or MemoryLibrary.of(ARITHMETIC)
    entries = tuple(library.candidates(task.want, task.given, 100))
    generator = torch.Generator().manual_seed(seed)
    return Problem(task, library, entries, Clock(budget, Ticks()), generator=generator)


def scored_by_evaluation(problem: Problem, candidate: Candidate) -> Scored:
    """The candidate evaluated on the support of the problem's task."""
    task = problem.task
    call = Evaluator(Resolver(problem.library, problem.entries)).compile(candidate.term)
    right = []
    for row, output in zip(
        zip(*task.support.inputs, strict=True), task.support.outputs, strict=True
    ):
        try:
            right.append(call(*row) == output)
        except EvaluationError:
            right.append(False)
    loss = sum(
        exception_cost(output, task.want, len(right))
        for good, output in zip(right, task.support.outputs, strict=True)
        if not good
    )
    return Scored(candidate, loss, tuple(right))


class SearchSuite(ABC):
    """What holds of every search with `ask` and `tell`."""

    @pytest.fixture
    @abstractmethod
    def make(self) -> Callable[[Problem], Search]:
        """Begins the search on a problem."""

    def problem(self, budget: float = 20_000.0) -> Problem:
        """A problem made anew, on a clock of ticks; redefine it for a search of other tasks."""
        return small_problem(budget)

    def scored(self, problem: Problem, candidate: Candidate) -> Scored:
        """The candidate with its score; redefine it together with `problem`."""
        return scored_by_evaluation(problem, candidate)

    def test_no_more_are_given_than_are_asked_for(self, make: Callable[[Problem], Search]) -> None:
        search = make(self.problem())
        assert len(search.ask(1)) == 1
        assert len(search.ask(7)) <= 7

    def test_every_candidate_has_the_type_of_the_task(
        self, make: Callable[[Problem], Search]
    ) -> None:
        problem = self.problem()
        resolver = Resolver(problem.library, problem.entries)
        for candidate in make(problem).ask(50):
            assert str(candidate.type).endswith(str(problem.task.type))
            check(candidate.term, candidate.type, resolver.type_of)
            assert candidate.cost > 0

    def test_no_term_is_proposed_twice(self, make: Callable[[Problem], Search]) -> None:
        search = make(self.problem())
        asked = [*search.ask(20), *search.ask(20)]
        digests = [term_digest(candidate.term) for candidate in asked]
        assert len(set(digests)) == len(digests)

    def test_equal_problems_are_searched_alike(self, make: Callable[[Problem], Search]) -> None:
        first, second = make(self.problem()), make(self.problem())
        assert [c.term for c in first.ask(30)] == [c.term for c in second.ask(30)]

    def test_it_finds_a_program_that_is_told_to_be_right(
        self, make: Callable[[Problem], Search]
    ) -> None:
        problem = self.problem()
        search = make(problem)
        for _ in range(200):
            scored = [self.scored(problem, candidate) for candidate in search.ask(50)]
            search.tell(scored)
            if any(one.exact for one in scored):
                return
            assert scored, "the search ended before it found a program that is right"
        raise AssertionError("10,000 candidates were not enough to find a program that is right")

    def test_it_ends_when_the_time_is_over(self, make: Callable[[Problem], Search]) -> None:
        search = make(self.problem(budget=50.0))
        for _ in range(100):
            if not search.ask(1000):
                return
        raise AssertionError("it still proposes candidates though the time has long been over")


class ArmSuite(ABC):
    """What holds of every arm of `solve`."""

    @pytest.fixture
    @abstractmethod
    def arm(self) -> Arm:
        """The arm."""

    @pytest.fixture
    def problem(self) -> Problem:
        """A problem that the arm applies to and can get right."""
        return small_problem()

    def test_it_applies_and_has_a_name(self, arm: Arm, problem: Problem) -> None:
        assert arm.applies(problem)
        assert arm.name
        assert arm.name == arm.name.strip().lower()

    def test_what_it_finds_is_of_a_type_that_solves_the_task(
        self, arm: Arm, problem: Problem
    ) -> None:
        found = list(arm.run(problem))
        assert found
        for one in found:
            candidate = one.candidate
            resolver = Resolver(problem.library, problem.entries, candidate.parts)
            check(candidate.term, candidate.type, resolver.type_of)
            effect = Effect.of(candidate.type)
            type_ = candidate.type if effect is None else effect.streams
            assert str(type_).endswith(str(problem.task.type))
            assert len(one.right) == len(problem.task.support)

    def test_the_best_beats_the_table_of_the_examples(self, arm: Arm, problem: Problem) -> None:
        best = min(arm.run(problem), key=lambda one: one.rank)
        assert best.score < task_ceiling(problem.task)

    def test_it_counts_what_it_scored(self, arm: Arm, problem: Problem) -> None:
        found = list(arm.run(problem))
        assert problem.trace.arm(arm.name).counts["scored"] >= len(found)

    def test_it_finds_nothing_without_blocks(self, arm: Arm, problem: Problem) -> None:
        bare = replace(problem, entries=(), library=MemoryLibrary())
        found = list(arm.run(bare)) if arm.applies(bare) else []
        assert not any(one.exact for one in found)

    def test_it_returns_soon_after_the_deadline(self, arm: Arm, problem: Problem) -> None:
        short = replace(problem, clock=Clock(5.0, Ticks()))
        list(arm.run(short))
        assert short.clock.elapsed() < 1000

    def test_it_returns_soon_after_a_tenth_of_a_second(self, arm: Arm, problem: Problem) -> None:
        short = replace(problem, clock=Clock(0.1, time.process_time), trace=Trace())
        for _ in arm.run(short):
            pass
        assert short.clock.elapsed() < 2.0

    def test_equal_problems_are_solved_alike(self, arm: Arm) -> None:
        first, second = (list(arm.run(self.again())) for _ in range(2))
        assert [one.candidate.term for one in first] == [one.candidate.term for one in second]
        assert [one.score for one in first] == [one.score for one in second]

    def again(self) -> Problem:
        """A problem made anew, its generator too; redefine it together with `problem`."""
        return small_problem()

    def test_no_candidate_is_found_twice(self, arm: Arm, problem: Problem) -> None:
        found = [one.candidate.term for one in arm.run(problem)]
        assert len(set(found)) == len(found)


class PlainArmSuite(ArmSuite):
    """What holds besides of an arm that finds programs of plain values, and trains nothing."""

    def test_no_score_is_better_than_what_evaluating_says(self, arm: Arm) -> None:
        problem = small_problem()
        for one in arm.run(problem):
            again = scored_by_evaluation(problem, one.candidate)
            assert one.loss >= again.loss - 1e-9
            assert sum(one.right) <= sum(again.right)

    def test_each_is_better_than_those_before_it_or_right_on_all(self, arm: Arm) -> None:
        lowest = float("inf")
        for one in arm.run(small_problem()):
            assert one.exact or one.score < lowest
            lowest = min(lowest, one.score)

    def test_nothing_is_found_where_no_program_is_right_anywhere(self, arm: Arm) -> None:
        problem = small_problem(budget=3_000.0)
        xs = ((1, 2), (3,), (), (4, 0, 5))
        task = replace(problem.task, support=Examples((xs,), (1_001, -777, 9_999, -31_415)))
        assert list(arm.run(replace(problem, task=task))) == []

    def test_an_interrupted_solve_keeps_what_was_found(self, arm: Arm) -> None:
        problem = small_problem()
        solution = solve(
            problem.task, problem.library, clock=problem.clock, searches=[Interrupted(arm)],
            generator=problem.generator,
        )  # fmt: skip
        assert solution.predict((5, 1)) == 12


@dataclass(frozen=True)
class Interrupted:
    """An arm that Ctrl-C stops as soon as it has found an exact program."""

    inner: Arm

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def gradients(self) -> bool:
        return self.inner.gradients

    def applies(self, problem: Problem) -> bool:
        return self.inner.applies(problem)

    def run(self, problem: Problem) -> Iterator[Scored]:
        for one in self.inner.run(problem):
            yield one
            if one.exact:
                raise KeyboardInterrupt


__all__ = [
    "ARITHMETIC",
    "ArmSuite",
    "PlainArmSuite",
    "SearchSuite",
    "Ticks",
    "scored_by_evaluation",
    "small_problem",
]
