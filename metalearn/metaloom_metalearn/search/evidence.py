"""The evidence in the choice of the examples: whether a program explains why it was shown these.

Who shows a truth value by examples makes up some that are true and some that are false.  Under such
a choice an example is the more likely the fewer inputs like it have its output: the size principle
(Tenenbaum and Griffiths 2001).  That all items of seven lists are multiples of 3 says little for
"the last is one", of which a third of all lists are examples, and much for "all are".

For a program f with f(x_i) = y_i the evidence is the log likelihood ratio of two ways to come by
the inputs: chosen for their outputs, against chosen whatever their outputs are, of which the first
is taken to have the probability `DESIGNED`:

    log(1 - DESIGNED + DESIGNED * prod_i q(y_i) / p_i)

q(y) is the share of the outputs that are y; p_i the share of inputs like x_i on which f gives y_i,
estimated from `DRAWN` of them.  An input is like another where it is of its shape: of its integers,
each is drawn anew between the least and the greatest of all inputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from metaloom_registry import Constructed, EvaluationError, Type, uncurried
from metaloom_registry.types import BOOL, INT

DESIGNED = 0.3
DRAWN = 24

EXAMPLES = 32
"""How many examples are looked at."""

LARGEST = 100
"""No input of more parts is drawn."""


@dataclass(frozen=True)
class Evidence:
    """Some examples of a truth value: for each its output, and inputs like its input."""

    outputs: tuple[bool, ...]
    like: tuple[tuple[tuple[Any, ...], ...], ...]

    @classmethod
    def of(cls, type_: Type, examples: Sequence[tuple[tuple[Any, ...], Any]]) -> Evidence | None:
        """The evidence of the examples; None where they give none that could be measured.

        That is where the outputs are no truth values or all one, or the inputs are anything but
        integers, truth values, lists and tuples of these, or large.
        """
        given, want = uncurried(type_)
        examples = examples[:EXAMPLES]
        if want != BOOL or not all(map(_is_drawn, given)):
            return None
        if len({output for _, output in examples}) < 2:
            return None
        held = [_integers(inputs) for inputs, _ in examples]
        if max(map(len, held)) > LARGEST:
            return None
        random, integers = Random(0), [n for one in held for n in one]
        span = (min(integers, default=0), max(integers, default=0))
        return cls(
            tuple(output for _, output in examples),
            tuple(
                tuple(_redrawn(inputs, span, random) for _ in range(DRAWN))
                for inputs, _ in examples
            ),
        )

    def nats(self, run: Callable[..., Any]) -> float:
        """How many nats speak for a program that is right on the examples."""
        share = sum(self.outputs) / len(self.outputs)
        ratio = 0.0
        for output, inputs in zip(self.outputs, self.like, strict=True):
            agreeing = sum(_value(run, each) is output for each in inputs)
            ratio += math.log(share if output else 1 - share)
            ratio -= math.log((agreeing + 0.5) / (len(inputs) + 1))
        return _log_sum(math.log(1 - DESIGNED), math.log(DESIGNED) + ratio)


def _value(run: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
    try:
        return run(*inputs)
    except EvaluationError:
        return None


def _log_sum(one: float, other: float) -> float:
    highest = max(one, other)
    return highest + math.log(math.exp(one - highest) + math.exp(other - highest))


def _is_drawn(type_: Type) -> bool:
    """Whether values of the type are redrawn."""
    if type_ in (INT, BOOL):
        return True
    if not isinstance(type_, Constructed) or type_.name not in ("list", "tuple"):
        return False
    return all(map(_is_drawn, type_.arguments))


def _integers(value: Any) -> list[int]:
    """The integers of a value, of which a truth value is one."""
    if isinstance(value, tuple):
        return [n for part in value for n in _integers(part)]
    return [value]


def _redrawn(value: Any, span: tuple[int, int], random: Random) -> Any:
    if isinstance(value, tuple):
        return tuple([_redrawn(part, span, random) for part in value])
    return random.random() < 0.5 if isinstance(value, bool) else random.randint(*span)
