"""The index of types: what a search narrows by before it unifies.

Blocks share types, so types are rows of their own, each with one part for every argument and one
for the result.  A part has two texts: its `head`, the outermost constructor (`vec/1`), and its
`key`, the type to a bounded depth with `?` for every variable (`list[vec[?]]`).  A closed type can
only unify with parts whose key is one of its few generalisations, which an index finds; an open one
is narrowed by its head.  Narrowing never loses a type that unifies, and unification decides.
"""

from __future__ import annotations

from itertools import product

from metaloom_registry.digest import Digest
from metaloom_registry.types import (
    Arrow,
    DimensionVariable,
    Tensor,
    Type,
    Variable,
    uncurried,
    without_domains,
)
from metaloom_registry.unification import generalised

ANY = "?"
RESULT = -1
DEPTH = 3
MAX_KEY = 400
MAX_GENERALISATIONS = 200


def canonical(type_: Type) -> Type:
    """The type under which blocks are listed: variables in order, domains left out."""
    return generalised(without_domains(type_))


def identity(type_: Type) -> str:
    """The digest, in hexadecimal, of a type's canonical text."""
    return Digest.of(str(type_).encode()).hex


def indexed(type_: Type) -> list[tuple[int, str, str]]:
    """Position, head and key of every part of a function type, the result's at `RESULT`."""
    arguments, result = uncurried(type_)
    placed = [*enumerate(arguments), (RESULT, result)]
    return [(position, head(part), key(part)) for position, part in placed]


def head(type_: Type) -> str:
    """The outermost constructor and how many it holds, or `?`."""
    if isinstance(type_, Variable):
        return ANY
    if isinstance(type_, Tensor):
        return f"{type_.kind}/{len(type_.dimensions)}"
    if isinstance(type_, Arrow):
        return "->"
    return f"{type_.name}/{len(type_.arguments)}"


def key(type_: Type) -> str:
    """The type to a bounded depth and length, `?` for variables and for what lies deeper."""
    for depth in range(DEPTH, -1, -1):
        text = _key(type_, depth)
        if len(text) <= MAX_KEY:
            return text
    return ANY


def generalisations(type_: Type) -> list[str] | None:
    """Every key a part may have that unifies with the type; None where they are too many."""
    found = _generalisations(type_, DEPTH)
    if found is None or any(len(text) > MAX_KEY for text in found):
        return None
    return sorted(found)


def _key(type_: Type, depth: int) -> str:
    if depth < 0 or isinstance(type_, Variable):
        return ANY
    if isinstance(type_, Tensor):
        dimensions = (ANY if isinstance(d, DimensionVariable) else str(d) for d in type_.dimensions)
        return _shown(type_.kind, list(dimensions))
    if isinstance(type_, Arrow):
        return _shown("->", [_key(type_.argument, depth - 1), _key(type_.result, depth - 1)])
    return _shown(type_.name, [_key(argument, depth - 1) for argument in type_.arguments])


def _generalisations(type_: Type, depth: int) -> set[str] | None:
    if depth < 0:
        return {ANY}
    if isinstance(type_, Variable):
        return None
    name, choices = _choices(type_, depth)
    count = 1
    known: list[set[str]] = []
    for choice in choices:
        if choice is None:
            return None
        known.append(choice)
        count *= len(choice)
        if count > MAX_GENERALISATIONS:
            return None
    return {ANY, *(_shown(name, list(chosen)) for chosen in product(*known))}


def _choices(type_: Type, depth: int) -> tuple[str, list[set[str] | None]]:
    if isinstance(type_, Tensor):
        return type_.kind, [
            None if isinstance(d, DimensionVariable) else {str(d), ANY} for d in type_.dimensions
        ]
    inner: tuple[Type, ...]
    if isinstance(type_, Arrow):
        name, inner = "->", (type_.argument, type_.result)
    else:
        assert not isinstance(type_, Variable)
        name, inner = type_.name, type_.arguments
    return name, [_generalisations(part, depth - 1) for part in inner]


def _shown(name: str, parts: list[str]) -> str:
    return f"{name}[{','.join(parts)}]" if parts else name
