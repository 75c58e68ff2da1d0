"""The terms of the wanted type at the cost a search has come to: looked at, not kept.

Most terms of the wanted type are never an argument of another before the search ends.  So at the
frontier each is evaluated on the first few rows alone, until one agrees with the target; only a
term that agrees somewhere is evaluated on all rows and given back.  A bank makes the same terms
again, distinct and with all their values, when it needs them as arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from operator import eq
from typing import Any

from metaloom_metalearn.search.enumeration.bank import Bank
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.grammar.grammar import Production
from metaloom_registry import Type

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
