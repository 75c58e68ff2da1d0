"""Normal forms and the digests of programs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Evaluator, Limits
from metaloom_registry import (
    EvaluationError,
    ParseError,
    PrimitiveTable,
    normal_form,
    parse_term,
    parse_type,
    print_term,
    term_digest,
)
from metaloom_registry.testing import terms, values

TABLE = PrimitiveTable(PRIMITIVES)
LISTS = parse_type("list[int] -> list[int]")


def read(text):
    return parse_term(text, TABLE.short_names)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(let 1 (add $0 $0))", "(add 1 1)"),
        ("((lam (lam (subtract $1 $0))) 1)", "(lam (subtract 1 $0))"),
        ("((lam (lam (subtract $1 $0))) 1 2)", "(subtract 1 2)"),
        ("((let add (lam ($1 $0))) 2 3)", "(add 2 3)"),
        ("(lam ((lam (lam ($1 $0))) $0))", "(lam (lam ($1 $0)))"),
        ("(lam (let (add $0 1) (lam (add $0 $1))))", "(lam (lam (add $0 (add $1 1))))"),
        ("((lam ($0 ($0 1))) (lam (add 1 $0)))", "(add 1 (add 1 1))"),
        ("((lam 1) (head empty))", "1"),
        ("(map (lam (f/g@1 $0)) empty)", "(map (lam (f/g@1 $0)) empty)"),
    ],
)
def test_functions_on_the_spot_and_lets_are_written_out(text, wanted):
    assert print_term(normal_form(read(text)), TABLE.short_names) == wanted
    assert term_digest(read(text)) == term_digest(read(wanted))


def test_terms_that_differ_otherwise_have_other_digests():
    assert term_digest(read("(add 1 2)")) != term_digest(read("(add 2 1)"))
    assert term_digest(read("1")) != term_digest(read("1.0"))
    assert term_digest(read("true")) != term_digest(read("1"))


@pytest.mark.parametrize(
    "text",
    [
        "((lam ($0 $0)) (lam ($0 $0)))",
        "((lam ($0 $0 $0)) (lam ($0 $0 $0)))",
        "(let (pair 1 1) " + "(let (pair $0 $0) " * 30 + "$0" + ")" * 31,
    ],
)
def test_what_grows_without_bound_is_refused(text):
    with pytest.raises(ParseError, match=r"more than 100000 nodes|nests too deeply"):
        normal_form(read(text))


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(terms(LISTS, TABLE), st.lists(values(parse_type("list[int]")), min_size=3, max_size=3))
def test_the_normal_form_has_the_same_values(term, inputs):
    evaluator = Evaluator(TABLE.__getitem__, Limits(steps=20_000, items=2_000))
    normal = normal_form(term)
    assert normal_form(normal) == normal
    for xs in inputs:
        try:
            wanted = evaluator.value(term, xs)
        except EvaluationError:
            continue
        assert evaluator.value(normal, xs) == wanted
