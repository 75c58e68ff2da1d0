"""Searches stop where what a program gets wrong looks like noise, and only there."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import pytest
import torch

from metaloom_floats import PRIMITIVES as FLOATS
from metaloom_metalearn import (
    Clock,
    Enumerate,
    Examples,
    Problem,
    Solution,
    Task,
    anneal,
    beam,
    evolve,
    solve,
)
from metaloom_metalearn.search.enumeration.engines import Engine, PlainTerms, fastest
from metaloom_metalearn.search.noise import (
    EXAMPLES,
    Noise,
    code_length,
    depends,
    float_nats,
    noise_of,
    worth,
)
from metaloom_metalearn.search.strategies.strategy import Strategy
from metaloom_metalearn.testing.search import ARITHMETIC, Ticks
from metaloom_registry import MemoryLibrary, NoSolution, parse_type
from metaloom_registry.types import FLOAT, INT

LIBRARY = MemoryLibrary.of(ARITHMETIC)


def numbers(count: int = 24) -> list[int]:
    return Random(1).sample(range(400), count)


def solved(wanted: Callable[[int], int], budget: float = 10_000.0) -> tuple[Solution, Clock]:
    xs = tuple(numbers())
    task = Task(parse_type("int -> int"), Examples((xs,), tuple(map(wanted, xs))), name="noisy")
    clock = Clock(budget, Ticks())
    return solve(task, LIBRARY, clock=clock, searches=[Enumerate(engine=PlainTerms)]), clock


def errors(*kinds: int) -> Callable[[int], int]:
    random = Random(2)
    return lambda x: 3 * x + 2 + random.choice(kinds)


def test_a_noisy_task_ends_before_its_deadline_and_the_trace_says_why() -> None:
    solution, clock = solved(errors(0, 0, 0, 1, -1))
    assert clock.elapsed() < 0.8 * clock.budget
    assert solution.predict(1000) == 3002
    assert solution.score < 60
    (note,) = solution.trace.arm("enumerate").notes
    assert "looks like noise of size 0." in note
    assert note in str(solution.report)


def test_the_question_is_asked_of_the_program_that_is_shortest_with_its_residuals() -> None:
    problem = _problem(lambda x: 3 * x + 2 + x % 3)
    enumeration = Enumerate(engine=PlainTerms).search(problem)
    assert enumeration is not None
    asked: list[float] = []
    residuals = enumeration.residuals
    for node in enumeration.nodes():
        before = residuals.shortest
        enumeration.doubt(node)
        if residuals.shortest < before:
            asked.append(residuals.shortest)
            assert residuals.noise is None or residuals.noise.length == asked[-1]
        if len(asked) == 3 or enumeration.level > 30:
            break
    assert asked == sorted(asked, reverse=True)
    assert asked


def test_errors_that_depend_on_the_input_are_searched_to_the_deadline() -> None:
    solution, clock = solved(lambda x: 3 * x + 2 + (x % 3 == 0), budget=3_000.0)
    assert clock.expired()
    assert "noise" not in str(solution.report)


def test_no_longer_program_is_tried_than_the_best_with_its_errors() -> None:
    """One output of 24 is wrong: an exact program that is e^20 times less likely is no better."""
    enumeration = Enumerate(engine=PlainTerms).search(_problem(lambda x: 3 * x + 2))
    assert enumeration is not None
    enumeration.lowest = 20.0
    assert not enumeration._settled(39.5)
    assert enumeration._settled(40.5)
    assert "no longer one can be better" in enumeration.account.notes[0]
    assert enumeration.account.settled


def _problem(wanted: Callable[[int], int]) -> Problem:
    xs = tuple(numbers())
    task = Task(parse_type("int -> int"), Examples((xs,), tuple(map(wanted, xs))), name="exact")
    entries = tuple(LIBRARY.candidates(task.want, task.given, 100))
    return Problem(task, LIBRARY, entries, Clock(1e6, Ticks()))


def looked_at(wanted: Callable[[int], int], given: Callable[[int], int]) -> Noise | None:
    xs = numbers()
    return noise_of([(x,) for x in xs], list(map(wanted, xs)), list(map(given, xs)), 9.0)


def test_independent_errors_are_noise_of_their_size() -> None:
    found = looked_at(errors(0, 1, -1, 2, -2), lambda x: 3 * x + 2)
    assert found is not None
    assert found.cost == 9.0
    assert 0.6 < found.size < 1.8
    assert 9.0 < found.length < 9.0 + 24 * 2.5


@pytest.mark.parametrize(
    "wanted",
    [
        lambda x: 3 * x + 2 + (x > 200),
        lambda x: 3 * x + 2 + x % 3,
        lambda x: 3 * x + 2 + x // 50,
        lambda x: 3 * x + 5,
    ],
)
def test_errors_that_follow_the_input_are_not(wanted: Callable[[int], int]) -> None:
    assert looked_at(wanted, lambda x: 3 * x + 2) is None


def test_a_program_that_explains_little_leaves_no_noise() -> None:
    random = Random(3)
    assert looked_at(lambda x: random.randint(0, 1200), lambda x: 3 * x + 2) is None


def test_one_wrong_example_and_few_examples_tell_nothing() -> None:
    assert looked_at(lambda x: 3 * x + 2 + (x == numbers()[0]), lambda x: 3 * x + 2) is None
    random, xs = Random(4), numbers(EXAMPLES - 1)
    outputs = [3 * x + random.choice((0, 1)) for x in xs]
    assert noise_of([(x,) for x in xs], outputs, [3 * x for x in xs], 9.0) is None


def test_values_that_are_no_integers_leave_no_noise() -> None:
    xs = numbers()
    assert noise_of([(x,) for x in xs], xs, [True] * len(xs), 9.0) is None


def test_the_code_of_residuals_is_that_of_the_likeliest_scale() -> None:
    residuals = [0, 1, -2, 0, 3, -1]

    def under(q: float) -> float:
        each = -math.log((1 - q) / (1 + q))
        return len(residuals) * each - sum(map(abs, residuals)) * math.log(q)

    best = min(under(i / 1000) for i in range(1, 1000))
    assert code_length(residuals) - 0.5 * math.log(6) == pytest.approx(best, abs=1e-3)
    assert code_length([0, 0]) == 0.0


def test_von_neumanns_ratio_tells_an_order_from_none() -> None:
    random = Random(5)
    mixed = [random.choice((-1, 0, 1)) for _ in range(30)]
    assert depends(sorted(mixed), list(range(30)))
    assert depends([7] * 30, list(range(30)))
    taken = sum(depends([random.choice((-1, 0, 1)) for _ in range(30)], list(range(30)))
                for _ in range(400))  # fmt: skip
    assert taken <= 8


def test_a_task_without_any_approximate_program_is_told_apart() -> None:
    random = Random(6)
    with pytest.raises(NoSolution):
        solved(lambda x: random.randint(-(10**6), 10**6), budget=2_000.0)


@pytest.mark.parametrize("engine", [PlainTerms, fastest])
def test_a_program_that_is_right_nowhere_is_found_by_what_it_leaves(engine: Engine) -> None:
    random = Random(8)
    xs = tuple(numbers())
    ys = tuple(3 * x + 2 + random.choice((-3, -2, -1, 1, 2, 3)) for x in xs)
    task = Task(parse_type("int -> int"), Examples((xs,), ys), name="noisy")
    arm = Enumerate(engine=engine)
    solution = solve(task, LIBRARY, clock=Clock(10_000, Ticks()), searches=[arm])
    assert abs(solution.predict(1000) - 3002) <= 2
    assert solution.right < len(xs) / 2
    (warning,) = solution.trace.warnings
    assert f"right on {solution.right} of 24 examples alone" in warning


@pytest.mark.parametrize("arm", [anneal(), beam(), evolve()], ids=lambda arm: str(arm.name))
def test_strategies_end_at_noise_too(arm: Strategy) -> None:
    wanted = errors(0, 0, 1, -1)
    xs = tuple(numbers())
    task = Task(parse_type("int -> int"), Examples((xs,), tuple(map(wanted, xs))), name="noisy")
    clock, generator = Clock(12_000, Ticks()), torch.Generator().manual_seed(0)
    solution = solve(task, LIBRARY, clock=clock, searches=[arm], generator=generator)
    assert clock.elapsed() < 0.9 * clock.budget
    assert abs(solution.predict(1000) - 3002) <= 2
    assert "looks like noise" in str(solution.report)


def test_noisy_measurements_are_explained_by_a_line() -> None:
    random = Random(10)
    xs = tuple(float(x) for x in range(16))
    ys = tuple(2.5 * x + 1 + random.gauss(0, 0.1) for x in xs)
    task = Task(parse_type("float -> float"), Examples((xs,), ys), name="measured")
    library = MemoryLibrary.of(FLOATS)
    solution = solve(task, library, clock=Clock(12_000, Ticks()), searches=[Enumerate()])
    assert solution.predict(100.0) == pytest.approx(251, abs=2)
    assert solution.right == 0


def test_floats_about_the_values_are_written_to_within_a_millionth() -> None:
    wanted = [1.0, 2.0, 3.0, 4.0]
    away = [w + 0.01 * (-1) ** i for i, w in enumerate(wanted)]
    nats = sum(math.log(2 * 0.01 / (2e-6 * w)) + 1 for w in wanted) + 0.5 * math.log(4)
    assert float_nats(wanted, away) == pytest.approx(nats)
    assert float_nats(wanted, [*away[:3], 1e6]) < nats + 64
    assert float_nats(wanted, [*away[:3], math.inf]) == float_nats(wanted, [*away[:3], None])


def test_what_outputs_are_worth_is_what_they_take_with_no_program() -> None:
    assert worth([5, 9], INT) == pytest.approx((6 + 8) * math.log(2))
    assert worth([1000.0, 1000.1, 1000.2, 1000.1], FLOAT) < 4 * 64 * math.log(2)
