"""Types: their text, and what fits what."""

import pytest
from hypothesis import given, settings

from metaloom_registry import (
    ParseError,
    Substitution,
    TypeMismatch,
    Variable,
    fits,
    generalised,
    parse_type,
    unify,
)
from metaloom_registry.testing import types

few = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@few
@given(types())
def test_reading_and_writing_a_type_are_inverse(type_):
    assert parse_type(str(type_)) == type_


@few
@given(types())
def test_a_type_fits_itself_and_anything(type_):
    assert fits(type_, type_)
    assert fits(type_, Variable("a"))
    assert fits(type_, generalised(type_))
    assert generalised(generalised(type_)) == generalised(type_)


@few
@given(types(), types())
def test_unification_makes_two_types_one(one, other):
    substitution = Substitution()
    try:
        unify(one, other, substitution)
    except TypeMismatch:
        return
    from metaloom_registry import without_domains

    assert without_domains(substitution.resolve(one)) == without_domains(
        substitution.resolve(other)
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "stands the end where a type is wanted"),
        ("lst[int]", "did you mean 'list'"),
        ("list", "'\\[' is wanted"),
        ("list[int, int]", "list takes 1 type, not 2"),
        ("vec[0]", "a dimension from 1"),
        ("vec[2,3]", "vec takes one dimension"),
        ("image<>[1]", "a domain tag"),
        ("image<a", "a domain tag"),
        ("int -> ", "the end where a type is wanted"),
        ("int int", "the end or '->'"),
        ("(" * 60 + "int" + ")" * 60, "nests deeper"),
        ("int -> " * 60 + "int", "more than 50 arguments"),
        ("(int", "'\\)' is wanted"),
        ("a" * 20_000, "too long"),
        ("vec[٣]", "a dimension"),
        ("image[B,1,28,28]", r"'B' where a dimension.*without a batch axis\), is wanted"),
    ],
)
def test_what_is_no_type_is_refused_with_its_place(text, message):
    with pytest.raises(ParseError, match=message):
        parse_type(text)


@pytest.mark.parametrize(
    ("given_", "wanted", "message"),
    [
        ("list[int]", "list[bool]", "int is not bool"),
        ("image[1,28,28]", "image[1,8,8]", "dimension 2 of image\\[1,28,28\\]"),
        ("a -> a", "int -> bool", "int is not bool"),
        ("a", "list[a]", "which contains it"),
        ("vec[3]", "vec[4]", "vec\\[3\\] does not fit where vec\\[4\\] is wanted"),
        ("(int, int)", "(int, int, int)", "does not fit"),
    ],
)
def test_a_misfit_names_the_innermost_parts(given_, wanted, message):
    with pytest.raises(TypeMismatch, match=message):
        unify(parse_type(given_), parse_type(wanted), Substitution())


def test_domain_tags_rank_and_never_forbid():
    assert fits(parse_type("image<omniglot>[1,28,28]"), parse_type("image<mnist>[1,28,28]"))
    assert not fits(parse_type("vec[3]"), parse_type("logits[3]"))
    assert fits(parse_type("vec[3] -> vec[n]"), parse_type("vec[n] -> vec[64]"))
    assert not fits(parse_type("vec[n] -> vec[n]"), parse_type("vec[3] -> vec[4]"))
