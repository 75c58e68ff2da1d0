"""How far the values of a term are from what a task wants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from metaloom_metalearn.search.coding import exception_cost
from metaloom_metalearn.search.corrections import correction_cost
from metaloom_metalearn.search.noise import ABSOLUTE, RELATIVE, float_nats
from metaloom_registry import Constructed, FrozenDict, Type
from metaloom_registry.types import FLOAT, parts


@dataclass(frozen=True)
class Scorer:
    """The outputs wanted, and what each costs where it is wrong.

    Values are the hard engine's.  Floats count as equal within a millionth; all else is exact.
    """

    outputs: tuple[Any, ...]
    type: Type
    costs: tuple[float, ...]
    close: bool

    @classmethod
    def of(cls, outputs: Sequence[Any], type_: Type) -> Scorer:
        count = len(outputs)
        costs = tuple(exception_cost(output, type_, count) for output in outputs)
        return cls(tuple(outputs), type_, costs, FLOAT in parts(type_))

    @property
    def ceiling(self) -> float:
        """The score of the table of the examples: every output an exception."""
        return sum(self.costs)

    def loss(self, values: Sequence[Any]) -> float:
        """The description length of the outputs, told the values: 0 where all are right.

        An output that is wrong is an exception, or a correction of the value; floats may be written
        as what the values leave of them.
        """
        count, nats = len(self.outputs), 0.0
        wrong = zip(self.right(values), values, self.outputs, self.costs, strict=True)
        for right, value, output, cost in wrong:
            if not right:
                nats += min(cost, correction_cost(value, output, self.type, count))
        if self.type == FLOAT and nats > 0:
            nats = min(nats, float_nats(self.outputs, values))
        return nats

    def exceptions(self, values: Sequence[Any]) -> float:
        """The description length of the outputs that the values get wrong, each written in full.

        Never less than the loss, and the sooner told.  Floats are seldom right: theirs is the loss.
        """
        if self.type == FLOAT:
            return self.loss(values)
        if not self.close:
            return sum(
                [
                    cost
                    for value, output, cost in zip(values, self.outputs, self.costs, strict=True)
                    if value != output
                ]
            )
        wrong = zip(self.right(values), self.costs, strict=True)
        return sum(cost for right, cost in wrong if not right)

    def right(self, values: Sequence[Any]) -> tuple[bool, ...]:
        """Which outputs the values get right."""
        return tuple(
            same(value, output, self.type)
            for value, output in zip(values, self.outputs, strict=True)
        )


def same(value: Any, wanted: Any, type_: Type) -> bool:
    """Whether two values of a type are equal: floats within a millionth, all else exactly."""
    if type_ == FLOAT:
        return isinstance(value, int | float) and math.isclose(
            value, wanted, rel_tol=RELATIVE, abs_tol=ABSOLUTE
        )
    if isinstance(type_, Constructed) and type_.name in ("list", "tuple"):
        if not isinstance(value, tuple) or len(value) != len(wanted):
            return False
        held = type_.arguments if type_.name == "tuple" else type_.arguments * len(wanted)
        return all(same(v, w, t) for v, w, t in zip(value, wanted, held, strict=True))
    if isinstance(type_, Constructed) and type_.name == "dict":
        if not isinstance(value, FrozenDict) or value.keys() != wanted.keys():
            return False
        return all(same(value[key], wanted[key], type_.arguments[1]) for key in wanted)
    return bool(value == wanted)
