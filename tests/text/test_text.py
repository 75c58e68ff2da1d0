"""The primitives of `metaloom_text` pass the suite, and take any Unicode."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_lists import PRIMITIVES as LISTS
from metaloom_registry import EvaluationError, Primitive, PrimitiveTable, uncurried
from metaloom_registry.testing.declarations import PrimitiveSuite
from metaloom_registry.types import INT, TEXT
from metaloom_text import MAX_CHARACTERS, PRIMITIVES


class TestText(PrimitiveSuite):
    @pytest.fixture
    def primitives(self) -> tuple[Primitive, ...]:
        return PRIMITIVES


TABLE = PrimitiveTable(PRIMITIVES)


def test_no_short_name_is_also_one_of_the_list_plugin() -> None:
    assert not {p.short for p in PRIMITIVES} & {p.short for p in LISTS}


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from(PRIMITIVES),
    st.lists(st.text(st.characters(), max_size=12), min_size=3, max_size=3),
    st.integers(-3, 12),
)
def test_any_unicode_is_taken_lone_surrogates_included(
    primitive: Primitive, texts: list[str], number: int
) -> None:
    given_types = uncurried(primitive.signature)[0]
    arguments = [
        number if t == INT else texts[i] if t == TEXT else tuple(texts)
        for i, t in enumerate(given_types)
    ]
    assert primitive.scalar is not None
    try:
        value = primitive.scalar(*arguments)
    except EvaluationError:
        return
    assert isinstance(value, str | int | tuple)


def test_places_count_code_points_and_not_what_a_reader_sees() -> None:
    accented = "e\u0301a"
    length, left = (next(p for p in PRIMITIVES if p.short == n) for n in ("text_length", "left"))
    assert length.scalar is not None
    assert left.scalar is not None
    assert length.scalar(accented) == 3
    assert left.scalar(1, accented) == "e"


@pytest.mark.parametrize(
    ("short", "arguments"),
    [
        ("repeat_text", (1 << 40, "ab")),
        ("pad", (1 << 40, "0", "a")),
        ("replace", ("a", "b" * 1000, "a" * 1000)),
        ("concatenate", ("a" * MAX_CHARACTERS, "b")),
        ("join", ("-" * 1000, ("a",) * 1000)),
        ("characters", ("a" * 200_000,)),
    ],
)
def test_a_result_that_is_too_long_is_refused_before_it_is_made(
    short: str, arguments: tuple[object, ...]
) -> None:
    primitive = next(p for p in PRIMITIVES if p.short == short)
    assert primitive.scalar is not None
    with pytest.raises(EvaluationError, match="longer than the 100000 allowed"):
        primitive.scalar(*arguments)
