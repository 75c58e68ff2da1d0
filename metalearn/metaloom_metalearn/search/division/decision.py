"""Decision trees: terms that are right on some rows each, chosen among by predicates.

Divide and conquer as in EUSolver (Alur, Radhakrishna, Udupa 2017): find terms that together are
right on every row, and predicates that tell the rows apart.  The tree here is the one of the least
description length among those of the depth allowed, by dynamic programming over sets of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.grammar import Grammar, Production, Slot
from metaloom_registry import Type
from metaloom_registry.types import BOOL

PREDICATES = 256
"""How many predicates, the cheapest first, a tree is made of."""


@dataclass
class Predicates:
    """The cheapest predicate for each set of rows; one that fails somewhere tells nothing."""

    by_mask: dict[int, Node] = field(default_factory=dict)

    def add(self, nodes: Sequence[Node]) -> int:
        """Keep those that tell rows apart in a new way; how many are new."""
        before = len(self.by_mask)
        for node in nodes:
            if node.failed or not node.uses:
                continue
            mask = mask_of(node.values, (True,) * len(node.values))
            if 0 < mask < (1 << len(node.values)) - 1:
                known = self.by_mask.get(mask)
                if known is None or node.cost < known.cost:
                    self.by_mask[mask] = node
        return len(self.by_mask) - before


def choice_of(grammar: Grammar, want: Type) -> Production | None:
    """The production that takes a condition and two values of the type, and gives one of these."""
    slots = (Slot((), BOOL), Slot((), want), Slot((), want))
    for production in grammar.productions.get(want, ()):
        choose = production.choose
        if choose is not None and production.slots == slots and choose(True) == 1:
            return production
    return None


def mask_of(values: Sequence[Any], wanted: Sequence[Any]) -> int:
    """The rows on which the values are those wanted, as bits."""
    return sum(
        1 << row
        for row, (value, right) in enumerate(zip(values, wanted, strict=True))
        if value is not FAILED and value == right
    )


def decide(
    terms: Mapping[int, Node],
    predicates: Predicates,
    choice: Production,
    make: Callable[[Production, tuple[Node, ...], tuple[Any, ...]], Node],
    rows: int,
    depth: int = 3,
    below: float = math.inf,
) -> Node | None:
    """The cheapest tree that is right on every row of the mask; None where there is none.

    `terms` are the cheapest by the rows they are right on, `choice` is a production that takes a
    condition and two values.
    """
    tests = sorted(predicates.by_mask.items(), key=lambda item: item[1].cost)[:PREDICATES]
    known: dict[tuple[int, int], tuple[float, Any]] = {}

    def best(wanted: int, depth: int) -> tuple[float, Any]:
        found = known.get((wanted, depth))
        if found is not None:
            return found
        cost: float = math.inf
        plan: Any = None
        for mask, node in terms.items():
            if mask & wanted == wanted and node.cost < cost:
                cost, plan = node.cost, node
        if depth > 0:
            for mask, test in tests:
                base = choice.cost + test.cost
                then, otherwise = wanted & mask, wanted & ~mask
                if base >= cost or not then or not otherwise:
                    continue
                left, chosen = best(then, depth - 1)
                if base + left >= cost:
                    continue
                right, other = best(otherwise, depth - 1)
                if base + left + right < cost:
                    cost, plan = base + left + right, (test, chosen, other)
        known[wanted, depth] = (cost, plan)
        return cost, plan

    def built(plan: Any) -> Node:
        if isinstance(plan, Node):
            return plan
        test, chosen, other = plan
        arguments = (test, built(chosen), built(other))
        columns = zip(*(argument.values for argument in arguments), strict=True)
        return make(choice, arguments, tuple([choice.safe(*column) for column in columns]))

    cost, plan = best(rows, depth)
    return built(plan) if plan is not None and cost < below else None
