"""Strategies behind `ask` and `tell` pass the shipped suites, and are what they say they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest

from metaloom_metalearn import Problem, Scored, Search, Space, Strategy, anneal, beam, evolve
from metaloom_metalearn.search.arm import Arm
from metaloom_metalearn.search.enumeration.node import term_of
from metaloom_metalearn.search.nearness import nearness
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.search.strategies.annealing import Annealing
from metaloom_metalearn.search.strategies.evolution import Evolution, _Member
from metaloom_metalearn.testing.search import (
    PlainArmSuite,
    SearchSuite,
    scored_by_evaluation,
    small_problem,
)
from metaloom_registry import ParseError, check, print_term


def begun(arm: Strategy) -> Callable[[Problem], Search]:
    def begin(problem: Problem) -> Search:
        search = arm.search(problem)
        assert search is not None
        return search

    return begin


class TestAnnealingIsASearch(SearchSuite):
    @pytest.fixture
    def make(self) -> Callable[[Problem], Search]:
        return begun(anneal())


class TestEvolutionIsASearch(SearchSuite):
    @pytest.fixture
    def make(self) -> Callable[[Problem], Search]:
        return begun(evolve())


class TestBeamSearchIsASearch(SearchSuite):
    @pytest.fixture
    def make(self) -> Callable[[Problem], Search]:
        return begun(beam())


class TestAnnealIsAnArm(PlainArmSuite):
    @pytest.fixture
    def arm(self) -> Arm:
        return anneal(chains=4)


class TestEvolveIsAnArm(PlainArmSuite):
    @pytest.fixture
    def arm(self) -> Arm:
        return evolve(size=50)


class TestBeamIsAnArm(PlainArmSuite):
    @pytest.fixture
    def arm(self) -> Arm:
        return beam(width=4)


def space(seed: int = 0) -> Space:
    made = Space.of(small_problem(seed=seed), "test")
    assert made is not None
    return made


def test_terms_are_drawn_with_the_probabilities_of_the_grammar() -> None:
    """What is drawn n times has n / total near exp(-cost), but for what the bound cuts off."""
    drawn, counted = space(), dict[str, list[float]]()
    for _ in range(6000):
        node = drawn.drawn(40.0)
        if node is None:
            continue
        assert node.cost < 40.0 + 2
        key = print_term(term_of(node, 1))
        counted.setdefault(key, [0, node.cost])[0] += 1
    common = sorted(counted.values(), reverse=True)[:5]
    whole = sum(math.exp(-cost) for _, cost in counted.values())
    for number, cost in common:
        assert number / 6000 == pytest.approx(math.exp(-cost) / whole, rel=0.35)


def test_whatever_is_drawn_changed_or_crossed_is_well_typed() -> None:
    made = space()
    problem = made.problem
    resolver = Resolver(problem.library, problem.entries)
    nodes = [node for _ in range(60) for node in (made.drawn(30.0),) if node is not None]
    for one, other in pairwise(nodes):
        for node in (made.changed(one), made.crossed(one, other)):
            if node is not None:
                check(term_of(node, 1), problem.task.type, resolver.type_of)


def test_a_cold_chain_goes_nowhere_worse_and_a_hot_one_anywhere() -> None:
    for heat, moves in ((1e-6, False), (1e9, True)):
        search = Annealing(space(), 1, 100, heat, heat)
        (first,) = search.ask(1)
        search.tell([Scored(first, 10.0, (False,) * 4)])
        chain = search.chains[0]
        before = chain.node
        (second,) = search.ask(1)
        search.tell([Scored(second, 500.0, (False,) * 4)])
        assert (chain.node is not before) is moves


def test_lexicase_prefers_who_is_best_on_the_first_example_drawn() -> None:
    search = Evolution(space(), 4, 0.0, 0.0)
    node, other, third = (search.space.drawn(20.0) for _ in range(3))
    assert node is not None
    assert other is not None
    assert third is not None
    search.members = [
        _Member(node, (1.0, 0.0), 5.0),
        _Member(other, (0.0, 1.0), 5.0),
        _Member(third, (0.9, 0.9), 1.0),
    ]
    chosen = {id(search._parent()) for _ in range(50)}
    assert chosen == {id(node), id(other)}


def test_of_programs_as_near_everywhere_the_cheapest_lives_on() -> None:
    search = Evolution(space(), 2, 0.0, 0.0)
    node = search.space.drawn(20.0)
    assert node is not None
    search.members = [_Member(node, (0.5,), 9.0), _Member(node, (0.5,), 3.0)]
    search._select()
    assert [member.graded for member in search.members] == [3.0]


def test_nearness_is_one_for_the_value_alone_and_falls_with_distance() -> None:
    assert nearness(3, 3) == nearness((1, 2), (1, 2)) == nearness("ab", "ab") == 1.0
    assert 0.9 > nearness(4, 3) > nearness(30, 3) > 0
    assert 0.9 > nearness((1, 2, 3), (1, 2, 4)) > nearness((9,), (1, 2, 4)) > 0
    assert nearness(True, False) == 0.0
    assert nearness((2, 1), (1, 2)) < 0.9


def test_credit_lowers_no_score() -> None:
    problem = small_problem()
    for one in anneal(chains=4).run(problem):
        again = scored_by_evaluation(problem, one.candidate)
        assert one.score == pytest.approx(again.score)
        assert one.graded <= one.score
        assert (one.graded == one.score) or not one.exact


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: anneal(hot=0.1, cold=1.0), "the second no higher than the first"),
        (lambda: evolve(size=1), "give two programs or more"),
        (lambda: beam(width=0), "give 1 or more"),
    ],
)
def test_settings_that_search_nothing_are_refused(make: Callable[[], Strategy], said: str) -> None:
    with pytest.raises(ParseError, match=said):
        make()


def test_a_strategy_that_draws_wants_a_generator() -> None:
    problem = small_problem()
    assert anneal().applies(problem)
    object.__setattr__(problem, "generator", None)
    assert not anneal().applies(problem)
