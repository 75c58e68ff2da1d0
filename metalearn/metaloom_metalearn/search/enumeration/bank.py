"""Bottom-up enumeration with observational equivalence: the distinct terms of one context, by cost.

A context is what variables are in scope; a bank evaluates the terms of its context on its rows
(environments), and of two terms of one type with equal values on all rows keeps the cheaper.  A
value that does not exist (`FAILED`) is a value too; a term that has no value on any row is dropped.

The outermost bank has the task's inputs as variables and the examples as rows.  The body of a
function argument, such as the first of `map : (a -> b) -> list[a] -> list[b]`, is a term of an
inner bank, which has the function's parameters as further variables and pairs of an outer row and
probe values as rows (`probes`).  A function is applied through a table of its values for each
outer row, which is filled on demand, so that what is computed is exact wherever the probes are.

Levels are made on demand: to make the terms of a type at a level, a bank asks for terms of the
argument types at lower levels, in itself or in an inner bank.  What an inner bank shares with the
outer one is not enumerated again but carried over, and only applications with at least one
argument that uses the new variables are made there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from math import log, prod
from typing import Any, TypeAlias

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.search.enumeration.combinations import UNUSED, Combinations
from metaloom_metalearn.search.enumeration.node import (
    Abstraction,
    Callables,
    Environment,
    Memo,
    Node,
    Variable,
    code_of,
    function_of,
)
from metaloom_metalearn.search.enumeration.probes import Probes, Samples
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.grammar import (
    UNIT,
    Grammar,
    Group,
    Production,
    Slot,
    level_of,
)
from metaloom_registry import Type

Values: TypeAlias = tuple[Any, ...]
"""The values of a term, one a row."""

Pool: TypeAlias = tuple[Sequence[Node], Sequence[Node]]
"""Terms of one type and level: those carried over from the outer bank, and those made here."""

EMPTY: Pool = ((), ())

HOLDERS = (tuple, str, dict, frozenset)
"""The classes of the values that have a length."""


TIME_IS_UP = "the time is up"

LOOK = 0.003
"""Seconds between looks at the clock, each of which takes as long as making a few terms."""


class Exhausted(Exception):
    """The search must end now: out of time or out of memory. The message says which."""


@dataclass(frozen=True)
class Bounds:
    """The bounds of an enumeration.

    `cells` bounds the values kept in all banks, an item of a list counting as one; `items` the
    length of any list or text a kept term may produce; `depth` how deep functions nest; `rows` how
    many rows an inner bank has, unless there are more examples.
    """

    cells: int = 20_000_000
    items: int = 1000
    depth: int = 2
    rows: int = 20


@dataclass
class Workshop:
    """What the banks of one enumeration share; `left` are the cells that may still be kept.

    Terms of the type `want` are looked at before they are made; `counts["again"]` says how many of
    those generated were.
    """

    grammar: Grammar
    clock: Clock
    bounds: Bounds
    counts: Counter[str] = field(default_factory=Counter)
    want: Type | None = None
    left: int = 0
    groups: dict[Type, tuple[Group, ...]] = field(default_factory=dict)
    _unseen: float = 0.0
    _pace: float = 1.0
    _looked: float = 0.0

    def __post_init__(self) -> None:
        self.left = self.bounds.cells
        self.groups = self.grammar.groups()

    def spend(self, terms: int) -> None:
        """Account for terms about to be tried. Raises Exhausted when the time is up.

        The clock is looked at after as many terms as took `LOOK` seconds before.
        """
        self._unseen += terms
        if self._unseen < self._pace:
            return
        now = self.clock.elapsed()
        if now >= self.clock.budget:
            raise Exhausted(TIME_IS_UP)
        if now > self._looked:
            self._pace = max(1.0, min(2 * self._pace, self._unseen * LOOK / (now - self._looked)))
        self._looked, self._unseen = now, 0.0

    def keeps(self, values: Sequence[Any]) -> bool:
        """Account for values to keep; False where one is longer than is allowed."""
        cells = len(values)
        if isinstance(values[0], HOLDERS) or values[0] is FAILED:
            if FAILED in values:
                values = [value for value in values if isinstance(value, HOLDERS)]
            items = sum(map(len, values))
            if items > self.bounds.items and max(map(len, values)) > self.bounds.items:
                self.counts["oversized"] += 1
                return False
            cells += items
        self.left -= cells
        if self.left < 0:
            raise Exhausted(
                f"the memory limit of {self.bounds.cells} kept values was reached; "
                "shorter or fewer examples reach further"
            )
        return True


class Bank:
    """The distinct terms of one context.

    `scope` are the types of the variables, `environments` the rows, `outputs` each row's output of
    the task and its type.  An inner bank knows its outer one, the outer row of each of its rows
    (`owners`), and how deep it lies.
    """

    def __init__(
        self,
        workshop: Workshop,
        scope: tuple[Type, ...],
        environments: Sequence[Environment],
        outputs: Sequence[tuple[Any, Type]],
        outer: Bank | None = None,
        owners: Sequence[int] = (),
    ) -> None:
        self.workshop = workshop
        self.scope = scope
        self.environments = environments
        self.outputs = outputs
        self.outer = outer
        self.owners = owners
        self.depth: int = outer.depth + 1 if outer else 0
        known = len(outer.scope) if outer else 0
        self.fresh = sum(1 << place for place in range(known, len(scope)))
        self.levels: dict[Type, list[Pool]] = {}
        self.functions: dict[tuple[Slot, int], Pool] = {}
        self.seen: dict[Type, dict[Values, Node]] = {}
        self.inner: dict[tuple[Type, ...], Bank | None] = {}
        self.leaves: dict[Type, list[tuple[int, Node]]] = {}
        samples = Samples(environments, scope, workshop.grammar)
        self.probes = Probes(environments, scope, outputs, samples)
        self.combinations: Combinations[Sequence[Node]] = Combinations(
            self.pool, _joined, len, self.depth
        )
        self._members: list[list[int]] | None = None
        for place in range(known, len(scope)):
            self._add_variable(place)
        if outer is None:
            self._add_constants()

    def clear(self) -> None:
        """Forget every term, here and in the inner banks."""
        for inner in self.inner.values():
            if inner is not None:
                inner.clear()
        for held in (
            self.inner, self.levels, self.functions, self.seen, self.leaves,
            self.combinations.columns,
        ):  # fmt: skip
            held.clear()

    def level(self, type_: Type, level: int) -> Pool:
        """The distinct terms of a type at a level; all lower levels are made first."""
        made = self.levels.setdefault(type_, [EMPTY])
        while len(made) <= level:
            carried = self._carried(type_, len(made))
            made.append((carried, self._made(type_, len(made))))
        return made[level]

    def pool(self, slot: Slot, level: int) -> Pool:
        """What can stand as this argument at this level."""
        if not slot.taken:
            made = self.levels.get(slot.result)
            if made is not None and level < len(made):
                return made[level]
            return self.level(slot.result, level)
        key = (slot, level)
        pool = self.functions.get(key)
        if pool is None:
            pool = self.functions[key] = self._function_pool(slot, level)
        return pool

    def leaves_at(self, type_: Type, level: int) -> list[Node]:
        """The variables, literals and constants of a type at a level."""
        return [node for at, node in self.leaves.get(type_, ()) if at == level]

    def applications(
        self, type_: Type, level: int
    ) -> Iterator[tuple[Sequence[Production], list[Sequence[Node]]]]:
        """What can be applied to what, so that a term of the type and level comes out.

        Each of the productions takes any combination of the choices.
        """
        return self.combinations.of(self.workshop.groups.get(type_, ()), level)

    def _made(self, type_: Type, level: int) -> list[Node]:
        """The terms of a type at a level that are new here."""
        seen = self.seen.setdefault(type_, {})
        made = []
        for node in self.leaves_at(type_, level):
            if node.values not in seen:
                seen[node.values] = node
                made.append(node)
        for productions, choices in self.applications(type_, level):
            self._apply(productions, choices, seen, made)
        return made

    def _apply(
        self,
        productions: Sequence[Production],
        choices: Sequence[Sequence[Node]],
        seen: dict[Values, Node],
        made: list[Node],
    ) -> None:
        """Apply to every combination of the choices; add what is new to what was `made`."""
        workshop = self.workshop
        counts = workshop.counts
        *leading, last = choices
        if self.outer is None and productions[0].result == workshop.want:
            counts["again"] += len(productions) * prod(map(len, choices))
        for chosen in product(*leading):
            before = [node.values for node in chosen]
            whole = not any(node.failed for node in chosen)
            for production in productions:
                workshop.spend(len(last))
                call, safe_call = production.call, production.safe
                direct = whole and production.direct
                counts["generated"] += len(last)
                for node in last:
                    if direct and not node.failed:
                        try:
                            values = tuple(map(call, *before, node.values))
                        except Exception:
                            values = tuple(map(safe_call, *before, node.values))
                    else:
                        values = tuple(map(safe_call, *before, node.values))
                    if values in seen:
                        continue
                    new = self.node(production, (*chosen, node), values)
                    if new.failed and values.count(FAILED) == len(values):
                        counts["failed"] += 1
                    elif workshop.keeps(values):
                        seen[values] = new
                        made.append(new)
                        counts["distinct"] += 1

    def node(self, production: Production, arguments: tuple[Node, ...], values: Values) -> Node:
        """An application with its values."""
        cost, uses = production.cost, 0
        for argument in arguments:
            cost += argument.cost
            uses |= argument.uses
        return Node(production, arguments, values, cost, uses, FAILED in values)

    def _function_pool(self, slot: Slot, level: int) -> Pool:
        """The functions of a type at a level, as tables over this bank's rows."""
        if self.depth >= self.workshop.bounds.depth:
            return EMPTY
        inner = self._inner(slot.taken)
        if inner is None:
            return EMPTY
        carried: list[Node] = []
        if self.outer is not None:
            old, new = self.outer.pool(slot, level)
            carried = [n.on(self._broadcast(n.values), failed=False) for n in (*old, *new)]
        made = []
        for unused in range(len(slot.taken) + 1):
            at = level - unused * UNUSED
            for body in chain(*inner.level(slot.result, at)) if at > 0 else ():
                ignored = len(slot.taken) - (body.uses & inner.fresh).bit_count()
                if ignored == unused and (self.outer is None or body.uses & self.fresh):
                    made.append(self._function(body, inner, unused * UNUSED * UNIT))
        return carried, made

    def _function(self, body: Node, inner: Bank, extra: float) -> Node:
        base = len(self.scope)
        count = len(inner.scope) - base
        known, members = body.values, inner.members()

        def on(row: int) -> Any:
            environment = self.environments[row]
            if count > 1:
                return function_of(code_of(body), environment, count)
            table = Memo(code_of(body), environment)
            for place in members[row]:
                value = known[place]
                if value is not FAILED:
                    table[inner.environments[place][base]] = value
            return table.__getitem__

        values: Any = Callables(on, len(self.environments))
        self.workshop.left -= len(inner.environments)
        head = Abstraction(base, count)
        cost = body.cost + extra
        return Node(head, (body,), values, cost, body.uses & ~inner.fresh, failed=False)

    def _inner(self, parameters: tuple[Type, ...]) -> Bank | None:
        """The bank of bodies with these parameters; None where no value probes them."""
        if parameters not in self.inner:
            below = self.probes.below(parameters, self.workshop.bounds.rows)
            self.inner[parameters] = (
                None
                if below is None
                else Bank(
                    self.workshop,
                    below.scope,
                    below.environments,
                    below.outputs,
                    self,
                    below.owners,
                )
            )
        return self.inner[parameters]

    def members(self) -> list[list[int]]:
        """The rows that belong to each row of the outer bank."""
        if self._members is None:
            assert self.outer is not None
            self._members = [[] for _ in self.outer.environments]
            for row, owner in enumerate(self.owners):
                self._members[owner].append(row)
        return self._members

    def _carried(self, type_: Type, level: int) -> list[Node]:
        """The outer bank's terms of a type and level that are distinct here too, on these rows."""
        if self.outer is None:
            return []
        seen = self.seen.setdefault(type_, {})
        carried = []
        old, new = self.outer.level(type_, level)
        for node in (*old, *new):
            values = self._broadcast(node.values)
            if values not in seen and self.workshop.keeps(values):
                made = node.on(values, failed=node.failed and FAILED in values)
                seen[values] = made
                carried.append(made)
        return carried

    def _broadcast(self, values: Values) -> Values:
        return tuple([values[owner] for owner in self.owners])

    def _add_variable(self, place: int) -> None:
        type_ = self.scope[place]
        values = tuple(environment[place] for environment in self.environments)
        cost = self.workshop.grammar.variables.get(type_, 0.0) + log(self.scope.count(type_))
        node = Node(Variable(place), (), values, cost, 1 << place, failed=False)
        self.leaves.setdefault(type_, []).append((level_of(cost), node))

    def _add_constants(self) -> None:
        rows = len(self.environments)
        grammar = self.workshop.grammar
        for type_, constants in grammar.constants.items():
            for constant in constants:
                values = (constant.literal.value,) * rows
                node = Node(constant.literal, (), values, constant.cost, 0, failed=False)
                self.leaves.setdefault(type_, []).append((constant.level, node))
        for type_, productions in grammar.productions.items():
            for production in productions:
                if not production.slots:
                    values = (production.call(),) * rows
                    node = Node(production, (), values, production.cost, 0, failed=False)
                    self.leaves.setdefault(type_, []).append((production.level, node))


def _joined(one: Sequence[Node], other: Sequence[Node]) -> Sequence[Node]:
    return [*one, *other] if one else other
