"""Programs as Python source."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Evaluator, Limits
from metaloom_registry import (
    Digest,
    EvaluationError,
    ParseError,
    PluginError,
    Primitive,
    PrimitiveTable,
    Reference,
    Refused,
    TypeMismatch,
    frozen_value,
    parse_term,
    parse_type,
    python_module,
    python_source,
)
from metaloom_registry.testing import terms, values

TABLE = PrimitiveTable(PRIMITIVES)
EVENS = Reference.parse("me/evens@1")
TWICE = Reference.parse("me/twice@1")
DIGIT = Reference(None, Digest("ab" * 32))
BLOCKS = {
    EVENS: parse_term("(lam (filter is_even $0))", TABLE.short_names),
    TWICE: parse_term("(lam (lam ($1 ($1 $0))))"),
    DIGIT: object(),
}


def resolve(reference):
    return BLOCKS[reference] if reference in BLOCKS else TABLE[reference]


def read(text):
    return parse_term(text, TABLE.short_names)


def written(text, **options):
    return python_source(read(text), resolve, names={DIGIT: "vision/digit@2"}, **options)


def body(text):
    """The expression that a program of one function returns."""
    return written(text).partition("return ")[2].rstrip("\n")


def listed(value):
    return list(map(listed, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "(lam (map (lam (multiply 2 $0)) (filter (lam (equal 0 (modulo $0 2))) $0)))",
            "[2 * x for x in xs if x % 2 == 0]",
        ),
        ("(map (lam (add 1 $0)))", "[1 + x for x in xs]"),
        ("(lam (map (add 1) (map (lam (multiply $0 3)) $0)))", "[1 + x * 3 for x in xs]"),
        (
            "(lam (filter (lam (less $0 3)) (filter is_odd $0)))",
            "[x for x in xs if x % 2 == 1 if x < 3]",
        ),
        (
            "(lam (filter (lam (less $0 3)) (map (add 1) $0)))",
            "[x for x in [1 + x for x in xs] if x < 3]",
        ),
        ("(lam (fold add 0 $0))", "reduce(lambda total, x: total + x, xs, 0)"),
        ("(lam (if (is_empty $0) 0 (head $0)))", "0 if not xs else xs[0]"),
        (
            "(lam (map (lam (map (lam (add $0 (length $1))) $0)) $0))",
            "[[y + len(x) for y in x] for x in xss]",
        ),
        (
            "(lam (map (lam (fold (lam (lam (add $1 $2))) 0 $1)) $0))",
            "[reduce(lambda total, y: total + x, xs, 0) for x in xs]",
        ),
        ("(lam (let (lam (add $0 $1)) ($0 ($0 1))))", "1 + n + n"),
        ("(lam (subtract 1 (subtract 2 $0)))", "1 - (2 - n)"),
        ("(lam (multiply -2 (negate $0)))", "-2 * -n"),
        ("(lam (not (contains 3 $0)))", "3 not in xs"),
        ("(lam (filter (lam (not (equal $0 7))) $0))", "[x for x in xs if x != 7]"),
        (
            "(lam (map (lam (let (add $0 1) (multiply $0 $0))) $0))",
            "[(lambda x: x * x)(x + 1) for x in xs]",
        ),
    ],
)
def test_expressions_read_as_a_person_writes_them(text, wanted):
    assert body(text) == wanted


def test_a_shared_value_gets_a_name_by_its_type():
    assert written("(lam (let (sum $0) (map (lam (subtract $0 $1)) $1)))") == (
        "def solution(xs):\n    n = sum(xs)\n    return [x - n for x in xs]\n"
    )


def test_programs_become_functions_and_trained_blocks_are_called_by_name():
    text = f"(lam (fold add 0 (me/evens@1 (map {DIGIT} $0))))"
    assert written(text, name="total", parameters=("images",)) == (
        "def evens(xs):\n    return [x for x in xs if x % 2 == 0]\n\n\n"
        "def total(images):\n"
        "    return reduce(lambda total, x: total + x, evens([digit(x) for x in images]), 0)\n"
    )
    assert "def twice(f, x):\n    return f(f(x))" in written("(lam (me/twice@1 (add $0) 1))")
    assert "twice(lambda y: n + y, 1)" in written("(lam (me/twice@1 (add $0) 1))")


def test_a_file_that_needs_nothing_else_is_refused_for_trained_blocks_and_holes():
    with pytest.raises(Refused, match="digit: not to be written as Python alone"):
        python_module(read(f"(lam (map {DIGIT} $0))"), resolve, names={DIGIT: "vision/digit@2"})
    with pytest.raises(Refused, match="a hole"):
        python_module(read('(lam ((hole "int -> int") $0))'), resolve)
    assert "hole('int -> int')(n)" in written('(lam ((hole "int -> int") $0))')


def test_names_and_terms_that_cannot_be_python_are_refused():
    with pytest.raises(ParseError, match="not a name in Python"):
        written("(lam $0)", name="a b")
    with pytest.raises(ParseError, match="not a name in Python"):
        written("(lam $0)", parameters=("class",))
    with pytest.raises(TypeMismatch, match="int"):
        written("(add true 1)")
    bad = Primitive("me/bad", 1, "int -> int", "Bad.", ("x",), lambda x: x, source="x +")
    with pytest.raises(PluginError, match="the source of the primitive me/bad"):
        python_source(parse_term("(me/bad@1 1)"), lambda _: bad)


def run(module, arguments):
    names: dict[str, Any] = {}
    exec(module, names)
    return frozen_value(names["solution"](*map(listed, arguments)))


@pytest.mark.parametrize(
    ("text", "argument", "wanted"),
    [
        ("(unfold (equal 0) (multiply 2) (add -1))", 3, (6, 4, 2)),
        ("(lam (is_prime (sum $0)))", (3, 4), True),
        ("(lam (me/evens@1 (map (lam (add 1 $0)) (me/evens@1 (range 9)))))", 3, ()),
        ("(lam (me/twice@1 (me/twice@1 (add 2)) $0))", 1, 9),
        ("(lam (scan max $0))", (1, 3, 2), (1, 3, 3)),
        ("(lam (map (if (is_even $0) add subtract) (range 3)))", 3, None),
    ],
)
def test_the_file_runs_alone(text, argument, wanted):
    module = python_module(read(text), resolve)
    if wanted is not None:
        assert run(module, [argument]) == wanted


@pytest.mark.parametrize(
    "type_",
    [
        "list[int] -> list[int]", "list[int] -> int", "int -> list[int] -> list[list[int]]",
        "list[list[int]] -> (int, bool)", "list[int] -> bool", "(int -> int) -> list[int] -> int",
    ],
)  # fmt: skip
def test_source_and_evaluator_agree(type_):
    wanted = parse_type(type_)
    given_types = [parse_type(t) for t in _arguments(type_)]

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(terms(wanted, TABLE), st.tuples(*map(values, given_types)))
    def agree(term, arguments):
        evaluator = Evaluator(TABLE.__getitem__, Limits(steps=5_000, items=500))
        module = python_module(term, TABLE.__getitem__)
        try:
            found = evaluator.value(term, *arguments)
        except EvaluationError:
            return
        assert run(module, arguments) == found, module

    agree()


def _arguments(type_):
    found = []
    type_ = parse_type(type_)
    while hasattr(type_, "argument"):
        found.append(str(type_.argument))
        type_ = type_.result
    return found
