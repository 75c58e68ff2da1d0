"""The text of terms."""

import pytest

from metaloom_lists import PRIMITIVES
from metaloom_registry import (
    Apply,
    Lambda,
    ParseError,
    PrimitiveTable,
    parse_term,
    print_term,
    term_from_json,
    term_to_json,
)

TABLE = PrimitiveTable(PRIMITIVES)


def test_short_names_stand_for_references_in_full():
    term = parse_term("(lam (map (lam (add 3 $0)) $0))", TABLE.short_names)
    assert print_term(term) == "(lam (lists/map@1 (lam (lists/add@1 3 $0)) $0))"
    assert print_term(term, TABLE.short_names) == "(lam (map (lam (add 3 $0)) $0))"
    assert term_to_json(term) == ["lam", ["lists/map@1", ["lam", ["lists/add@1", 3, "$0"]], "$0"]]


@pytest.mark.parametrize(
    "text",
    [
        "$0", "(lam $0)", "(let 1 $0)", '(hole "list[a] -> int")', "3", "-9223372036854775808",
        "1.5", "1e+300", "-0.0", "true", "false", '"a \\"b\\"\\n"', '"é"', "vision/conv4@3",
        "vision/conv4", "vision/conv4@champion", f"@sha256:{'0' * 64}", "((lam $0) 1 2)",
        "($0 $1 $2)", '((hole "a -> b") 1)',
    ],
)  # fmt: skip
def test_reading_and_writing_are_inverse(text):
    term = parse_term(text)
    assert print_term(term) == text
    assert parse_term(text) == term
    assert term_from_json(term_to_json(term)) == term


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "stands the end where a term is wanted"),
        ("(", "is open"),
        (")", "stands '\\)'"),
        ("()", "parentheses hold nothing"),
        ("(f/g)", "parentheses hold one term"),
        ("(lam)", "write \\(lam BODY\\)"),
        ("(lam $0 $1)", "a 'lam' has 2 terms"),
        ("(let 1)", "write \\(let VALUE BODY\\)"),
        ("(hole int)", "unknown name 'int'"),
        ("(hole 3)", "a hole names its type as text"),
        ('(hole "lst[int]")', "did you mean 'list'"),
        ("lam", "the keyword 'lam'"),
        ("1 2", "after its end"),
        ("$x", "a variable is"),
        ("$-1", "a variable is"),
        ("007", "no int64"),
        ("1e999", "no finite float"),
        ("9223372036854775808", "64 bits"),
        ("9" * 5000, "64 bits"),
        ('"abc', "without a closing"),
        ('"\\x"', "Invalid"),
        ('"\\ud800"', "surrogate"),
        ("../x/y", "is not a block's name"),
        ("nope", "unknown name"),
        ("mp", "did you mean 'map'"),
        ("(lam (lam let))", "keyword"),
    ],
)
def test_what_is_no_term_is_refused_with_its_place(text, message):
    with pytest.raises(ParseError, match=message):
        parse_term(text, TABLE.short_names)


@pytest.mark.parametrize("text", ["(" * 100_000, "(lam " * 5000 + "$0" + ")" * 5000])
def test_hostile_depth_is_a_parse_error(text):
    with pytest.raises(ParseError, match="nests deeper than"):
        parse_term(text)


def test_a_long_chain_of_arguments_is_a_parse_error():
    with pytest.raises(ParseError, match="levels deep"):
        parse_term("(f/g" + " 1" * 5000 + ")")
    with pytest.raises(ParseError, match="nodes"):
        parse_term("(f/g" + " 1" * 100_001 + ")")


def test_a_deep_term_still_prints_and_is_refused_as_json():
    term = parse_term("$0")
    for _ in range(10_000):
        term = Lambda(Apply(term, term)) if term == parse_term("$0") else Lambda(term)
    assert print_term(term).startswith("(lam (lam")
    with pytest.raises(ParseError, match="levels deep"):
        term_to_json(term)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "not a term"),
        ([], "not an application"),
        (["lists/map@1"], "not an application"),
        (["lam"], "not a function"),
        (["lam", 1, 2], "not a function"),
        (["let", 1], "not a let"),
        ([["lists/add@1", 1], 2], "not an application"),
        ("map", "no variable and no reference"),
        ({"text": 1}, "write"),
        ({"text": "a", "hole": "int"}, "write"),
        ({}, "write"),
        (1 << 70, "64 bits"),
        (float("nan"), "finite"),
        (b"x", "not a term"),
    ],
)
def test_json_that_is_no_term_is_refused(value, message):
    with pytest.raises(ParseError, match=message):
        term_from_json(value)


def test_json_of_hostile_depth_is_refused():
    value: object = "$0"
    for _ in range(900):
        value = ["lam", value]
    with pytest.raises(ParseError, match="deeper"):
        term_from_json(value)
