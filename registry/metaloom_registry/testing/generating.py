"""Random types, values and well-typed terms, for property tests."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence, Set
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.frozen_dict import FrozenDict
from metaloom_registry.primitives import PrimitiveTable
from metaloom_registry.terms import Apply, Bound, Lambda, Let, Literal, Term, Use, apply
from metaloom_registry.types import (
    BOOL,
    FLOAT,
    INT,
    KEYED,
    TENSOR_KINDS,
    TEXT,
    Arrow,
    Constructed,
    DimensionVariable,
    Tensor,
    Type,
    Variable,
    function,
    is_closed,
    list_of,
    mapped,
    parts,
    tuple_of,
    uncurried,
    unhashable_key,
)
from metaloom_registry.unification import Fresh, Substitution, unify

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
GROUND = st.sampled_from([INT, BOOL, list_of(INT)])
"""What a type variable stands for in random terms and values."""
KEYS = st.sampled_from([INT, BOOL, TEXT, tuple_of(INT, BOOL)])
"""What a type variable stands for where a key is wanted."""


def types() -> st.SearchStrategy[Type]:
    """Any type of a few levels, with variables, dimension variables and domain tags."""
    names = st.sampled_from(["a", "b", "c", "t12"])
    size = st.one_of(st.integers(1, 99), st.sampled_from(["n", "k", "height"]).map(_dimension))
    tensor = st.builds(
        lambda kind, sizes, domain: Tensor(
            kind, sizes if kind in ("image", "table") else sizes[:1], domain
        ),
        st.sampled_from(sorted(TENSOR_KINDS)),
        st.lists(size, min_size=1, max_size=3).map(tuple),
        st.sampled_from([None, "omniglot", "a.b-c_9"]),
    )
    leaves = st.one_of(
        names.map(Variable), st.sampled_from([INT, BOOL, FLOAT, TEXT, Constructed("grid")]), tensor
    )
    return st.recursive(leaves, _containers, max_leaves=8)


def _dimension(name: str) -> DimensionVariable:
    return DimensionVariable(name)


def _containers(inner: st.SearchStrategy[Type]) -> st.SearchStrategy[Type]:
    one = st.sampled_from(["list", "set", "graph", "store"])
    two = st.sampled_from(["dict", "examples"])
    return st.one_of(
        st.builds(lambda name, a: Constructed(name, (a,)), one, inner),
        st.builds(lambda name, a, b: Constructed(name, (a, b)), two, inner, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda items: tuple_of(*items)),
        st.builds(Arrow, inner, inner),
    )


def values(type_: Type) -> st.SearchStrategy[Any]:
    """Plain values of a closed type without tensors, functions included.

    Integers are small for the most part, and anything of 64 bits at times.
    """
    if isinstance(type_, Arrow):
        return st.lists(values(type_.result), min_size=1, max_size=5).map(_tabled)
    if isinstance(type_, Constructed):
        if type_.name == "list":
            return st.lists(values(type_.arguments[0]), max_size=6).map(tuple)
        if type_.name == "tuple":
            return st.tuples(*map(values, type_.arguments))
        if type_.name == "set":
            return st.frozensets(values(type_.arguments[0]), max_size=5)
        if type_.name == "dict":
            return st.dictionaries(*map(values, type_.arguments), max_size=5).map(FrozenDict)
        if type_.name == "graph":
            return _graphs(type_.arguments[0])
        if type_.name == "store":
            return values(type_.arguments[0])
        if type_ in _PLAIN:
            return _PLAIN[type_]
    raise ValueError(f"there are no random values of the type {type_}")


_PLAIN: dict[Type, st.SearchStrategy[Any]] = {
    INT: st.one_of(st.integers(-9, 20), st.integers(-9, 20), st.integers(-9, 20), INT64),
    BOOL: st.booleans(),
    FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    TEXT: st.text(max_size=8),
}


@st.composite
def _graphs(draw: st.DrawFn, node: Type) -> FrozenDict[Any, FrozenDict[Any, int]]:
    """Up to five nodes, each with edges to some of them."""
    nodes = draw(st.lists(values(node), max_size=5, unique=True))
    if not nodes:
        return FrozenDict()
    edges = st.dictionaries(st.sampled_from(nodes), st.integers(0, 9), max_size=3)
    return FrozenDict({one: FrozenDict(draw(edges)) for one in nodes})


def _tabled(results: Sequence[Any]) -> Callable[[Any], Any]:
    """A function that gives one of a few results, always the same for the same argument."""
    return lambda value: (
        results[0]
        if callable(value)
        else results[zlib.crc32(repr(value).encode("utf-8", "backslashreplace")) % len(results)]
    )


def grounded(type_: Type, draw: st.DrawFn) -> Type:
    """The type with each type variable replaced by a random closed type."""
    variables = {part for part in parts(type_) if isinstance(part, Variable)}
    chosen = _chosen(draw, variables, (type_,))
    return mapped(type_, lambda t: chosen.get(t, t) if isinstance(t, Variable) else t)


def _chosen(
    draw: st.DrawFn, variables: Set[Variable], within: Sequence[Type]
) -> dict[Variable, Type]:
    """A closed type for each variable; one that can be a key where a key is wanted."""
    keys = {
        key
        for type_ in within
        for part in parts(type_)
        if isinstance(part, Constructed) and part.name in KEYED
        for key in parts(part.arguments[0])
    }
    return {
        variable: draw(KEYS if variable in keys else GROUND)
        for variable in sorted(variables, key=str)
    }


@st.composite
def terms(
    draw: st.DrawFn,
    type_: Type,
    table: PrimitiveTable,
    given: tuple[Type, ...] = (),
    depth: int = 3,
) -> Term:
    """A well-typed term of a closed type over a table of primitives.

    `given[i]` is the closed type of `$i`; `depth` bounds how deep applications nest.
    """
    if isinstance(type_, Arrow) and (depth < 1 or draw(st.integers(0, 4))):
        return Lambda(draw(terms(type_.result, table, (type_.argument, *given), depth - 1)))
    leaves: list[Term] = [Bound(i) for i, known in enumerate(given) if known == type_]
    if type_ == INT:
        leaves.append(Literal(draw(st.integers(-3, 9))))
    elif type_ == BOOL:
        leaves.append(Literal(draw(st.booleans())))
    form = draw(st.integers(0, 9)) if depth > 0 else 0
    if form == 1:
        return draw(_shared(type_, table, given, depth))
    calls = _calls(type_, table)
    if (leaves and form == 0) or not calls:
        return draw(st.sampled_from(leaves)) if leaves else draw(_made(type_, table, given))
    if depth <= 0:
        return draw(_made(type_, table, given))
    return draw(_called(draw(st.sampled_from(calls)), table, given, depth))


@st.composite
def _shared(
    draw: st.DrawFn, type_: Type, table: PrimitiveTable, given: tuple[Type, ...], depth: int
) -> Term:
    """A value with a name, by `let` or by a function applied on the spot."""
    local = draw(st.sampled_from([INT, list_of(INT), function(INT, INT)]))
    value = draw(terms(local, table, given, depth - 1))
    body = draw(terms(type_, table, (local, *given), depth - 1))
    return Let(value, body) if draw(st.booleans()) else Apply(Lambda(body), value)


@st.composite
def _called(
    draw: st.DrawFn,
    call: tuple[Use, tuple[Type, ...]],
    table: PrimitiveTable,
    given: tuple[Type, ...],
    depth: int,
) -> Term:
    head, arguments = call
    names = {p for a in arguments for p in parts(a) if isinstance(p, Variable)}
    chosen = _chosen(draw, names, arguments)
    closed = [
        mapped(a, lambda t: chosen.get(t, t) if isinstance(t, Variable) else t) for a in arguments
    ]
    return apply(head, *(draw(terms(a, table, given, depth - 1)) for a in closed))


@st.composite
def _made(draw: st.DrawFn, type_: Type, table: PrimitiveTable, given: tuple[Type, ...]) -> Term:
    """A shallow term of a type that no variable in scope has: a literal, a list, a pair."""
    if isinstance(type_, Arrow):
        return Lambda(draw(terms(type_.result, table, (type_.argument, *given), 0)))
    if type_ in (INT, BOOL):
        return Literal(draw(st.integers(-3, 9) if type_ == INT else st.booleans()))
    nullary = [use for use, arguments in _calls(type_, table) if not arguments]
    if nullary:
        return draw(st.sampled_from(nullary))
    return draw(_called(_calls(type_, table)[0], table, given, 1))


@lru_cache(maxsize=512)
def _calls(type_: Type, table: PrimitiveTable) -> list[tuple[Use, tuple[Type, ...]]]:
    """The primitives that, given some arguments, have a closed type; and those arguments' types."""
    found = []
    for primitive in table:
        signature = Fresh().instantiate(primitive.signature)
        arguments, result = uncurried(signature)
        for count in range(len(arguments), -1, -1):
            substitution = Substitution()
            rest = function(*arguments[count:], result)
            if _unifies(rest, type_, substitution):
                taken = tuple(map(substitution.resolve, arguments[:count]))
                if not any(map(unhashable_key, taken)):
                    found.append((Use(primitive.reference), taken))
            if not isinstance(type_, Arrow):
                break
    return found


def _unifies(given: Type, wanted: Type, substitution: Substitution) -> bool:
    try:
        unify(given, wanted, substitution)
    except TypeMismatch:
        return False
    return is_closed(wanted)
