"""The types of terms."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_lists import PRIMITIVES
from metaloom_registry import (
    INT,
    PrimitiveTable,
    TypeMismatch,
    check,
    infer,
    normal_form,
    parse_term,
    parse_type,
    substituted,
)
from metaloom_registry.testing import terms

TABLE = PrimitiveTable(PRIMITIVES)
WANTED = st.sampled_from(
    [parse_type(t) for t in ("list[int] -> list[int]", "list[int] -> int", "int -> bool", "int")]
)
few = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def type_of(reference):
    return TABLE[reference].signature


def read(text):
    return parse_term(text, TABLE.short_names)


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("(lam $0)", "a -> a"),
        ("(lam (lam ($1 ($1 $0))))", "(a -> a) -> a -> a"),
        ("(lam (map (lam (add 3 $0)) $0))", "list[int] -> list[int]"),
        ("map", "(a -> b) -> list[a] -> list[b]"),
        ("(fold (lam (lam (cons $0 $1))) empty)", "list[a] -> list[a]"),
        ("(let (lam $0) (pair ($0 1) ($0 true)))", "(int, bool)"),
        ("(lam (let $0 (pair $0 $0)))", "a -> (a, a)"),
        ("(lam (let (lam (pair $0 $1)) (pair ($0 1) ($0 true))))", "a -> ((int, a), (bool, a))"),
        ('(map (hole "int -> vec[n]"))', "list[int] -> list[vec[n]]"),
        ('(hole "a -> b")', "a -> b"),
        ("1.5", "float"),
        ('"a"', "text"),
    ],
)
def test_a_term_has_its_most_general_type(text, type_):
    assert infer(read(text), type_of) == parse_type(type_)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(add true)", r"true, argument 1 of lists/add@1: bool does not fit where int is wanted"),
        ("(map (lam (not $0)) (range 3))", r"\(lists/range@1 3\), argument 2 of lists/map@1"),
        ("(map (lam (not $0)) (range 3))", r"list\[int\] does not fit .* int is not bool"),
        ("(1 2)", r"1 of type int is no function, but \(1 2\) gives it 1"),
        ("(length empty 3)", r"takes 1 argument, but"),
        ("(lam ($0 $0))", "which contains it"),
        ("(lam $1)", r"\$1 is bound by nothing: 1 variables are in scope"),
        ("(lam (let $0 (pair ($0 1) ($0 true))))", "bool"),
    ],
)
def test_a_misfit_names_the_part_and_what_was_wanted(text, message):
    with pytest.raises(TypeMismatch, match=message):
        infer(read(text), type_of)


def test_free_variables_have_the_types_given():
    given_ = (parse_type("list[int]"), INT)
    assert infer(read("(map (add $1) $0)"), type_of, given_) == parse_type("list[int]")
    with pytest.raises(TypeMismatch, match="argument 2"):
        infer(read("(map (add 1) $1)"), type_of, given_)


def test_checking_asks_for_a_type_as_general_as_wanted():
    assert check(read("(lam $0)"), parse_type("int -> int"), type_of) == parse_type("a -> a")
    assert check(read("reverse"), parse_type("list[b] -> list[b]"), type_of)
    for text, wanted in (
        ("(lam (add 1 $0))", "a -> a"),
        ("(lam $0)", "a -> b"),
        ("sort", "list[a] -> list[a]"),
        ('(hole "vec[3] -> vec[3]")', "vec[n] -> vec[n]"),
    ):
        with pytest.raises(TypeMismatch, match="less general"):
            check(read(text), parse_type(wanted), type_of)
    with pytest.raises(TypeMismatch, match="int is not bool"):
        check(read("(lam (add 1 $0))"), parse_type("int -> bool"), type_of)


def test_hostile_types_are_refused_in_time():
    text = "(lam $0)"
    for _ in range(60):
        text = f"(let {text} (pair $0 $0))"
    with pytest.raises(TypeMismatch, match="smaller types"):
        infer(read(text), type_of)
    deep = "$0"
    for _ in range(150):
        deep = f"(pair {deep} {deep})" if len(deep) < 2000 else f"(singleton {deep})"
    with pytest.raises(TypeMismatch, match=r"parts or|too deeply|smaller"):
        infer(read(f"(lam (let {deep} (let (lam {deep}) ($0 ($0 ($0 ($0 $1)))))))"), type_of)


@few
@given(st.data(), WANTED)
def test_a_random_well_typed_term_has_its_type(data, wanted):
    term = data.draw(terms(wanted, TABLE))
    check(term, wanted, type_of)
    check(normal_form(term), wanted, type_of)


@few
@given(st.data())
def test_substitution_keeps_the_type(data):
    value = data.draw(terms(INT, TABLE))
    body = data.draw(terms(parse_type("list[int]"), TABLE, (INT,)))
    check(substituted(body, value), parse_type("list[int]"), type_of)
