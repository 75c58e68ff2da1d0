"""Tuning: the continuous choices of compositions, as numbers in their terms, by ask and tell.

A composition with continuous choices is a term with a hole of type `float` or `int` for each of
them.  What is proposed is the term with a literal in every hole, so that a solution is an ordinary
program, stored and printed as any other, and the choice made in it can be read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from random import Random
from typing import Protocol, TypeAlias, cast

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_registry import (
    Apply,
    Hole,
    Lambda,
    Let,
    Literal,
    MissingExtra,
    ParseError,
    Term,
    Type,
    TypeMismatch,
)
from metaloom_registry.types import FLOAT, INT

DIGITS = 3
"""So many digits of a float are written: more would tell of nothing but the draw."""

ATTEMPTS = 100
"""So many proposals in turn that were made before, and the search ends."""


@dataclass(frozen=True)
class Range:
    """The numbers from `low` to `high`, both included, on a linear or a logarithmic scale.

    Raises ParseError where there are none, or a logarithm is taken of what is not positive.
    """

    low: float
    high: float
    logarithmic: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        if not finite or self.low > self.high or (self.logarithmic and self.low <= 0):
            raise ParseError(
                f"the range from {self.low} to {self.high}; give finite ends, the lower one first, "
                "and above 0 for a logarithmic scale"
            )


RATES = Range(1e-4, 1e2, logarithmic=True)
"""Where a float is looked for unless one says otherwise: a rate, a strength, a scale."""

COUNTS = Range(1, 200, logarithmic=True)
"""Where an int is looked for unless one says otherwise: a number of steps."""

USUAL: Mapping[Type, Range] = {FLOAT: RATES, INT: COUNTS}
"""Where the numbers of each type are looked for."""

SHARES = Range(0.0, 1.0)
"""Where a weight in a mixture is looked for."""


@dataclass(frozen=True)
class Choice:
    """One continuous choice: its type, `float` or `int`, and where it is looked for."""

    type: Type
    range: Range


@dataclass(frozen=True)
class Tunable:
    """A closed term with holes for its continuous choices, in the order they are written.

    `cost` is what its other choices cost, in nats.  Raises TypeMismatch where holes and choices
    differ in number or type.
    """

    term: Term
    choices: tuple[Choice, ...]
    cost: float = 0.0

    def __post_init__(self) -> None:
        holes = _holes(self.term)
        if holes != [choice.type for choice in self.choices]:
            raise TypeMismatch(
                f"the term has holes of the types {', '.join(map(str, holes)) or 'none'}, and its "
                f"choices are of {', '.join(str(c.type) for c in self.choices) or 'none'}; give "
                "one choice for each hole, float or int"
            )

    @classmethod
    def of(cls, term: Term, cost: float = 0.0) -> Tunable:
        """The term with the usual range for each of its holes: `RATES` or `COUNTS`.

        Raises TypeMismatch where a hole is of another type.
        """
        for hole in _holes(term):
            if hole not in USUAL:
                raise TypeMismatch(f"a hole of type {hole} is no continuous choice; use float")
        return cls(term, tuple(Choice(t, USUAL[t]) for t in _holes(term)), cost)

    def filled(self, numbers: Sequence[float]) -> Term:
        """The term with these numbers in its holes: floats to `DIGITS` digits, integers rounded."""
        left = list(zip(self.choices, numbers, strict=True))

        def fill(term: Term) -> Term:
            if isinstance(term, Hole):
                choice, number = left.pop(0)
                whole = choice.type == INT
                return Literal(round(number) if whole else float(f"{number:.{DIGITS}g}"))
            if isinstance(term, Lambda):
                return Lambda(fill(term.body))
            if isinstance(term, Apply):
                return Apply(fill(term.function), fill(term.argument))
            if isinstance(term, Let):
                return Let(fill(term.value), fill(term.body))
            return term

        return fill(self.term)


def _holes(term: Term) -> list[Type]:
    """The types of the holes, in the order they are written."""
    if isinstance(term, Hole):
        return [term.type]
    if isinstance(term, Lambda):
        return _holes(term.body)
    if isinstance(term, Apply):
        return [*_holes(term.function), *_holes(term.argument)]
    return [*_holes(term.value), *_holes(term.body)] if isinstance(term, Let) else []


@dataclass(frozen=True)
class Trial:
    """What a tuner proposes: which composition, and a number for each of its choices.

    `number` counts the proposals of one tuner from 0.
    """

    number: int
    which: int
    numbers: tuple[float, ...]


class Tuner(Protocol):
    """Proposes numbers and learns from how they did."""

    def ask(self) -> Trial: ...

    def tell(self, trial: Trial, nats: float) -> None:
        """The score of a trial, lower is better; infinite where it has none."""
        ...


Tuners: TypeAlias = Callable[[Sequence[Tunable], int], Tuner]
"""Begins a tuner for some compositions with a seed."""


def parzen(tunables: Sequence[Tunable], seed: int) -> Tuner:
    """Tree-structured Parzen estimators (Bergstra et al. 2011), as Optuna has them.

    Raises MissingExtra where Optuna is not installed.
    """
    if find_spec("optuna") is None:
        raise MissingExtra("tuning needs optuna; `pip install 'metaloom[tuning]'` brings it")
    module = import_module("metaloom_metalearn.search.strategies.optuna_tuner")
    return cast(Tuner, module.ParzenTuner(tunables, seed))


class RandomTuner:
    """Draws every choice from its range, whatever it is told: the control of a tuner."""

    def __init__(self, tunables: Sequence[Tunable], seed: int) -> None:
        self.tunables, self.random = tunables, Random(seed)
        self.asked = 0

    def ask(self) -> Trial:
        which = self.random.randrange(len(self.tunables))
        numbers = tuple(self._drawn(choice.range) for choice in self.tunables[which].choices)
        self.asked += 1
        return Trial(self.asked - 1, which, numbers)

    def tell(self, trial: Trial, nats: float) -> None:
        """A better tuner would learn from it."""

    def _drawn(self, range_: Range) -> float:
        if range_.logarithmic:
            drawn = self.random.uniform(math.log(range_.low), math.log(range_.high))
            return min(max(math.exp(drawn), range_.low), range_.high)
        return self.random.uniform(range_.low, range_.high)


@dataclass
class Tuning:
    """The numbers that a tuner proposes for some compositions of a type; a `Search`.

    Which of the `trials` it was is what the numbers of a candidate cost: ln trials nats.
    """

    tunables: Sequence[Tunable]
    type: Type
    tuner: Tuner
    clock: Clock
    trials: int
    _waiting: dict[Term, Trial] = field(default_factory=dict)
    _scores: dict[Term, float] = field(default_factory=dict)

    def ask(self, n: int) -> Sequence[Candidate]:
        """At most `n` terms; none that was asked for before, and none when the time is over."""
        found: list[Candidate] = []
        for _ in range(ATTEMPTS + n):
            proposed = len(self._waiting) + len(self._scores)
            if len(found) == n or proposed >= self.trials or self.clock.expired():
                break
            trial = self.tuner.ask()
            tunable = self.tunables[trial.which]
            term = tunable.filled(trial.numbers)
            if term in self._scores or term in self._waiting:
                self.tuner.tell(trial, self._scores.get(term, math.inf))
                continue
            self._waiting[term] = trial
            found.append(Candidate(term, self.type, tunable.cost + math.log(self.trials)))
        return found

    def tell(self, scored: Sequence[Scored]) -> None:
        for one in scored:
            trial = self._waiting.pop(one.candidate.term, None)
            if trial is not None:
                self._scores[one.candidate.term] = one.score
                self.tuner.tell(trial, one.score)
