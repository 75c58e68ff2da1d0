"""The index of types: narrowing loses nothing that unifies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_registry import (
    Arrow,
    Constructed,
    DimensionVariable,
    Tensor,
    Type,
    Variable,
    fits,
    parse_type,
)
from metaloom_registry.catalogue.search import shapes
from metaloom_registry.types import Dimension

dimensions: st.SearchStrategy[Dimension] = st.sampled_from(
    [1, 8, 64, DimensionVariable("n"), DimensionVariable("m")]
)
leaves = st.one_of(
    st.sampled_from("abc").map(Variable),
    st.sampled_from(["int", "bool", "text"]).map(Constructed),
    dimensions.map(lambda d: Tensor("vec", (d,))),
    st.tuples(dimensions, dimensions).map(lambda d: Tensor("image", d)),
)
types = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda t: Constructed("list", (t,))),
        st.tuples(inner, inner).map(lambda ts: Constructed("tuple", ts)),
        st.tuples(inner, inner).map(lambda ts: Arrow(*ts)),
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(types, types)
def test_what_unifies_is_among_what_the_index_gives(wanted: Type, listed: Type):
    if fits(wanted, listed):
        keys = shapes.generalisations(wanted)
        heads = {shapes.head(wanted), shapes.ANY}
        open_ended = isinstance(wanted, Variable) or isinstance(listed, Variable)
        assert keys is None or shapes.key(listed) in keys
        assert open_ended or shapes.head(listed) in heads


@pytest.mark.parametrize(
    ("text", "head", "key"),
    [
        ("int", "int/0", "int"),
        ("a", "?", "?"),
        ("vec[64]", "vec/1", "vec[64]"),
        ("vec[n]", "vec/1", "vec[?]"),
        ("image<omniglot>[1,28,28]", "image/3", "image[1,28,28]"),
        ("list[list[list[list[int]]]]", "list/1", "list[list[list[list[?]]]]"),
        ("(int, a)", "tuple/2", "tuple[int,?]"),
        ("(a -> b) -> int", "->", "->[->[?,?],int]"),
    ],
)
def test_the_texts_of_a_part(text: str, head: str, key: str):
    type_ = parse_type(text)
    assert (shapes.head(type_), shapes.key(type_)) == (head, key)


def test_the_generalisations_of_a_closed_type_are_few():
    assert shapes.generalisations(parse_type("vec[64]")) == ["?", "vec[64]", "vec[?]"]
    assert shapes.generalisations(parse_type("list[vec[2]]")) == [
        "?", "list[?]", "list[vec[2]]", "list[vec[?]]"
    ]  # fmt: skip


def test_an_open_type_is_not_enumerated():
    assert shapes.generalisations(parse_type("vec[n]")) is None
    assert shapes.generalisations(parse_type("list[a]")) is None


def test_types_are_listed_without_domains_and_by_the_order_of_their_variables():
    one = shapes.canonical(parse_type("image<omniglot>[1,h,w] -> vec[h] -> c"))
    assert str(one) == "image[1,n,m] -> vec[n] -> a"
    assert one == shapes.canonical(parse_type("image[1,x,y] -> vec[x] -> z"))


def test_the_parts_of_a_function_are_its_arguments_and_its_result():
    assert shapes.indexed(parse_type("int -> a -> vec[n]")) == [
        (0, "int/0", "int"), (1, "?", "?"), (shapes.RESULT, "vec/1", "vec[?]")
    ]  # fmt: skip


def test_a_key_is_bounded_whatever_the_type():
    wide = Constructed("tuple", tuple(Tensor("image", (10**9,) * 8) for _ in range(40)))
    assert len(shapes.key(wide)) <= shapes.MAX_KEY
    assert shapes.key(wide) in (shapes.generalisations(wide) or [shapes.key(wide)])
