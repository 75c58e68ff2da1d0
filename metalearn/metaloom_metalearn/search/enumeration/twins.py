"""Twins: terms with the same values as one found, which a bank does not keep.

A bank keeps the cheapest of the terms with equal values on its rows.  On inputs that it has not
seen the others may differ, and how far they do tells how sure a prediction is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import product
from typing import Any

from metaloom_metalearn.search.enumeration.bank import Bank
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_registry import Type

Values = tuple[Any, ...]


def twins(bank: Bank, type_: Type, highest: int, wanted: Collection[Values]) -> Iterator[Node]:
    """The terms of a type up to a level whose values are among those wanted, cheapest level first.

    The terms that the bank has kept are among them.  Raises Exhausted when the time is up.
    """
    firsts = {values[0] for values in wanted}
    for level in range(1, highest + 1):
        for node in bank.leaves_at(type_, level):
            if node.values in wanted:
                yield node
        for productions, choices in bank.applications(type_, level):
            for chosen in product(*choices):
                bank.workshop.spend(len(productions))
                columns = tuple(node.values for node in chosen)
                first = [column[0] for column in columns]
                for production in productions:
                    bank.workshop.counts["generated"] += 1
                    if production.safe(*first) not in firsts:
                        continue
                    values = tuple(map(production.safe, *columns))
                    if values in wanted:
                        yield bank.node(production, chosen, values)
