"""Sketches: typed programs in which networks that are still to be trained stand as functions.

A sketch (Solar-Lezama 2008) is a closed term over the library and over *new networks*: functions
from a tensor of the task to the logits of a few classes, under placeholder references.  A sketch
without any is a program of zero new parameters.  Sketches come from two places:

- the programs of solved tasks of the same type, with each trained block that they apply to the
  inputs exchanged for a new network or for another block of its type (Valkov et al. 2018 reuse
  whole library functions; here their shape is reused as well);
- type-directed enumeration, top-down and the cheapest first, under the same weighted grammar as
  symbolic enumeration (`grammar`), by iterative deepening with the least cost of each open place as
  the bound (Korf 1985).  Every sketch reads the inputs through at least one block or new network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from metaloom_metalearn.search.grammar.grammar import (
    Function,
    Grammar,
    Production,
    Slot,
    grammar_of,
)
from metaloom_metalearn.search.grammar.universe import Universe, universe_of
from metaloom_registry import (
    Apply,
    Arrow,
    Bound,
    Constructed,
    Digest,
    Entry,
    Lambda,
    Let,
    Reference,
    Tensor,
    Term,
    Type,
    Use,
    apply,
    lambdas,
    references,
    uncurried,
    without_domains,
)

SOLVED = 1.0
"""The nats of a sketch that a solved task of the same type suggests, beyond the choice of it."""

DEEPEST = 24.0
"""The most nats of an enumerated sketch."""


Opens: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]
"""For each place among arguments the least cost of those from there on; then if one must read."""


@dataclass(frozen=True)
class Network:
    """A function that is still to be trained: `given` is a tensor, `made` the logits of it."""

    given: Tensor
    made: Tensor

    @property
    def type(self) -> Type:
        return Arrow(self.given, self.made)

    @property
    def reference(self) -> Reference:
        """The placeholder that stands for it in sketches."""
        return Reference(None, Digest.of(f"new network : {self.type}".encode()))

    @property
    def entry(self) -> Entry:
        """The network as the grammar sees it: a block that only the search knows."""
        digest = Digest.of(f"new network : {self.type}".encode())
        return Entry(self.reference, digest, "network", self.type, f"new {self.type}")


@dataclass(frozen=True)
class Sketch:
    """A closed term of the task's type, its cost in nats, and the new networks it applies."""

    term: Term
    cost: float
    networks: tuple[Network, ...] = ()


@dataclass
class Sketches:
    """The sketches of one task.

    `entries` are blocks that gradients can pass, with their log weights; `loaded` tells what
    programs of the library are made of.  At most `limit` sketches come from enumeration.
    """

    type: Type
    entries: Sequence[Entry]
    weights: Sequence[float]
    networks: Sequence[Network]
    program: Callable[[Entry], Term | None]
    limit: int = 200
    stop: Callable[[], bool] = lambda: False

    def __iter__(self) -> Iterator[Sketch]:
        """Each sketch once: those of solved tasks, then by cost."""
        seen: set[Term] = set()
        for sketch in self.solved():
            if sketch.term not in seen:
                seen.add(sketch.term)
                yield sketch
        found = 0
        for sketch in self.enumerated():
            if sketch.term in seen:
                continue
            seen.add(sketch.term)
            yield sketch
            found += 1
            if found >= self.limit:
                return

    def solved(self) -> Iterator[Sketch]:
        """The programs of the task's type, and these with their trained blocks exchanged."""
        same = [e for e in self.entries if e.kind == "program" and _same(e.type, self.type)]
        cost = SOLVED + math.log(max(1, len(same)))
        for entry in same:
            term = self.program(entry)
            if term is None:
                continue
            yield Sketch(_called(entry), cost)
            for found in self.readers(term):
                wanted = found.type
                for network in self.networks:
                    if network.type == wanted:
                        exchanged = with_references(term, {found.reference: network.reference})
                        yield Sketch(exchanged, cost + 1, (network,))
                for other in self.entries:
                    if other.kind != "primitive" and other != found and _same(other.type, wanted):
                        exchanged = with_references(term, {found.reference: other.reference})
                        yield Sketch(exchanged, cost + 1)
        for entry in same:
            term = self.program(entry)
            for reader in self.entries if term is not None else ():
                yield from self._reread(term, reader, cost)

    def _reread(self, term: Term | None, reader: Entry, cost: float) -> Iterator[Sketch]:
        """The program with a whole reading of the input, image to label, made new."""
        assert term is not None
        if reader.kind != "program" or reader.reference not in references(term):
            return
        inner = self.program(reader)
        if inner is None:
            return
        for found in self.readers(inner):
            for network in self.networks:
                if network.type == found.type:
                    fresh = with_references(inner, {found.reference: network.reference})
                    yield Sketch(replaced(term, reader.reference, fresh), cost + 1, (network,))

    def readers(self, term: Term) -> Iterator[Entry]:
        """The library's trained blocks and programs that the term applies."""
        used = set(references(term))
        return (e for e in self.entries if e.reference in used and e.kind != "primitive")

    def enumerated(self) -> Iterator[Sketch]:
        """Terms by iterative deepening on their cost, one nat at a time."""
        grammar = self.grammar()
        if grammar is None:
            return
        given, want = uncurried(without_domains(self.type))
        by_reference = {network.reference: network for network in self.networks}
        trained = {entry.reference for entry in self.entries if entry.kind != "primitive"}
        bound = _Bound.of(grammar, given, trained | set(by_reference))
        budget = bound.reading.get(want, math.inf)
        while budget <= DEEPEST:
            for term, cost, _ in self._terms(bound, want, tuple(given), budget, reads=True):
                if self.stop():
                    return
                if cost > budget - 1:
                    used = references(term)
                    new = tuple(by_reference[one] for one in used if one in by_reference)
                    yield Sketch(lambdas(len(given), term), cost, new)
            budget += 1.0

    def grammar(self) -> Grammar | None:
        """The grammar of the blocks and the new networks; None where nothing makes the output."""
        entries = [*self.entries, *(network.entry for network in self.networks)]
        weights = [*self.weights, *(0.0 for _ in self.networks)]
        given, want = uncurried(without_domains(self.type))
        universe = universe_of(given, want, [entry.type for entry in entries])
        flat = {t: weight for t, weight in universe.weights.items() if t in given or _is_flat(t)}
        grammar = grammar_of(entries, weights, _unused, Universe(flat), {}, given)
        return grammar if want in grammar.reachable(given) else None

    def _terms(
        self, bound: _Bound, type_: Type, scope: tuple[Type, ...], budget: float, reads: bool
    ) -> Iterator[tuple[Term, float, bool]]:
        """Every term of a type over the variables in scope that costs at most `budget`.

        With each its cost, and whether it reads a tensor; with `reads` only those that do.
        """
        if self.stop():
            return
        if not reads:
            there = [index for index, held in enumerate(reversed(scope)) if held == type_]
            cost = bound.grammar.variables.get(type_, math.inf) + math.log(max(1, len(there)))
            if cost <= budget:
                yield from ((Bound(index), cost, False) for index in there)
        for production, opens in bound.productions.get(type_, ()):
            reader = production.reference in bound.readers
            left = budget - production.cost
            if left < opens[reads and not reader][0]:
                continue
            head: Term = Use(production.reference)
            for arguments, cost, read in self._arguments(
                bound, (production.slots, opens), 0, scope, left, reads and not reader
            ):
                yield apply(head, *arguments), production.cost + cost, read or reader

    def _arguments(
        self,
        bound: _Bound,
        places: tuple[Sequence[Slot], Opens],
        place: int,
        scope: tuple[Type, ...],
        budget: float,
        reads: bool,
    ) -> Iterator[tuple[tuple[Term, ...], float, bool]]:
        """Terms for the arguments from `place` on."""
        slots, opens = places
        if place == len(slots):
            yield (), 0.0, False
            return
        slot, last = slots[place], place == len(slots) - 1
        inner, left = (*scope, *slot.taken), budget - opens[False][place + 1]
        for term, cost, read in self._terms(bound, slot.result, inner, left, reads and last):
            argument, missing = lambdas(len(slot.taken), term), reads and not read
            if opens[missing][place + 1] > budget - cost:
                continue
            for others, more, also in self._arguments(
                bound, places, place + 1, scope, budget - cost, missing
            ):
                yield (argument, *others), cost + more, read or also


@dataclass(frozen=True)
class _Bound:
    """The least cost of a term of each type, and of one that reads a tensor through a reader.

    Both are lower bounds: which variables are in scope is not looked at.
    """

    grammar: Grammar
    productions: Mapping[Type, Sequence[tuple[Production, Opens]]]
    readers: frozenset[Reference]
    least: Mapping[Type, float]
    reading: Mapping[Type, float]

    @classmethod
    def of(cls, grammar: Grammar, given: Sequence[Type], readers: set[Reference]) -> _Bound:
        """Fixed points of the productions, without those that merely rearrange tensors."""
        made = {
            type_: tuple(p for p in group if not _rearranges(p))
            for type_, group in grammar.productions.items()
        }
        taken = {t for group in made.values() for p in group for s in p.slots for t in s.taken}
        least = {
            type_: grammar.variables.get(type_, math.inf)
            for type_ in grammar.universe
            if type_ in taken or type_ in given
        }
        reading: dict[Type, float] = {}
        found = cls(grammar, {}, frozenset(readers), least, reading)
        changed = True
        while changed:
            changed = False
            for type_, group in made.items():
                for production in group:
                    through = production.reference not in readers
                    for table, reads in ((least, False), (reading, through)):
                        cost = production.cost + found.open(production.slots, reads)
                        if cost < table.get(type_, math.inf) - 1e-9:
                            table[type_] = cost
                            changed = True
        bounded = {
            type_: tuple((production, found.opens(production)) for production in group)
            for type_, group in made.items()
        }
        return replace(found, productions=bounded)

    def opens(self, production: Production) -> Opens:
        """What the arguments from each place on cost at least, none of them reading and one."""
        slots = production.slots
        ends = range(len(slots) + 1)
        plain, reading = (
            tuple(self.open(slots[place:], reads) for place in ends) for reads in (False, True)
        )
        return plain, reading

    def open(self, slots: Sequence[Slot], reads: bool) -> float:
        """The least cost of arguments for these places, one of which reads if `reads`."""
        plain = [self.least.get(slot.result, math.inf) for slot in slots]
        if not reads:
            return sum(plain)
        return min(
            (
                sum(plain[:i]) + self.reading.get(slot.result, math.inf) + sum(plain[i + 1 :])
                for i, slot in enumerate(slots)
            ),
            default=math.inf,
        )


def with_references(term: Term, exchanged: Mapping[Reference, Reference]) -> Term:
    """The term with some references exchanged for others."""
    for old, new in exchanged.items():
        term = replaced(term, old, Use(new))
    return term


def replaced(term: Term, reference: Reference, value: Term) -> Term:
    """The term with every use of a reference replaced by a closed term."""
    if isinstance(term, Use):
        return value if term.reference == reference else term
    if isinstance(term, Lambda):
        return Lambda(replaced(term.body, reference, value))
    if isinstance(term, Apply):
        function = replaced(term.function, reference, value)
        return Apply(function, replaced(term.argument, reference, value))
    if isinstance(term, Let):
        return Let(replaced(term.value, reference, value), replaced(term.body, reference, value))
    return term


def item_of(given: Type) -> Tensor | None:
    """The tensor that networks read: the input itself, or the items of a list of them."""
    while isinstance(given, Constructed) and given.name == "list":
        given = given.arguments[0]
    return given if isinstance(given, Tensor) else None


def _called(entry: Entry) -> Term:
    """The block applied to variables: itself as a lambda term."""
    arity = len(uncurried(entry.type)[0])
    return lambdas(arity, apply(Use(entry.reference), *map(Bound, reversed(range(arity)))))


def _rearranges(production: Production) -> bool:
    """Whether it makes lists of tensors, or takes a function to make a tensor."""
    made = production.result
    if isinstance(made, Constructed):
        return any(isinstance(held, Tensor) for held in made.arguments)
    return isinstance(made, Tensor) and production.higher


def _is_flat(type_: Type) -> bool:
    """Whether sketches compute with values of the type: no lists of tensors but the inputs."""
    held = type_.arguments if isinstance(type_, Constructed) else ()
    return not any(
        isinstance(t, Tensor) or (isinstance(t, Constructed) and t.arguments) for t in held
    )


def _same(one: Type, other: Type) -> bool:
    return without_domains(one) == without_domains(other)


def _unused(entry: Entry) -> Function:
    """Sketches are written, not run: the grammar only needs to know that the block is there."""
    del entry
    return Function(lambda *arguments: arguments[0] if arguments else None)
