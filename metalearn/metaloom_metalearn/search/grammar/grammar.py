"""A weighted grammar: for every type, what can make a value of it and at what cost in nats.

A type's productions are the variables of that type, its literals, and each instance of a block
that returns it.  A block weighs what the prior gives it (1 on average), shared among its instances
by how likely their types are; one whose loops no list bounds weighs `UNBOUNDED` of that, because
few of its programs end.  All variables of a type weigh `VARIABLE` together where the task's inputs
hold such values, and `PASSING` elsewhere; all literals weigh `LITERAL`.  A production costs
ln(total / its weight), and a primitive's own cost on top.  The cost of a term is the sum over its
productions, lambdas and applications being free: the negative log probability of the term under a
probabilistic grammar whose choices depend on the wanted type alone.

The cheapest-first order of a search goes by levels: costs rounded to multiples of `UNIT`, at least
one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metaloom_metalearn.search.grammar.application import chosen, metered, safe, sized
from metaloom_metalearn.search.grammar.programs import Program
from metaloom_metalearn.search.grammar.universe import (
    Universe,
    instance_weight,
    instances,
    is_bounded,
)
from metaloom_registry import Constructed, Entry, Literal, Reference, Type, uncurried
from metaloom_registry.types import BOOL, HOLDING, INT, parts, without_domains

UNIT = 0.5
VARIABLE = 8.0
PASSING = 0.5
LITERAL = 4.0
UNBOUNDED = 0.2


@dataclass(frozen=True, slots=True)
class Slot:
    """What an argument is: a value of type `result`, or where `taken` is not empty a function."""

    taken: tuple[Type, ...]
    result: Type


@dataclass(frozen=True, slots=True, eq=False)
class Production:
    """One instance of a block.

    `call` takes all arguments at once; `safe` does the same where values may be missing; `direct`
    says that where none is missing `call` alone will do.  `code` is `call` as it stands within the
    body of a function, with what it makes bounded.  `choose` is `Primitive.choose`, `kernel` is
    `Primitive.kernel`, `program` what the compiled engine runs of a program.  `symmetric` says that
    its two arguments may be exchanged, `metered` that the calls of the functions it is given are
    counted, `higher` that one argument is a function.
    """

    reference: Reference
    slots: tuple[Slot, ...]
    result: Type
    cost: float
    level: int
    call: Callable[..., Any]
    safe: Callable[..., Any]
    code: Callable[..., Any]
    choose: Callable[[Any], int] | None = None
    direct: bool = True
    symmetric: bool = False
    kernel: Callable[..., Any] | None = None
    program: Program | None = None
    metered: bool = False

    @property
    def higher(self) -> bool:
        return any(slot.taken for slot in self.slots)


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal and its cost."""

    literal: Literal
    cost: float
    level: int


@dataclass(frozen=True, slots=True)
class Function:
    """A block the grammar may use: how it is computed and what it costs beyond the grammar's.

    `choose` is `Primitive.choose`, `kernel` is `Primitive.kernel`, and `program` is what the
    compiled engine runs of a program.
    """

    call: Callable[..., Any]
    cost: float = 0.0
    choose: Callable[[Any], int] | None = None
    kernel: Callable[..., Any] | None = None
    program: Program | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Productions of one result, slots and level, which are applied to the same arguments.

    `higher` says that one of those is a function.
    """

    slots: tuple[Slot, ...]
    level: int
    symmetric: bool
    productions: tuple[Production, ...]
    higher: bool


@dataclass(frozen=True)
class Grammar:
    """What makes a value of each type, the cheapest first."""

    productions: Mapping[Type, tuple[Production, ...]]
    constants: Mapping[Type, tuple[Constant, ...]]
    variables: Mapping[Type, float]
    universe: Universe

    def groups(self) -> dict[Type, tuple[Group, ...]]:
        """The productions that take arguments, those of equal slots and level together."""
        found: dict[Type, tuple[Group, ...]] = {}
        for type_, productions in self.productions.items():
            groups: dict[tuple[Any, ...], list[Production]] = {}
            for production in productions:
                if production.slots:
                    key = (production.slots, production.level, production.symmetric)
                    groups.setdefault(key, []).append(production)
            found[type_] = tuple(
                Group(slots, level, symmetric, tuple(group), any(slot.taken for slot in slots))
                for (slots, level, symmetric), group in groups.items()
            )
        return found

    def kernels(self) -> set[tuple[Callable[..., Any], int]]:
        """The compiled forms that its blocks need, each with how many arguments it takes."""
        found: set[tuple[Callable[..., Any], int]] = set()
        for group in self.productions.values():
            for one in group:
                if one.kernel is not None:
                    found.add((one.kernel, len(one.slots)))
                if one.program is not None:
                    found.update(one.program.kernels())
        return found

    def reachable(self, given: Sequence[Type]) -> frozenset[Type]:
        """The types of closed terms over variables of the given types."""
        literals = [type_ for type_, group in self.constants.items() if group]
        made = [production for group in self.productions.values() for production in group]
        return _reachable(made, (*given, *literals))


def grammar_of(
    entries: Sequence[Entry],
    weights: Sequence[float],
    load: Callable[[Entry], Function | None],
    universe: Universe,
    constants: Mapping[Type, Sequence[tuple[Literal, float]]],
    given: Sequence[Type],
) -> Grammar:
    """The grammar of these blocks and literals over the types of the universe.

    `weights` has one log weight a block, in nats, from a prior; `load` is asked only for blocks
    that fit somewhere, and gives None for one that cannot be used.  `given` are the types of the
    task's inputs: instances that need a type which nothing can make are left out before weights are
    turned into costs.
    """
    drafts = _drafts(entries, _normalised(weights), universe)
    there = _reachable(drafts, (*given, *constants))
    drafts = [d for d in drafts if _usable(d, there)]
    functions: dict[Reference, Function | None] = {}
    for draft in drafts:
        if draft.entry.reference not in functions:
            functions[draft.entry.reference] = load(draft.entry)
    spoken = {part for type_ in (*given, INT, BOOL) for part in parts(without_domains(type_))}
    productions: dict[Type, tuple[Production, ...]] = {}
    literals: dict[Type, tuple[Constant, ...]] = {}
    variables: dict[Type, float] = {}
    for type_ in universe:
        group = [
            (draft, function)
            for draft in drafts
            if draft.result == type_
            for function in (functions[draft.entry.reference],)
            if function is not None
        ]
        written = constants.get(type_, ())
        variable = VARIABLE if type_ in spoken else PASSING
        total = sum(draft.weight for draft, _ in group) + variable + (LITERAL if written else 0.0)
        made = [_costed(d, f, math.log(total / d.weight) + f.cost) for d, f in group]
        productions[type_] = tuple(sorted(made, key=lambda production: production.cost))
        variables[type_] = math.log(total / variable)
        literals[type_] = tuple(
            Constant(literal, cost, level_of(cost))
            for literal, share in written
            for cost in (math.log(total / (LITERAL * share)),)
        )
    return Grammar(productions, literals, variables, universe)


def level_of(cost: float) -> int:
    """The level of a cost in nats: rounded to multiples of `UNIT`, at least 1."""
    return max(1, round(cost / UNIT))


@dataclass(frozen=True, slots=True)
class _Draft:
    """An instance of a block before its weight is turned into a cost."""

    entry: Entry
    slots: tuple[Slot, ...]
    result: Type
    weight: float


def _drafts(entries: Sequence[Entry], weights: Sequence[float], universe: Universe) -> list[_Draft]:
    """Every instance; the instances of one block that return one type share its weight."""
    drafts = []
    for entry, weight in zip(entries, weights, strict=True):
        if not is_bounded(entry.type):
            weight *= UNBOUNDED
        groups: dict[Type, dict[Type, float]] = {}
        for instance in instances(entry.type, universe):
            group = groups.setdefault(uncurried(instance)[1], {})
            group[instance] = instance_weight(instance, universe)
        for group in groups.values():
            share = weight * max(group.values()) / sum(group.values())
            for instance, likely in group.items():
                arguments, result = uncurried(instance)
                slots = tuple(Slot(*uncurried(argument)) for argument in arguments)
                drafts.append(_Draft(entry, slots, result, share * likely))
    return drafts


def _costed(draft: _Draft, function: Function, cost: float) -> Production:
    call, arity = function.call, len(draft.slots)
    metered_calls = not is_bounded(draft.entry.type)
    if metered_calls:
        call = metered(call)
    makes_items = isinstance(draft.result, Constructed) and draft.result.name in HOLDING
    return Production(
        reference=draft.entry.reference,
        slots=draft.slots,
        result=draft.result,
        cost=cost,
        level=level_of(cost),
        call=call,
        safe=safe(call, arity) if function.choose is None else chosen(function.choose),
        code=sized(call) if makes_items else call,
        choose=function.choose,
        direct=function.choose is None,
        symmetric=function.choose is None and _is_symmetric(call, draft),
        kernel=function.kernel,
        program=function.program,
        metered=metered_calls,
    )


def _is_symmetric(call: Callable[..., Any], draft: _Draft) -> bool:
    """Whether the two arguments may be exchanged, as far as a few integers or truth values tell."""
    if len(draft.slots) != 2 or draft.slots[0] != draft.slots[1]:
        return False
    values = _TELLING.get(draft.slots[0].result)
    if values is None or draft.slots[0].taken:
        return False
    run = safe(call, 2)
    return all(run(x, y) == run(y, x) for x in values for y in values)


_TELLING: Mapping[Type, tuple[Any, ...]] = {INT: (-3, -1, 0, 1, 2, 3, 7, 10), BOOL: (False, True)}


def _reachable(
    productions: Sequence[Production | _Draft], given: Sequence[Type]
) -> frozenset[Type]:
    """The types of terms over variables of the given types, and of the functions among them.

    What a function takes counts as there as soon as the block that it is given to can have its
    other arguments, which is a little more than is so.
    """
    found = set(given)
    before = -1
    while len(found) > before:
        before = len(found)
        for production in productions:
            values = [slot.result for slot in production.slots if not slot.taken]
            if all(value in found for value in values):
                found.update(taken for slot in production.slots for taken in slot.taken)
            if _usable(production, found):
                found.add(production.result)
    return frozenset(found)


def _usable(production: Production | _Draft, there: Container[Type]) -> bool:
    return all(slot.result in there for slot in production.slots)


def _normalised(log_weights: Sequence[float]) -> list[float]:
    """Weights that are 1 on average."""
    if not log_weights:
        return []
    highest = max(log_weights)
    weights = [math.exp(w - highest) for w in log_weights]
    mean = sum(weights) / len(weights)
    return [max(w / mean, 1e-12) for w in weights]
