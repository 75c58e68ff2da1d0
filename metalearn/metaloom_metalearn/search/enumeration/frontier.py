"""The terms of the wanted type at the cost a search has come to: looked at, not kept.

Most terms of the wanted type are never an argument of another before the search ends.  So at the
frontier each is evaluated on the first few rows alone, until one agrees with the target; only a
term that agrees somewhere is evaluated on all rows and given back.  A bank makes the same terms
again, distinct and with all their values, when it needs them as arguments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from operator import eq
from statistics import median
from typing import Any

from metaloom_metalearn.search.enumeration.bank import Bank
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.grammar.grammar import Production
from metaloom_metalearn.search.scoring import same
from metaloom_registry import Type
from metaloom_registry.types import FLOAT

CHUNK = 512


def frontier(
    bank: Bank, type_: Type, level: int, target: Sequence[Any], telling: int
) -> Iterator[Node]:
    """The terms of a type at a level that agree with the target on one of the first rows.

    `target` has a value for each row of the bank, `telling` says on how many of the first rows a
    term is tried.  A term may be equal to another on all rows; no two are the same term.
    """
    for node in bank.leaves_at(type_, level):
        bank.workshop.counts["scored"] += 1
        if any(map(eq, target[:telling], node.values)):
            yield node
    for productions, choices in bank.applications(type_, level):
        yield from _agreeing(bank, productions, choices, target, target[:telling])


def _agreeing(
    bank: Bank,
    productions: Sequence[Production],
    choices: Sequence[Sequence[Node]],
    target: Sequence[Any],
    telling: Sequence[Any],
) -> Iterator[Node]:
    """The combinations of the choices that agree somewhere with what is telling."""
    counts, spend = bank.workshop.counts, bank.workshop.spend
    *leading, last = choices
    chunks = [last[i : i + CHUNK] for i in range(0, len(last), CHUNK)]
    for chosen in product(*leading):
        before = [node.values for node in chosen]
        whole = not any(node.failed for node in chosen)
        for production in productions:
            call, safe_call = production.call, production.safe
            direct = whole and production.direct
            for chunk in chunks:
                spend(len(chunk))
                counts["generated"] += len(chunk)
                counts["scored"] += len(chunk)
                for node in chunk:
                    if direct and not node.failed:
                        try:
                            agrees = any(map(eq, telling, map(call, *before, node.values)))
                        except Exception:
                            agrees = any(map(eq, telling, map(safe_call, *before, node.values)))
                    else:
                        agrees = any(map(eq, telling, map(safe_call, *before, node.values)))
                    if agrees:
                        values = tuple(map(safe_call, *before, node.values))
                        yield bank.node(production, (*chosen, node), values)


@dataclass
class NearFrontier:
    """The frontier of outputs that hold floats: what agrees to within a millionth on some row.

    Measured floats agree nowhere; so of terms that are floats themselves those are given too whose
    values are nearer to the target, all in all, than those of all before, and than the target's
    median is.  `least` is the sum of the distances.
    """

    target: Sequence[Any]
    type: Type
    least: float = field(init=False, default=-1.0)

    def __post_init__(self) -> None:
        if self.type == FLOAT:
            middle = median(self.target)
            self.least = sum(abs(wanted - middle) for wanted in self.target)

    def at(self, bank: Bank, level: int) -> Iterator[Node]:
        """The terms at a level; see `frontier`."""
        counts, spend = bank.workshop.counts, bank.workshop.spend
        for node in bank.leaves_at(self.type, level):
            counts["scored"] += 1
            if self._is_near(node.values):
                yield node
        for productions, choices in bank.applications(self.type, level):
            for chosen in product(*choices):
                before = [node.values for node in chosen]
                for production in productions:
                    spend(1)
                    counts["generated"] += 1
                    counts["scored"] += 1
                    values = tuple(map(production.safe, *before))
                    if self._is_near(values):
                        yield bank.node(production, chosen, values)

    def _is_near(self, values: Sequence[Any]) -> bool:
        if self.type != FLOAT:
            rows = zip(values, self.target, strict=True)
            return any(same(value, wanted, self.type) for value, wanted in rows)
        total, near = 0.0, False
        for value, wanted in zip(values, self.target, strict=True):
            if type(value) is not float:
                total = math.inf
            elif same(value, wanted, FLOAT):
                near = True
            else:
                total += abs(value - wanted)
        if total >= self.least:
            return near
        self.least = total
        return True
