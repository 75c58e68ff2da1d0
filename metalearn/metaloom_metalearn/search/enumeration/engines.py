"""Engines: what evaluates the terms of an enumeration, Python or loops that numba compiles.

Both make the same terms in the same order.  The compiled one knows integers, truth values, lists
and pairs of these, primitives that have a `kernel` form, and programs of these; it needs numba,
which the extra `fast` brings.  `overtaking` begins in Python and goes on compiled, and never waits
for a compiler.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from operator import sub
from typing import Any, Protocol

import metaloom_metalearn
from metaloom_metalearn.search.enumeration.bank import Bank, Workshop
from metaloom_metalearn.search.enumeration.frontier import NearFrontier, frontier
from metaloom_metalearn.search.enumeration.node import Environment, Node
from metaloom_metalearn.search.grammar.grammar import UNIT
from metaloom_metalearn.search.noise import code_length
from metaloom_registry import Constructed, Deferred, Type
from metaloom_registry.types import BOOL, FLOAT, INT, parts

LONGEST_INPUT = 1000
HIGHEST = (1 << 63) - 1

SOON = 0.5
"""Seconds in Python before the compiled engine is loaded, which a short search does not need."""

_KERNEL = "metaloom_metalearn.search.enumeration.kernel"
_is_loaded = Deferred(f"{_KERNEL}.tables", "is_loaded")
_on_disk = Deferred(f"{_KERNEL}.ahead", "on_disk")
_begin = Deferred(f"{_KERNEL}.ahead", "begin")


class Terms(Protocol):
    """The distinct terms of a task, level by level; `ran` says what evaluates them."""

    @property
    def ran(self) -> str: ...

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

        Such as are wrong on some row and whose cost and losses there are not below `lowest()` may
        be left out.
        """
        ...

    def shortest(self, target: Sequence[int], bound: float) -> Node | None:
        """Of the integers made since it was last asked, the shortest with what it leaves of these.

        That is its cost and the nats of its residuals (`noise.code_length`), which are below
        `bound`.  Of integers that were made for another term alone: these have been evaluated on
        all rows, so that nothing is missed because it is right nowhere.
        """
        ...

    def clear(self) -> None:
        """Forget every term."""
        ...


class Engine(Protocol):
    """Opens the terms of a task: the types of its inputs, and of each example inputs and output."""

    def __call__(
        self,
        workshop: Workshop,
        scope: tuple[Type, ...],
        environments: Sequence[Environment],
        outputs: Sequence[tuple[Any, Type]],
    ) -> Terms: ...


class PlainTerms:
    """The terms of a bank in Python; `why` they are not compiled is told."""

    def __init__(
        self,
        workshop: Workshop,
        scope: tuple[Type, ...],
        environments: Sequence[Environment],
        outputs: Sequence[tuple[Any, Type]],
        why: str = "",
    ) -> None:
        self.bank = Bank(workshop, scope, environments, outputs)
        self.ran = f"in Python: {why}" if why else "in Python"
        self.near: NearFrontier | None = None
        self.asked = 0
        self.least = math.inf

    def frontier(
        self,
        type_: Type,
        level: int,
        target: Sequence[Any],
        telling: int,
        lowest: Callable[[], float],
        losses: Sequence[float],
    ) -> Iterator[Node]:
        """All that agree somewhere, to within a millionth where they hold floats; see `Terms`."""
        del lowest, losses
        if FLOAT in parts(type_):
            if self.near is None:
                self.near = NearFrontier(target, type_)
            return self.near.at(self.bank, level)
        return frontier(self.bank, type_, level, target, telling)

    def shortest(self, target: Sequence[int], bound: float) -> Node | None:
        """Of the integers of the levels that were made since it was last asked; see `Terms`."""
        levels, best = self.bank.levels.get(INT, ()), None
        for _, made in levels[self.asked :]:
            for node in made:
                if node.failed or node.cost >= bound:
                    continue
                total = sum(map(abs, map(sub, target, node.values)))
                if total >= self.least:
                    continue  # neither shorter, for they come by cost, nor nearer
                self.least = total
                nats = code_length([total], len(target))
                if node.cost + nats < bound:
                    best, bound = node, node.cost + nats
        self.asked = len(levels)
        return best

    def clear(self) -> None:
        """Forget every term."""
        self.bank.clear()


class Overtaken:
    """The terms in Python until the compiled engine can be loaded, and compiled from then on."""

    def __init__(
        self,
        workshop: Workshop,
        scope: tuple[Type, ...],
        environments: Sequence[Environment],
        outputs: Sequence[tuple[Any, Type]],
    ) -> None:
        self.opened = (workshop, scope, environments, outputs)
        self.workshop = workshop
        self.start = workshop.clock.elapsed()
        self.terms: Terms = PlainTerms(*self.opened)
        self.ran = "in Python, which was done before the compiled engine was loaded"
        self.waiting = True
        self.compiling = False

    def frontier(
        self,
        type_: Type,
        level: int,
        target: Sequence[Any],
        telling: int,
        lowest: Callable[[], float],
        losses: Sequence[float],
    ) -> Iterator[Node]:
        """The terms of a level, all of them of one engine; see `Terms`."""
        if self.waiting and self.workshop.clock.elapsed() - self.start > SOON:
            self._overtake(level)
        return self.terms.frontier(type_, level, target, telling, lowest, losses)

    def shortest(self, target: Sequence[int], bound: float) -> Node | None:
        """See `Terms`."""
        return self.terms.shortest(target, bound)

    def _overtake(self, level: int) -> None:
        grammar = self.workshop.grammar
        try:
            if _on_disk(grammar):
                self.clear()
                self.terms = metaloom_metalearn.kernel_terms(*self.opened)
                self.ran = f"in Python, and compiled from {level * UNIT:.1f} nats on"
                self.waiting = False
            elif not self.compiling:
                self.compiling = True
                self.ran = "in Python: a first search on this machine, which is being compiled for"
                _begin()
        except (ImportError, OSError, RuntimeError) as error:
            self.ran = f"in Python: numba does not run here: {error}"
            self.waiting = False

    def clear(self) -> None:
        """Forget every term."""
        self.terms.clear()


def overtaking(
    workshop: Workshop,
    scope: tuple[Type, ...],
    environments: Sequence[Environment],
    outputs: Sequence[tuple[Any, Type]],
) -> Terms:
    """The compiled engine where it can do the task and is loaded; else Python, until it is.

    What is not compiled on this machine yet is compiled in another process, in the background.
    """
    opened = (workshop, scope, environments, outputs)
    why = _not_compiled(workshop, environments, outputs)
    if why:
        return PlainTerms(*opened, why)
    if f"{_KERNEL}.loops" in sys.modules and _is_loaded(workshop.grammar):
        return metaloom_metalearn.kernel_terms(*opened)
    return Overtaken(*opened)


def fastest(
    workshop: Workshop,
    scope: tuple[Type, ...],
    environments: Sequence[Environment],
    outputs: Sequence[tuple[Any, Type]],
) -> Terms:
    """The compiled engine where it can do the task, compiled here and now; else Python."""
    why = _not_compiled(workshop, environments, outputs)
    if why:
        return PlainTerms(workshop, scope, environments, outputs, why)
    return metaloom_metalearn.kernel_terms(workshop, scope, environments, outputs)


def _not_compiled(
    workshop: Workshop, environments: Sequence[Environment], outputs: Sequence[tuple[Any, Type]]
) -> str:
    if find_spec("numba") is None:
        return "numba is not installed; the extra metaloom[fast] brings it"
    return misfit(workshop, environments, outputs)


def misfit(
    workshop: Workshop, environments: Sequence[Environment], outputs: Sequence[tuple[Any, Type]]
) -> str:
    """Why the compiled engine cannot do a task; nothing where it can."""
    grammar = workshop.grammar
    for type_ in (*grammar.universe, *(held for _, held in outputs)):
        if not is_compiled(type_):
            return f"values of the type {type_} have no compiled form"
    for group in grammar.productions.values():
        for one in group:
            forms = (one.kernel, one.choose, one.program)
            if one.slots and all(form is None for form in forms):
                return f"{one.reference} has no compiled form"
            if len(one.slots) > 4:
                return f"{one.reference} takes more than 4 arguments"
    values = [value for environment in environments for value in environment]
    if not all(map(_is_small, (*values, *(value for value, _ in outputs)))):
        return "an example is too long, or an integer has more than 64 bits"
    return ""


def is_compiled(type_: Type) -> bool:
    """Whether the compiled engine knows the values of a type."""
    if type_ in (INT, BOOL):
        return True
    if not isinstance(type_, Constructed):
        return False
    if type_.name == "list" or (type_.name == "tuple" and len(type_.arguments) == 2):
        return all(map(is_compiled, type_.arguments))
    return False


def _is_small(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) <= LONGEST_INPUT and all(map(_is_small, value))
    return bool(-HIGHEST - 1 <= value <= HIGHEST)
