"""A wrong output costs less where the value that a program gives helps to write it out."""

from __future__ import annotations

import math

import pytest

from metaloom_metalearn.search.coding import EXCEPTION, description_length, exception_cost
from metaloom_metalearn.search.corrections import CORRECTION, correction_cost
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.scoring import Scorer
from metaloom_registry import Type, parse_type
from metaloom_registry.types import FLOAT, INT, TEXT, list_of

LIST = list_of(INT)
WANTED = (3, 14, 15, 92, 65, 35)


def test_the_marks_of_exceptions_and_corrections_are_those_of_one_code() -> None:
    assert math.exp(-EXCEPTION) + 2 * math.exp(-CORRECTION) < 1


def test_one_wrong_item_costs_its_place_and_itself() -> None:
    value = (3, 14, 16, 92, 65, 35)
    nats = description_length(1, INT) + math.log(6) + description_length(15, INT)
    assert correction_cost(value, WANTED, LIST, 4) == pytest.approx(CORRECTION + math.log(4) + nats)
    assert correction_cost(value, WANTED, LIST, 4) < exception_cost(WANTED, LIST, 4)


@pytest.mark.parametrize(
    "value", [(3, 14, 15, 92, 65), (3, 14, 15, 15, 92, 65, 35), (14, 15, 92, 65, 35)]
)
def test_an_item_too_few_or_too_many_costs_less_than_the_list(value: tuple[int, ...]) -> None:
    assert correction_cost(value, WANTED, LIST, 4) < exception_cost(WANTED, LIST, 4)


def test_the_more_is_wrong_the_more_it_costs() -> None:
    values = [WANTED[:n] + tuple(x + 1 for x in WANTED[n:]) for n in range(6, -1, -1)]
    costs = [correction_cost(value, WANTED, LIST, 4) for value in values]
    assert costs == sorted(costs)
    assert costs[-1] > exception_cost(WANTED, LIST, 4)


def test_texts_and_grids_are_corrected_as_lists_are() -> None:
    long, grid = "Program synthesis", parse_type("list[list[int]]")
    assert correction_cost(long.lower(), long, TEXT, 3) < exception_cost(long, TEXT, 3) / 3
    rows = ((1, 2, 3, 4), (5, 6, 7, 8), (9, 9, 9, 9))
    other = ((1, 2, 3, 4), (5, 6, 0, 8), (9, 9, 9, 9))
    assert correction_cost(other, rows, grid, 3) < exception_cost(rows, grid, 3) / 2


@pytest.mark.parametrize(("value", "type_"), [(FAILED, LIST), (7, INT), (True, parse_type("bool"))])
def test_what_is_no_sequence_helps_nothing(value: object, type_: Type) -> None:
    wanted = WANTED if type_ == LIST else value
    assert correction_cost(value, wanted, type_, 4) == math.inf


def test_a_loss_is_never_more_than_the_exceptions() -> None:
    scorer = Scorer.of([WANTED, (1, 2), ()], LIST)
    for values in ([WANTED, (1, 2), ()], [WANTED[1:], (1, 3), (4,)], [FAILED, (2,), ()]):
        assert scorer.loss(values) <= scorer.exceptions(values)
    assert scorer.loss([WANTED, (1, 2), ()]) == 0
    assert scorer.loss([WANTED[1:], (1, 2), ()]) < scorer.exceptions([WANTED[1:], (1, 2), ()])


def test_floats_that_are_off_by_little_cost_less_the_nearer_they_are() -> None:
    wanted = [1.5, 20.0, -3.25, 7.0]
    scorer = Scorer.of(wanted, FLOAT)
    losses = [scorer.loss([w + away for w in wanted]) for away in (0.0, 1e-4, 1e-2, 1.0)]
    assert losses == sorted(losses)
    assert losses[0] == 0
    assert losses[-1] < scorer.ceiling
    one_wrong = scorer.loss([1.5, 20.0, -3.25, 1e9])
    assert (
        one_wrong <= exception_cost(7.0, FLOAT, 4) + 5
    )  # an exception beside three that are right
