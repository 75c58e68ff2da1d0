"""The space of a strategy: the terms of a problem's grammar, drawn at random and changed in parts.

A term is drawn as the grammar's probabilities say (`grammar`), among those that cost no more than
is allowed.  Every place of a term has a type and a scope, so that what is put there fits.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any, TypeAlias

from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate
from metaloom_metalearn.search.enumeration.bank import Bounds
from metaloom_metalearn.search.enumeration.combinations import UNUSED
from metaloom_metalearn.search.enumeration.node import Abstraction, Head, Node, Variable, term_of
from metaloom_metalearn.search.examples import plain_examples
from metaloom_metalearn.search.grammar.blocks import Blocks, unreachable
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.grammar.grammar import UNIT, Grammar, Production, Slot
from metaloom_metalearn.search.trace import Account
from metaloom_registry import Term, Type, uncurried, without_domains

Types: TypeAlias = tuple[Type, ...]

LITERALS = Constants(strict=False)
"""What a strategy may write, unless it says otherwise."""

DEPTH = Bounds().depth
"""How deep functions nest."""

STEPS = 3000
"""What takes more steps on an example has no value there."""

GROWTH = 10.0
"""How many nats longer a part that is drawn anew may be."""

LONGEST = 60.0
"""The most nats of a term."""


class Scope:
    """The types of the variables at a place, and how many functions deep it lies.

    Scopes are made by `Space` alone, equal ones once, and are compared by identity.
    """

    __slots__ = ("choices", "depth", "inner", "leaves", "types")

    def __init__(self, types: Types, depth: int) -> None:
        self.types = types
        self.depth = depth
        self.inner: dict[Types, Scope] = {}
        self.leaves: dict[Type, Sequence[Node]] = {}
        self.choices: dict[Type, _Choices] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A part of a term: the arguments that lead to it, what stands there, its type and scope."""

    path: tuple[int, ...]
    node: Node
    type: Type
    scope: Scope


@dataclass(frozen=True, slots=True)
class _Choices:
    """What can make a type, sorted by the least nats of a term that begins so.

    `weights` are cumulative; `opens` the least nats of the arguments from each place on.
    """

    least: list[float]
    weights: list[float]
    chosen: list[Node | Production]
    opens: list[Sequence[float]]


@dataclass
class Space:
    """The terms of one problem, and the random numbers of one search.

    `examples` are inputs and an output each, hard values.  No term is proposed twice.
    """

    problem: Problem
    account: Account
    blocks: Blocks
    examples: Sequence[tuple[tuple[Any, ...], Any]]
    grammar: Grammar
    given: Types
    want: Type
    random: Random
    outside: Scope = field(init=False)
    _proposed: set[Term] = field(default_factory=set)
    _least: dict[tuple[frozenset[Type], int], dict[Type, float]] = field(default_factory=dict)
    _around: dict[Type, tuple[list[tuple[Production, int]], list[float]]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self.outside = Scope(self.given, 0)

    @classmethod
    def of(cls, problem: Problem, name: str, constants: Constants = LITERALS) -> Space | None:
        """The space of a problem; None, with a note, where no term has the wanted type.

        `name` is the arm's.  Random numbers begin with the seed of the problem's generator.
        """
        account = problem.trace.arm(name)
        examples = plain_examples(problem.task)
        blocks = Blocks(problem, account, STEPS)
        grammar = blocks.grammar(examples, constants)
        missing = unreachable(problem.task, grammar)
        if missing:
            account.note(missing)
            return None
        blocks.warm(grammar, examples)
        given, want = uncurried(without_domains(problem.task.type))
        seed = 0 if problem.generator is None else problem.generator.initial_seed()
        return cls(
            problem, account, blocks, examples, grammar, tuple(given), want, Random(seed)
        )  # fmt: skip

    def expired(self) -> bool:
        return self.problem.clock.expired()

    def propose(self, node: Node) -> Candidate | None:
        """The term as a candidate; None where it was proposed before, or is too long."""
        term = term_of(node, len(self.given))
        if term in self._proposed or node.cost > LONGEST:
            return None
        self._proposed.add(term)
        self.account.counts["generated"] += 1
        return Candidate(term, self.problem.task.type, node.cost)

    def places(self, node: Node) -> list[Place]:
        """Every place of a term of the wanted type, the outermost first."""
        return list(self._places((), node, self.want, self.outside))

    def inner(self, scope: Scope, taken: Types) -> Scope:
        """The scope in the body of a function that stands in this one."""
        found = scope.inner.get(taken)
        if found is None:
            found = scope.inner[taken] = Scope((*scope.types, *taken), scope.depth + 1)
        return found

    def drawn(self, most: float = LONGEST) -> Node | None:
        """A term of the wanted type of at most so many nats; None where there is none."""
        return self._drawn(self.want, self.outside, most)

    def changed(self, node: Node, most: float = LONGEST) -> Node | None:
        """The term changed in one place: drawn anew, shortened, wrapped, or another block there.

        None where that is not possible at the place that was chosen.
        """
        place = self.random.choice(self.places(node))
        way = self.random.choice((self._redrawn, self._shortened, self._wrapped, self._exchanged))
        room = most - node.cost + place.node.cost
        made = way(place, room)
        if made is None or made.cost > room:
            return None
        return replaced(node, place.path, made)

    def crossed(self, one: Node, other: Node) -> Node | None:
        """The first term with a part of the second in its place, of equal type and scope."""
        place = self.random.choice(self.places(one))
        parts = [
            part.node
            for part in self.places(other)
            if part.scope is place.scope and part.type == place.type
        ]
        return replaced(one, place.path, self.random.choice(parts)) if parts else None

    def leaves(self, type_: Type, scope: Scope) -> Sequence[Node]:
        """The variables and literals of a type, the cheapest first."""
        found = scope.leaves.get(type_)
        if found is None:
            places = [i for i, each in enumerate(scope.types) if each == type_]
            cost = self.grammar.variables.get(type_, 0.0) + math.log(max(1, len(places)))
            made = [Node(Variable(i), (), (), cost, 1 << i, failed=False) for i in places]
            for constant in self.grammar.constants.get(type_, ()):
                made.append(Node(constant.literal, (), (), constant.cost, 0, failed=False))
            found = scope.leaves[type_] = sorted(made, key=lambda leaf: leaf.cost)
        return found

    def productions(self, type_: Type) -> Sequence[Production]:
        """The blocks that make a type, the cheapest first."""
        return self.grammar.productions.get(type_, ())

    def _places(
        self, path: tuple[int, ...], node: Node, type_: Type, scope: Scope
    ) -> Iterator[Place]:
        yield Place(path, node, type_, scope)
        if not isinstance(node.head, Production):
            return
        for i, (slot, argument) in enumerate(zip(node.head.slots, node.arguments, strict=True)):
            if slot.taken:
                inner = self.inner(scope, slot.taken)
                yield from self._places((*path, i), argument.arguments[0], slot.result, inner)
            else:
                yield from self._places((*path, i), argument, slot.result, scope)

    def _redrawn(self, place: Place, room: float) -> Node | None:
        return self._drawn(place.type, place.scope, min(room, place.node.cost + GROWTH))

    def _shortened(self, place: Place, room: float) -> Node | None:
        """A part of what stands there instead of the whole."""
        del room
        within = [
            part.node
            for part in self._places((), place.node, place.type, place.scope)
            if part.path and part.scope is place.scope and part.type == place.type
        ]
        return self.random.choice(within) if within else None

    def _wrapped(self, place: Place, room: float) -> Node | None:
        """A block around what stands there; its other arguments are drawn."""
        if place.type not in self._around:
            fitting = [
                (production, i)
                for production in self.productions(place.type)
                for i, slot in enumerate(production.slots)
                if slot == Slot((), place.type)
            ]
            weights = [math.exp(-production.cost) for production, _ in fitting]
            self._around[place.type] = fitting, list(accumulate(weights))
        fitting, weights = self._around[place.type]
        if not fitting:
            return None
        ((production, at),) = self.random.choices(fitting, cum_weights=weights)
        return self._applied(production, {at: place.node}, place.scope, room)

    def _exchanged(self, place: Place, room: float) -> Node | None:
        """Another block, which takes over the arguments that fit it."""
        head = place.node.head
        if not isinstance(head, Production):
            return None
        others = [p for p in self.productions(place.type) if p is not head]
        others = [p for p in others if any(slot in head.slots for slot in p.slots)]
        if not others:
            return None
        (other,) = self.random.choices(others, [math.exp(-p.cost) for p in others])
        left = list(zip(head.slots, place.node.arguments, strict=True))
        kept = {}
        for i, slot in enumerate(other.slots):
            found = next((pair for pair in left if pair[0] == slot), None)
            if found is not None:
                left.remove(found)
                kept[i] = found[1]
        return self._applied(other, kept, place.scope, room)

    def _applied(
        self, production: Production, kept: dict[int, Node], scope: Scope, room: float
    ) -> Node | None:
        """The block applied to some terms that are there and others that are drawn."""
        left = room - production.cost - sum(node.cost for node in kept.values())
        arguments = []
        for i, slot in enumerate(production.slots):
            node = kept.get(i)
            if node is None:
                node = self._argument(slot, scope, left)
                if node is None:
                    return None
                left -= node.cost
            arguments.append(node)
        return applied(production, tuple(arguments))

    def _drawn(self, type_: Type, scope: Scope, most: float) -> Node | None:
        choices = scope.choices.get(type_)
        if choices is None:
            choices = scope.choices[type_] = self._choices(type_, scope)
        allowed = bisect_right(choices.least, most)
        if allowed == 0:
            return None
        at = self.random.random() * choices.weights[allowed - 1]
        index = min(bisect_right(choices.weights, at), allowed - 1)
        chosen, opens = choices.chosen[index], choices.opens[index]
        if isinstance(chosen, Node):
            return chosen
        left = most - chosen.cost
        arguments = []
        for slot, rest in zip(chosen.slots, opens, strict=True):
            node = self._argument(slot, scope, left - rest)
            if node is None:
                return None
            left -= node.cost
            arguments.append(node)
        return applied(chosen, tuple(arguments))

    def _argument(self, slot: Slot, scope: Scope, most: float) -> Node | None:
        if not slot.taken:
            return self._drawn(slot.result, scope, most)
        if scope.depth >= DEPTH:
            return None
        body = self._drawn(slot.result, self.inner(scope, slot.taken), most)
        return None if body is None else function(body, len(scope.types), len(slot.taken))

    def _choices(self, type_: Type, scope: Scope) -> _Choices:
        """What can make a type in a scope."""
        found: list[tuple[float, float, Node | Production, Sequence[float]]] = [
            (leaf.cost, leaf.cost, leaf, ()) for leaf in self.leaves(type_, scope)
        ]
        there = frozenset(scope.types)
        for production in self.productions(type_):
            least = [self._open(slot, there, scope.depth) for slot in production.slots]
            total = production.cost + sum(least)
            if total < math.inf:
                rest = [sum(least[i + 1 :]) for i in range(len(least))]
                found.append((total, production.cost, production, rest))
        found.sort(key=lambda one: one[0])
        weights = list(accumulate(math.exp(-cost) for _, cost, _, _ in found))
        return _Choices(
            [one[0] for one in found], weights, [one[2] for one in found], [one[3] for one in found]
        )

    def _open(self, slot: Slot, there: frozenset[Type], depth: int) -> float:
        """The least nats of what can stand as this argument; infinite where nothing can."""
        if not slot.taken:
            return self._bounds(there, depth).get(slot.result, math.inf)
        if depth >= DEPTH:
            return math.inf
        return self._bounds(there | set(slot.taken), depth + 1).get(slot.result, math.inf)

    def _bounds(self, there: frozenset[Type], depth: int) -> dict[Type, float]:
        """The least nats of a term of each type over variables of some types: a fixed point."""
        if (there, depth) in self._least:
            return self._least[there, depth]
        least = {t: self.grammar.variables.get(t, 0.0) for t in there}
        for type_, constants in self.grammar.constants.items():
            for constant in constants:
                least[type_] = min(constant.cost, least.get(type_, math.inf))
        drafts = [
            (
                type_,
                production.cost + sum(fixed),
                [s.result for s in production.slots if not s.taken],
            )
            for type_, group in self.grammar.productions.items()
            for production in group
            for fixed in ([self._open(s, there, depth) for s in production.slots if s.taken],)
        ]
        changed = True
        while changed:
            changed = False
            for type_, fixed, results in drafts:
                total = fixed + sum(least.get(result, math.inf) for result in results)
                if total < least.get(type_, math.inf) - 1e-9:
                    least[type_] = total
                    changed = True
        self._least[there, depth] = least
        return least


def applied(production: Production, arguments: tuple[Node, ...]) -> Node:
    """A block applied to terms; what it computes is not looked at."""
    cost, uses = production.cost, 0
    for argument in arguments:
        cost += argument.cost
        uses |= argument.uses
    return Node(production, arguments, (), cost, uses, failed=False)


def function(body: Node, base: int, count: int) -> Node:
    """The function of `count` parameters, from the place `base` on, with this body.

    One that ignores parameters costs more, as in enumeration.
    """
    mine = ((1 << count) - 1) << base
    ignored = count - (body.uses & mine).bit_count()
    cost = body.cost + ignored * UNUSED * UNIT
    return Node(Abstraction(base, count), (body,), (), cost, body.uses & ~mine, failed=False)


def replaced(node: Node, path: Sequence[int], new: Node) -> Node:
    """The term with another part at the end of a path of arguments."""
    if not path:
        return new
    head: Head = node.head
    assert isinstance(head, Production)
    arguments = list(node.arguments)
    at = arguments[path[0]]
    if isinstance(at.head, Abstraction):
        body = replaced(at.arguments[0], path[1:], new)
        arguments[path[0]] = function(body, at.head.base, at.head.count)
    else:
        arguments[path[0]] = replaced(at, path[1:], new)
    return applied(head, tuple(arguments))
