"""Programs: typed lambda terms over references to blocks, as plain data.

Variables are de Bruijn indices, so terms that differ only in the names of variables are equal.

    (lam (lists/map@1 (lam (lists/add@1 3 $0)) $0))      what is stored: references in full
    (lam (map (lam (add 3 $0)) $0))                      the same, with short names in scope

`parse_term(print_term(t)) == t` and `term_from_json(term_to_json(t)) == t` for every term.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from metaloom_registry.errors import ParseError
from metaloom_registry.names import Reference
from metaloom_registry.types import BOOL, FLOAT, INT, TEXT, Type

MAX_NODES = 100_000
"""How large a term from elsewhere, or one that grows by expansion, may be."""
MAX_DEPTH = 200
"""How deep a term from elsewhere may nest, so that walking over it is safe in any thread."""

_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Bound:
    """The variable bound by the `index`-th enclosing `lam` or `let`, counted from the inside."""

    index: int


@dataclass(frozen=True, slots=True)
class Lambda:
    """A function of one argument, `$0` in its body."""

    body: Term


@dataclass(frozen=True, slots=True)
class Apply:
    """A function applied to one argument."""

    function: Term
    argument: Term


@dataclass(frozen=True, slots=True)
class Let:
    """`body` with `$0` standing for `value`, which is computed once."""

    value: Term
    body: Term


@dataclass(frozen=True, slots=True)
class Literal:
    """An integer (int64), a truth value, a finite float or a text without lone surrogates.

    Raises ParseError on any other value.
    """

    value: int | bool | float | str

    def __post_init__(self) -> None:
        problem = _problem(self.value)
        if problem:
            raise ParseError(problem)

    def __eq__(self, other: object) -> bool:  # True == 1 == 1.0 in Python; here they are three
        return (
            isinstance(other, Literal)
            and type(self.value) is type(other.value)
            and repr(self.value) == repr(other.value)
        )

    def __hash__(self) -> int:
        return hash((type(self.value).__name__, repr(self.value)))

    @property
    def type(self) -> Type:
        if isinstance(self.value, bool):
            return BOOL
        if isinstance(self.value, int):
            return INT
        return FLOAT if isinstance(self.value, float) else TEXT


def _problem(value: object) -> str:
    """Why a value is no literal, or nothing."""
    if type(value) is int:
        return "" if -_INT64 <= value < _INT64 else "an integer exceeds 64 bits"
    if type(value) is float:
        return "" if math.isfinite(value) else f"{value} is not a finite float"
    if type(value) is str:
        return (
            f"the text {value[:40]!r} holds a lone surrogate"
            if any(0xD800 <= ord(c) <= 0xDFFF for c in value)
            else ""
        )
    return "" if type(value) is bool else f"a literal is int, bool, float or str, not {type(value)}"


@dataclass(frozen=True, slots=True)
class Use:
    """A reference to a block: a primitive, a program or a trained graph."""

    reference: Reference


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for a block of this type that is still to be found or trained."""

    type: Type


Term: TypeAlias = Bound | Lambda | Apply | Let | Literal | Use | Hole
"""A program, or a part of one."""


def apply(function: Term, *arguments: Term) -> Term:
    """`apply(f, x, y)` is `(f x y)`."""
    for argument in arguments:
        function = Apply(function, argument)
    return function


def lambdas(count: int, body: Term) -> Term:
    """`count` lambdas around a body."""
    for _ in range(count):
        body = Lambda(body)
    return body


def spine(term: Term) -> tuple[Term, tuple[Term, ...]]:
    """The head of an application and its arguments: `(f x y)` is `f` and `(x, y)`."""
    arguments = []
    while isinstance(term, Apply):
        arguments.append(term.argument)
        term = term.function
    return term, tuple(reversed(arguments))


def children(term: Term) -> tuple[Term, ...]:
    """The terms directly within a term, left to right."""
    if isinstance(term, Lambda):
        return (term.body,)
    if isinstance(term, Apply):
        return (term.function, term.argument)
    if isinstance(term, Let):
        return (term.value, term.body)
    return ()


def subterms(term: Term) -> Iterator[Term]:
    """The term and every term within it, in no recursion, outermost first, left to right."""
    waiting = [term]
    while waiting:
        term = waiting.pop()
        yield term
        waiting.extend(reversed(children(term)))


def node_count(term: Term) -> int:
    """How many nodes the term has."""
    return sum(1 for _ in subterms(term))


def depth(term: Term) -> int:
    """How many nodes lie on the longest way down, in no recursion; a leaf has depth 1."""
    deepest = 0
    waiting = [(term, 1)]
    while waiting:
        part, level = waiting.pop()
        deepest = max(deepest, level)
        waiting.extend((child, level + 1) for child in children(part))
    return deepest


def references(term: Term) -> tuple[Reference, ...]:
    """The blocks the term uses, each once, in order of appearance."""
    return tuple(dict.fromkeys(t.reference for t in subterms(term) if isinstance(t, Use)))


def shifted(term: Term, by: int, above: int = 0) -> Term:
    """The term with every free index of at least `above` raised by `by`."""
    if isinstance(term, Bound):
        return Bound(term.index + by) if term.index >= above else term
    if isinstance(term, Lambda):
        return Lambda(shifted(term.body, by, above + 1))
    if isinstance(term, Apply):
        return Apply(shifted(term.function, by, above), shifted(term.argument, by, above))
    if isinstance(term, Let):
        return Let(shifted(term.value, by, above), shifted(term.body, by, above + 1))
    return term


def substituted(body: Term, value: Term, index: int = 0) -> Term:
    """The body with `$index` replaced by `value` and the indices above it lowered by one."""
    if isinstance(body, Bound):
        if body.index == index:
            return shifted(value, index)
        return Bound(body.index - 1) if body.index > index else body
    if isinstance(body, Lambda):
        return Lambda(substituted(body.body, value, index + 1))
    if isinstance(body, Apply):
        return Apply(
            substituted(body.function, value, index), substituted(body.argument, value, index)
        )
    if isinstance(body, Let):
        return Let(substituted(body.value, value, index), substituted(body.body, value, index + 1))
    return body
