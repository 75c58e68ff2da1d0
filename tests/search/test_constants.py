"""Which literals a search may write, and what values cost to write out."""

from __future__ import annotations

import math

import pytest

from metaloom_metalearn import Constants
from metaloom_metalearn.search.coding import description_length, exception_cost, table_cost
from metaloom_registry import BOOL, INT, TEXT, list_of, parse_type


def literals(examples, given, want, **choices):
    found = Constants(**choices).of(examples, given, want)
    return {literal.value for group in found.values() for literal, _ in group}


def test_integers_that_the_examples_speak_of_are_mined():
    examples = [(((7, 40, 7),), (7, 99)), (((7, 1),), (99,)), (((40,),), (40, 99))]
    assert {7, 40, 99, 100} <= literals(examples, [list_of(INT)], list_of(INT))


def test_nothing_is_written_beyond_the_largest_integer():
    largest = (1 << 63) - 1
    found = literals([(((largest, 3),), (3,)), (((5, 4),), (4,))], [list_of(INT)], list_of(INT))
    assert all(value <= largest for value in found)


def test_no_mined_literal_is_a_whole_input_or_output():
    examples = [((17,), 34), ((18,), 36), ((21,), 42)]
    found = literals(examples, [INT], INT)
    assert not found & {17, 18, 21, 34, 36, 42}


def test_a_value_that_every_output_shares_may_be_written():
    examples = [((17,), 500), ((18,), 500)]
    assert 500 in literals(examples, [INT], INT)
    assert 500 not in literals([*examples, ((19,), 501)], [INT], INT)


def test_one_example_shares_nothing():
    assert 500 not in literals([((17,), 500)], [INT], INT)


def test_small_integers_may_be_let_off_the_rule():
    examples = [((8,), 2), ((9,), 3)]
    assert not {2, 3} & literals(examples, [INT], INT)
    assert {2, 3} <= literals(examples, [INT], INT, strict=False)


def test_a_truth_value_that_is_an_output_is_not_written():
    assert not {True, False} & {
        v for v in literals([((5,), True), ((6,), False)], [INT], BOOL) if isinstance(v, bool)
    }


def test_huge_integers_are_not_mined():
    examples = [(((1 << 60, 3),), (1 << 60,)), (((1 << 60,),), (1 << 60,))]
    assert max(literals(examples, [list_of(INT)], list_of(INT))) < 1 << 60


def test_texts_are_mined_but_no_whole_one():
    examples = [((("a", "-"),), ("a", "-", "x")), ((("b", "-"),), ("b", "-"))]
    assert "-" in literals(examples, [list_of(TEXT)], list_of(TEXT))
    assert "a" not in literals([(("a",), "a")], [TEXT], TEXT)


def test_probabilities_sum_to_one():
    found = Constants().of([(((7, 8),), (7,))], [list_of(INT)], list_of(INT))
    for group in found.values():
        assert math.fsum(share for _, share in group) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("value", "type_", "bits"),
    [
        (0, "int", 1), (1, "int", 4), (-1, "int", 4), (7, "int", 8), (True, "bool", 1),
        ((), "list[int]", 1), ((0, 0, 0), "list[int]", 5 + 1 + 3), ((1, True), "(int, bool)", 5),
        ("ab", "text", 4 + 14), (0.5, "float", 64),
    ],
)  # fmt: skip
def test_values_are_written_in_so_many_bits(value, type_, bits):
    assert description_length(value, parse_type(type_)) / math.log(2) == pytest.approx(bits)


def test_integers_of_int64_take_at_most_129_bits():
    assert description_length(-(1 << 63), INT) / math.log(2) <= 129


def test_a_label_is_written_in_the_logarithm_of_its_classes():
    assert description_length(3, parse_type("label[10]")) == pytest.approx(math.log(10))


def test_any_unicode_text_has_a_length():
    assert description_length("\N{SNOWMAN}\ud800", TEXT) > description_length("ab", TEXT)


def test_the_table_costs_what_its_exceptions_cost():
    outputs = [3, 4, 5]
    assert table_cost(outputs, INT) == pytest.approx(
        sum(exception_cost(output, INT, 3) for output in outputs)
    )
