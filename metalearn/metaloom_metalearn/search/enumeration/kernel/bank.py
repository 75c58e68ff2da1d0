"""The bank in compiled form: the terms of the bank in Python, in the same order, faster.

Levels, functions and probes are those of `search.enumeration.bank`; what differs is that terms are
rows of stores, that all combinations of some choices are applied in one compiled loop, and that a
function is computed where it is called, by `machine`, rather than looked up in a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import log, prod
from operator import eq
from typing import Any, TypeAlias

import numpy as np

from metaloom_metalearn.search.enumeration.bank import Exhausted, Workshop
from metaloom_metalearn.search.enumeration.combinations import UNUSED, Combinations
from metaloom_metalearn.search.enumeration.kernel import loops
from metaloom_metalearn.search.enumeration.kernel.loops import CELLS, DONE, MEMORY
from metaloom_metalearn.search.enumeration.kernel.memory import SHIFT
from metaloom_metalearn.search.enumeration.kernel.shapes import Words, read
from metaloom_metalearn.search.enumeration.kernel.state import (
    COUNT,
    DISTINCT,
    EMITTED,
    FAILED,
    GENERATED,
    OVERSIZED,
    POSITION,
)
from metaloom_metalearn.search.enumeration.kernel.tables import Store, Tables, address_of
from metaloom_metalearn.search.enumeration.node import Environment, Node
from metaloom_metalearn.search.enumeration.probes import Probes, Samples
from metaloom_metalearn.search.grammar.application import FAILED as NO_VALUE
from metaloom_metalearn.search.grammar.grammar import UNIT, Production, Slot, level_of
from metaloom_registry import Type
from metaloom_registry.types import INT

Pool: TypeAlias = tuple[Words, Words]
"""Terms of one type and level, by their places in the store; functions by their nodes."""

NONE: Words = np.zeros(0, np.int64)
EMPTY: Pool = (NONE, NONE)
BATCH = 8192
"""How many combinations a loop does before the clock is looked at."""

EMITTED_AT_ONCE = 64


class KernelBank:
    """The distinct terms of one context; see `search.bank.Bank`."""

    ran = "compiled"

    def __init__(
        self,
        workshop: Workshop,
        tables: Tables,
        scope: tuple[Type, ...],
        environments: Sequence[Environment],
        outputs: Sequence[tuple[Any, Type]],
        outer: KernelBank | None = None,
        owners: Sequence[int] = (),
    ) -> None:
        self.workshop = workshop
        self.tables = tables
        self.scope = scope
        self.environments = environments
        self.outputs = outputs
        self.outer = outer
        self.owners: Words = np.array(owners, np.int64)
        self.depth: int = outer.depth + 1 if outer else 0
        self.known = len(outer.scope) if outer else 0
        self.fresh = sum(1 << place for place in range(self.known, len(scope)))
        self.levels: dict[Type, list[Pool]] = {}
        self.functions: dict[tuple[Slot, int], Pool] = {}
        self.stores: dict[Type, Store] = {}
        self.slots: dict[int, Store] = {}
        self.inner: dict[tuple[Type, ...], KernelBank | None] = {}
        self.leaves: dict[Type, list[tuple[int, int, Words]]] = {}
        samples = Samples(environments, scope, workshop.grammar)
        self.probes = Probes(environments, scope, outputs, samples)
        self.combinations: Combinations[Words] = Combinations(self.pool, _joined, len, self.depth)
        self.identity: Words = np.arange(len(environments), dtype=np.int64)
        self.asked = 0
        self.places = self._written_environments()
        for place in range(self.known, len(scope)):
            self._add_variable(place)
        if outer is None:
            self._add_constants()

    def clear(self) -> None:
        """Forget every term, here and in the inner banks."""
        for inner in self.inner.values():
            if inner is not None:
                inner.clear()
        for held in (
            self.inner, self.levels, self.functions, self.stores, self.slots, self.leaves,
            self.combinations.columns,
        ):  # fmt: skip
            held.clear()

    def level(self, type_: Type, level: int) -> Pool:
        """The distinct terms of a type at a level; all lower levels are made first."""
        made = self.levels.setdefault(type_, [EMPTY])
        while len(made) <= level:
            store = self._store(type_)
            start = store.count
            self._carry(type_, len(made), store)
            middle = store.count
            self._make(type_, len(made), store)
            made.append((_numbers(start, middle), _numbers(middle, store.count)))
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

    def frontier(
        self,
        type_: Type,
        level: int,
        target: Sequence[Any],
        telling: int,
        lowest: Callable[[], float],
        losses: Sequence[float],
    ) -> Iterator[Node]:
        """The terms of a type at a level that agree with the target on one of the first rows.

        Of those that are wrong somewhere, only such as score below `lowest()`: their cost and the
        losses of the rows that they get wrong.
        """
        counts, tables = self.workshop.counts, self.tables
        words = np.array([tables.keep(value) for value in target], np.int64)
        costs = np.array(losses, np.float64)
        shape = tables.shapes.types[type_]
        for at, number, leaf in self.leaves.get(type_, ()):
            if at == level:
                counts["scored"] += 1
                values = self._read(leaf[0], type_)
                if any(map(eq, target[:telling], values)):
                    node = tables.node(number)
                    yield Node(node.head, (), values, node.cost, node.uses, failed=False)
        emitted: Words = np.zeros((EMITTED_AT_ONCE, 5), np.int64)
        state = tables.state
        groups = self.workshop.groups.get(type_, ())
        for productions, choices in self.combinations.of(groups, level):
            heads, head_costs = self._heads(productions)
            state[POSITION] = 0
            status, total = -1, len(productions) * prod(map(len, choices))
            slots = np.array(self._slots(productions[0], choices), np.int64)
            while status != DONE:
                self.workshop.spend(min(BATCH, total - int(state[POSITION])))
                status = loops.scan(
                    tables.memory, tables.shape_table, shape, heads, head_costs, slots,
                    self.places, tables.costs, words, telling, costs, lowest(), emitted,
                    state, BATCH,
                )  # fmt: skip
                self._count("scored")
                position = int(state[POSITION])
                for row in emitted[: int(state[EMITTED])].tolist():
                    yield self._emitted(productions, row, type_, choices, heads)
                state[POSITION] = position

    def shortest(self, target: Sequence[int], bound: float) -> Node | None:
        """Of the integers in the store since it was last asked; see `engines.Terms`."""
        store, best = self.stores.get(INT), None
        wanted = np.array(target, np.float64)
        while store is not None and self.asked < store.count:
            some = slice(self.asked, min(store.count, self.asked + BATCH))
            self.asked = some.stop
            words, numbers = store.words[some], store.nodes[some]
            totals = np.abs(words[:, store.masks :] - wanted).sum(axis=1)
            totals[words[:, : store.masks].any(axis=1)] = np.inf
            whole = self.tables.costs[numbers] + code_lengths(totals, len(target))
            least = int(whole.argmin())
            if whole[least] < bound:
                best, bound = some.start + least, float(whole[least])
        if store is None or best is None:
            return None
        node = self.tables.node(int(store.nodes[best]))
        values = self._read(store.words[best], INT)
        return Node(node.head, node.arguments, values, node.cost, node.uses, failed=False)

    def _emitted(
        self,
        productions: Sequence[Production],
        row: list[int],
        type_: Type,
        choices: Sequence[Words],
        heads: Words,
    ) -> Node:
        tables, production = self.tables, productions[row[0]]
        numbers = []
        for slot, argument in zip(production.slots, row[1:], strict=False):
            numbers.append(argument if slot.taken else self.stores[slot.result].nodes[argument])
        slots = np.array(self._slots(production, choices), np.int64)
        masks = (len(self.environments) + loops.BITS - 1) // loops.BITS
        found = np.zeros(masks + len(self.environments), np.int64)
        arguments = np.array([*row[1:], 0, 0, 0, 0][:4], np.int64)
        loops.values_of(tables.memory, heads, row[0], slots, arguments, self.places, found)
        nodes = tuple(tables.node(int(number)) for number in numbers)
        cost, uses = production.cost, 0
        for node in nodes:
            cost += node.cost
            uses |= node.uses
        values = self._read(found, type_)
        return Node(production, nodes, values, cost, uses, NO_VALUE in values)

    def _make(self, type_: Type, level: int, store: Store) -> None:
        """Put the terms of a type at a level that are new here into its store."""
        shape = self.tables.shapes.types[type_]
        for at, number, words in self.leaves.get(type_, ()):
            if at == level:
                self._put(store, shape, words, np.array([number], np.int64), self.identity)
        groups = self.workshop.groups.get(type_, ())
        waiting: list[list[Words]] = []
        together: Sequence[Production] = ()
        total = 0
        for productions, choices in self.combinations.of(groups, level):
            count = len(productions) * prod(map(len, choices))
            if waiting and (productions is not together or total + count > BATCH):
                self._apply(type_, store, waiting, together, total)
                waiting, total = [], 0
            waiting.append(choices)
            together, total = productions, total + count
        if waiting:
            self._apply(type_, store, waiting, together, total)

    def _apply(
        self,
        type_: Type,
        store: Store,
        waiting: Sequence[Sequence[Words]],
        productions: Sequence[Production],
        total: int,
    ) -> None:
        """Apply productions to all combinations of some choices, `total` terms."""
        tables, state = self.tables, self.tables.state
        heads, head_costs = self._heads(productions)
        status, position = -1, 0
        while status != DONE:
            limit = min(BATCH, total - position)
            self.workshop.spend(limit)
            store.reserve(limit)
            tables.more_nodes(limit)
            slots = np.array(
                [self._slots(productions[0], choices) for choices in waiting], np.int64
            )
            state[POSITION], state[COUNT] = position, store.count
            status = loops.make(
                tables.memory, tables.shape_table, tables.shapes.types[type_], heads, head_costs,
                slots, self.places, self.workshop.bounds.items, tables.table, tables.costs,
                tables.uses, store.words, store.nodes, store.hashes, store.index,
                state, limit,
            )  # fmt: skip
            position, store.count = int(state[POSITION]), int(state[COUNT])
            self._count("again" if self.outer is None and type_ == self.workshop.want else "")
            if status == MEMORY:
                tables.more_memory()
            elif status == CELLS:
                self._no_cells()

    def _carry(self, type_: Type, level: int, store: Store) -> None:
        """Put the outer bank's terms of a type and level that are distinct here too."""
        if self.outer is None:
            return
        numbers = _joined(*self.outer.level(type_, level))
        if len(numbers):
            source = self.outer.stores[type_]
            shape = self.tables.shapes.types[type_]
            self._put(store, shape, source.words[numbers], source.nodes[numbers], self.owners)

    def _put(self, store: Store, shape: int, words: Words, numbers: Words, owners: Words) -> None:
        tables = self.tables
        store.reserve(len(numbers))
        tables.state[COUNT] = store.count
        status = loops.store(
            tables.memory, tables.shape_table, shape, words, numbers, owners,
            store.words, store.nodes, store.hashes, store.index, tables.state,
        )  # fmt: skip
        store.count = int(tables.state[COUNT])
        if status == CELLS:
            self._no_cells()

    def _no_cells(self) -> None:
        raise Exhausted(
            f"the memory limit of {self.workshop.bounds.cells} kept values was reached; "
            "shorter or fewer examples reach further"
        )

    def _count(self, also: str) -> None:
        """Bring the counts of the loops into the account."""
        counts, state = self.workshop.counts, self.tables.state
        counts["generated"] += int(state[GENERATED])
        if also:
            counts[also] += int(state[GENERATED])
        counts["failed"] += int(state[FAILED])
        counts["oversized"] += int(state[OVERSIZED])
        counts["distinct"] += int(state[DISTINCT])
        state[GENERATED] = state[FAILED] = state[OVERSIZED] = state[DISTINCT] = 0

    def _heads(self, productions: Sequence[Production]) -> tuple[Words, Any]:
        return self.tables.heads_of(productions)

    def _slots(
        self, production: Production, choices: Sequence[Words]
    ) -> list[tuple[int, int, int, int, int, int]]:
        """The rows that tell the loops where the arguments are; see `loops`."""
        rows = []
        for slot, choice in zip(production.slots, choices, strict=True):
            if slot.taken:
                rows.append((1, 0, 0, address_of(choice), len(choice), 0))
                continue
            store = self._store_of(slot)
            words, nodes = store.addresses
            rows.append((0, store.stride, words, address_of(choice), len(choice), nodes))
        return rows

    def _function_pool(self, slot: Slot, level: int) -> Pool:
        """The functions of a type at a level, by their nodes."""
        if self.depth >= self.workshop.bounds.depth:
            return EMPTY
        inner = self._inner(slot.taken)
        if inner is None:
            return EMPTY
        carried = _joined(*self.outer.pool(slot, level)) if self.outer else NONE
        made: list[Words] = []
        tables, count = self.tables, len(slot.taken)
        for unused in range(count + 1):
            at = level - unused * UNUSED
            if at <= 0:
                continue
            old, new = inner.level(slot.result, at)
            if not len(old) and not len(new):
                continue
            bodies = inner.stores[slot.result].nodes[_joined(old, new)]
            uses = tables.uses[bodies]
            used = uses >> inner.known & 1
            for place in range(inner.known + 1, len(inner.scope)):
                used += uses >> place & 1
            chosen = used == count - unused
            if self.outer is not None:
                chosen &= (uses & self.fresh) != 0
            extra = unused * UNUSED * UNIT
            made.append(
                tables.functions(
                    bodies[chosen], len(self.scope), count, extra, inner.fresh, slot.result
                )
            )
            self.workshop.left -= len(inner.environments) * int(chosen.sum())
        return carried, np.concatenate(made) if made else NONE

    def _inner(self, parameters: tuple[Type, ...]) -> KernelBank | None:
        """The bank of bodies with these parameters; None where no value probes them."""
        if parameters not in self.inner:
            below = self.probes.below(parameters, self.workshop.bounds.rows)
            self.inner[parameters] = (
                None
                if below is None
                else KernelBank(
                    self.workshop,
                    self.tables,
                    below.scope,
                    below.environments,
                    below.outputs,
                    self,
                    below.owners,
                )
            )
        return self.inner[parameters]

    def _store(self, type_: Type) -> Store:
        if type_ not in self.stores:
            self.stores[type_] = Store(len(self.environments))
        return self.stores[type_]

    def _store_of(self, slot: Slot) -> Store:
        """The store of what stands in a slot; slots live as long as the grammar."""
        store = self.slots.get(id(slot))
        if store is None:
            store = self.slots[id(slot)] = self._store(slot.result)
        return store

    def _written_environments(self) -> Words:
        """Where in memory the variables of each row stand."""
        tables, places = self.tables, []
        for row, environment in enumerate(self.environments):
            words = [tables.keep(value) for value in environment[self.known :]]
            if self.outer is not None:
                place = self.outer.places[self.owners[row]]
                words = tables.memory[place : place + self.known].tolist() + words
            places.append(tables.keep(tuple(words)) >> SHIFT)
        return np.array(places, np.int64)

    def _leaf(self, type_: Type, level: int, number: int, values: Sequence[int]) -> None:
        masks = (len(values) + loops.BITS - 1) // loops.BITS
        words = np.array([[0] * masks + list(values)], np.int64)
        self.leaves.setdefault(type_, []).append((level, number, words))

    def _read(self, words: Words, type_: Type) -> tuple[Any, ...]:
        """The Python values of a row of a store."""
        found, masks = [], len(words) - len(self.environments)
        for row in range(len(self.environments)):
            if words[row // loops.BITS] >> (row % loops.BITS) & 1:
                found.append(NO_VALUE)
            else:
                found.append(read(words[masks + row], type_, self.tables.memory))
        return tuple(found)

    def _add_variable(self, place: int) -> None:
        type_ = self.scope[place]
        cost = self.workshop.grammar.variables.get(type_, 0.0) + log(self.scope.count(type_))
        number = self.tables.variable(place, cost)
        words = [int(self.tables.memory[at + place]) for at in self.places]
        self._leaf(type_, level_of(cost), number, words)

    def _add_constants(self) -> None:
        rows, tables, grammar = len(self.environments), self.tables, self.workshop.grammar
        for type_, constants in grammar.constants.items():
            for constant in constants:
                word = tables.keep(constant.literal.value)
                number = tables.constant(constant.literal, word, constant.cost)
                self._leaf(type_, constant.level, number, [word] * rows)
        for type_, productions in grammar.productions.items():
            for production in productions:
                if not production.slots:
                    word = tables.keep(production.call())
                    number = tables.constant(production, word, production.cost)
                    self._leaf(type_, production.level, number, [word] * rows)


def code_lengths(totals: Any, count: int) -> Any:
    """`noise.code_length` of many times `count` residuals, of which each has a sum of magnitudes.

    Infinite where the sum is.
    """
    mean = np.minimum(totals, 1e100) / count
    with np.errstate(divide="ignore", invalid="ignore"):
        q = mean / (np.sqrt(1 + mean * mean) + 1)
        nats = -count * (np.log1p(-q) - np.log1p(q)) - mean * count * np.log(q) + 0.5 * log(count)
    return np.where(np.isinf(totals), np.inf, np.where(totals == 0, 0.0, nats))


def _joined(one: Words, other: Words) -> Words:
    if len(one) and len(other):
        return np.concatenate([one, other])
    return one if len(one) else other


def _numbers(start: int, end: int) -> Words:
    return np.arange(start, end, dtype=np.int64) if start < end else NONE


def kernel_terms(
    workshop: Workshop,
    scope: tuple[Type, ...],
    environments: Sequence[Environment],
    outputs: Sequence[tuple[Any, Type]],
) -> KernelBank:
    """The compiled engine: the outermost bank of a task; see `engines`."""
    tables = Tables(workshop.grammar, workshop.bounds.cells)
    return KernelBank(workshop, tables, scope, environments, outputs)
