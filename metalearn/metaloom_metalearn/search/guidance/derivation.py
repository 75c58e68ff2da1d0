"""Derivations: how a grammar makes a term, choice by choice, so that its choices can be learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from metaloom_metalearn.search.enumeration.node import Node, Variable
from metaloom_metalearn.search.grammar.grammar import Grammar, Production
from metaloom_metalearn.search.strategies.space import Scope, Space, applied, function
from metaloom_registry import Bound, Lambda, Literal, Reference, Term, Type, spine
from metaloom_registry.terms import Use

Choice = tuple[Type, Reference | None]
"""A type that was wanted, and the block that was chosen; None for a variable or literal."""


@dataclass(frozen=True)
class Alternatives:
    """What can be chosen where a type is wanted, each block once, with its log probability."""

    references: tuple[Reference | None, ...]
    logs: tuple[float, ...]


def choices(space: Space, node: Node) -> Counter[Choice]:
    """How often each choice was made in a term of the space."""
    found: Counter[Choice] = Counter()
    for place in space.places(node):
        head = place.node.head
        found[place.type, head.reference if isinstance(head, Production) else None] += 1
    return found


def tables(grammar: Grammar) -> dict[Type, Alternatives]:
    """What can be chosen for each type, as the grammar weighs it."""
    found = {}
    for type_, group in grammar.productions.items():
        least: dict[Reference | None, float] = {}
        for production in group:
            known = least.get(production.reference, production.cost)
            least[production.reference] = min(known, production.cost)
        least[None] = grammar.variables.get(type_, 0.0)
        found[type_] = Alternatives(tuple(least), tuple(-cost for cost in least.values()))
    return found


def node_of(space: Space, term: Term) -> Node | None:
    """A closed term as the space derives it; None where its grammar does not."""
    body = term
    for _ in space.given:
        if not isinstance(body, Lambda):
            return None
        body = body.body
    places = tuple(range(len(space.given)))
    return _derived(space, body, space.want, space.outside, places)


def _derived(
    space: Space, term: Term, type_: Type, scope: Scope, places: Sequence[int]
) -> Node | None:
    """`places` are the places of the variables in scope, the outermost first."""
    if isinstance(term, Bound | Literal):
        wanted = Variable(places[-1 - term.index]) if isinstance(term, Bound) else term
        return next((n for n in space.leaves(type_, scope) if n.head == wanted), None)
    head, arguments = spine(term)
    if not isinstance(head, Use):
        return None
    for production in space.productions(type_):
        if production.reference != head.reference or len(production.slots) != len(arguments):
            continue
        made: list[Node] = []
        for slot, argument in zip(production.slots, arguments, strict=True):
            inner, body, count = scope, argument, len(slot.taken)
            for _ in range(count):
                if not isinstance(body, Lambda):
                    break
                body = body.body
            if count:
                inner = space.inner(scope, slot.taken)
            seen = (*places, *range(len(scope.types), len(scope.types) + count))
            node = _derived(space, body, slot.result, inner, seen)
            if node is None:
                break
            made.append(function(node, len(scope.types), count) if count else node)
        if len(made) == len(production.slots):
            return applied(production, tuple(made))
    return None
