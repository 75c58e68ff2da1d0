"""Tasks on floats are solved, with numbers that no example spells out."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloom import read_task
from metaloom_floats import PRIMITIVES
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import Clock, Solution, solve
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.grammar.fitting import fitted_numbers
from metaloom_registry import EvaluationError, MemoryLibrary
from metaloom_registry.types import BOOL, FLOAT, INT

LIBRARY = MemoryLibrary.of((*PRIMITIVES, *LISTS))


def solved(tmp_path: Path, rows: str) -> Solution:
    path = tmp_path / "table.csv"
    path.write_text(rows)
    return solve(read_task(path), LIBRARY, clock=Clock(30))


def test_a_price_is_a_product(tmp_path: Path) -> None:
    rows = "price,count,total\n2.5,4,10.0\n1.2,3,3.6\n0.75,8,6.0\n3.1,2,6.2\n"
    assert solved(tmp_path, rows).predict(0.5, 3) == 1.5


def test_a_formula_may_have_numbers_that_no_example_spells_out(tmp_path: Path) -> None:
    rows = "celsius,fahrenheit\n0,32\n10,50\n25,77\n37,98.6\n-40,-40\n"
    assert solved(tmp_path, rows).predict(100) == pytest.approx(212)


def test_the_numbers_of_a_line_are_offered_where_floats_are_wanted() -> None:
    rows = [((x, 7), 1.8 * x + 32) for x in (0, 10, 25, -40)]
    assert list(fitted_numbers(rows, (INT, INT), FLOAT))[:2] == [1.8, 32.0]
    tax = [
        ((price, count), 1.19 * price * count) for price, count in ((1.5, 2), (4.0, 3), (2.0, 9))
    ]
    assert 1.19 in fitted_numbers(tax, (FLOAT, INT), FLOAT)
    assert not fitted_numbers(rows, (INT, INT), INT)
    assert not fitted_numbers(rows[:2], (INT, INT), FLOAT)


def test_tasks_without_floats_have_no_floats_for_literals() -> None:
    assert FLOAT not in Constants().of([((3,), True), ((4,), False)], (INT,), BOOL)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("over", (1.0, 0.0), "divided by zero"),
        ("times", (1e300, 1e300), "overflows"),
        ("power", (0.0, -1), "has no value"),
        ("power", (1e300, 9), "has no value"),
        ("square_root", (-1.0,), "no square root"),
        ("rounded", (1.5, 99), "99 decimals"),
        ("decimal", ("ten",), "'ten' is no number"),
        ("decimal", ("inf",), "overflows"),
        ("floor", (1e300,), "overflows 64 bits"),
        ("mean", ((),), "empty list"),
        ("largest", ((),), "empty list"),
        ("total", ((1e308, 1e308),), "overflows"),
    ],
)
def test_what_has_no_finite_value_is_told(
    name: str, arguments: tuple[object, ...], message: str
) -> None:
    (primitive,) = [p for p in PRIMITIVES if p.short == name]
    assert primitive.scalar is not None
    with pytest.raises(EvaluationError, match=message):
        primitive.scalar(*arguments)
