"""Discovering a library of curves: from many noisy functions to the few that they are sums of.

Each task is taken to be a sum of two different unknown curves.  For a given number of curves,
structures and curves are found by deterministic annealing (Rose 1998, "Deterministic annealing for
clustering"): expectation maximisation (Dempster et al. 1977) in which the probability of a
structure s in task t is

    p_t(s) ~ exp(-n e_t(s) / (2 T)),

e_t(s) being its error with the present curves (all structures scored in one product), the curves
are refitted to the expected structures in closed form, and the temperature T falls.  At T = 0 it is
an alternation of best structures and best modules.  How many curves there are is told by points
that were held out: more are found than are needed, and those that cost nothing are left out again
(backward elimination).  What was found is then reheated: two new curves at random, a short anneal
from a lower temperature, and elimination; it is kept where the held-out error falls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Event, Journal, Silence
from metaloom_metalearn.modular.curves import Knots, Moments, require_points, roughness
from metaloom_registry import InvalidTask, ParseError

NOTHING = 0.01
"""The share of the held-out error that a curve more must save to be kept."""

EXTRA = 2
"""New curves of a reheat."""

PATIENCE = 2
"""Sizes without a gain after which no larger one is tried."""

GROWING = 0.6
"""The share of the time after which what was found is only reheated."""


@dataclass(frozen=True)
class Discovery:
    """How to look for curves.

    sizes: the numbers of curves that annealing begins with, ascending; when two in a row are no
    better by `gain` (a share of the held-out error), no larger one is tried.  restarts: for each
    size.  reheats: how many of them may fail in a row.  knots: of the coarse curves that are
    searched with.  hot, warm, cold: the temperature that annealing begins with, that reheating
    begins with, and that both end at, in points of a task's variance; `steps` in an anneal.  held:
    the share of each task's points that is held out.
    """

    sizes: Sequence[int] = (4, 8, 12, 16, 20, 24, 28, 32)
    restarts: int = 3
    reheats: int = 6
    knots: int = 33
    hot: float = 10.0
    warm: float = 1.0
    cold: float = 0.2
    steps: int = 60
    held: float = 0.2
    gain: float = 0.02

    def __post_init__(self) -> None:
        ascending = list(self.sizes) == sorted(set(self.sizes))
        if not self.sizes or min(self.sizes) < 2 or not ascending:
            raise ParseError(f"sizes {tuple(self.sizes)}; give ascending numbers of curves from 2")
        falling = 0 < self.cold <= self.warm <= self.hot
        if not (self.restarts > 0 and self.reheats >= 0 and self.steps > 1 and falling):
            raise ParseError(
                f"{self.restarts} restarts of {self.steps} steps from {self.hot} or {self.warm} to "
                f"{self.cold}; give restarts, two steps or more, and temperatures that fall"
            )
        if not 0 < self.held < 1:
            raise ParseError(f"{self.held} of the points held out; give a share between 0 and 1")


@dataclass(frozen=True)
class Discovered:
    """Curves and structures.

    values [K, D] at the knots; structures int64 [tasks, 2]; error, the mean over tasks of the
    held-out squared error as a share of the task's variance; tried, how many structures were
    scored.
    """

    knots: Knots
    values: Tensor
    structures: Tensor
    error: float
    tried: int


def discover(
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
    plan: Discovery = Discovery(),
    clock: Clock | None = None,
    journal: Journal = Silence(),  # noqa: B008 - keeps nothing
) -> Discovered:
    """The curves that tasks x, y float64 [tasks, n] are sums of two of.

    When `clock` runs out, the best found so far is the result.  Raises InvalidTask where there is
    too little to hold points out.
    """
    require_points(x, y)
    points = x.shape[1]
    out = round(points * plan.held)
    if len(x) < 2 or not 0 < out < points:
        raise InvalidTask(
            f"{len(x)} tasks of {points} points; give two tasks or more, with points enough to "
            f"hold out {plan.held:.0%} of them"
        )
    knots = Knots(float(x.min()), float(x.max()), plan.knots)
    order = torch.stack([torch.randperm(points, generator=generator) for _ in x])
    weights = 1 / y.var(1, unbiased=False).clamp(min=1e-12)
    seen, hidden = order[:, out:], order[:, :out]
    search = _Search(
        Moments.of(knots, x.gather(1, seen), y.gather(1, seen), weights),
        Moments.of(knots, x.gather(1, hidden), y.gather(1, hidden), weights),
        plan,
        generator,
        clock,
    )
    told = _Telling(journal, clock)
    best = search.grown(told)
    best = search.reheated(best, told)
    values, structures = search.settled(
        best.values, Moments.of(knots, x, y, weights), lambda: False
    )
    return Discovered(knots, values, structures, best.error, search.tried)


def pairs_of(count: int) -> Tensor:
    """The structures of two different curves: int64 [pairs, 2]."""
    return torch.combinations(torch.arange(count), 2)


def counts_of(structures: Tensor, count: int) -> Tensor:
    """How often each task uses each curve: int64 [tasks, 2] -> float64 [tasks, count]."""
    ones = torch.ones(structures.shape, dtype=torch.float64)
    return ones.new_zeros(len(structures), count).scatter_add(1, structures, ones)


@dataclass(frozen=True)
class _Found:
    """Curves, the structures of all tasks, and the held-out errors: one a task, and their mean."""

    values: Tensor
    structures: Tensor
    errors: Tensor

    @property
    def error(self) -> float:
        return float(self.errors.mean())


@dataclass(frozen=True)
class _Telling:
    """Where progress is told."""

    journal: Journal
    clock: Clock | None

    def __call__(self, phase: str, size: int, best: _Found) -> None:
        seconds = 0.0 if self.clock is None else self.clock.elapsed()
        facts = {
            "phase": phase,
            "size": size,
            "curves": len(best.values),
            "error": best.error,
        }
        self.journal.record(Event("discover", seconds, facts))


@dataclass
class _Search:
    """What is fixed while curves are looked for."""

    seen: Moments
    hidden: Moments
    plan: Discovery
    generator: torch.Generator
    clock: Clock | None
    tried: int = 0

    def over(self, share: float = 1.0) -> bool:
        """Whether this share of the time is up."""
        return self.clock is not None and self.clock.elapsed() >= share * self.clock.budget

    def grown(self, told: _Telling) -> _Found:
        """The best of some restarts with more and more curves."""
        best: _Found | None = None
        idle = 0
        for size in self.plan.sizes:
            before = best
            for _ in range(self.plan.restarts):
                start = 0.1 * self._draw(size)
                found = self._kept(self.annealed(start, self.plan.hot, self.plan.steps))
                if best is None or found.error < best.error:
                    best = found
                if self.over(GROWING):
                    return best
            assert best is not None
            told("grow", size, best)
            gained = before is None or best.error < before.error * (1 - self.plan.gain)
            idle = 0 if gained else idle + 1
            if idle == PATIENCE:
                break
        assert best is not None
        return best

    def reheated(self, best: _Found, told: _Telling) -> _Found:
        """What it becomes with two more curves and a short anneal, again and again."""
        failed = 0
        while failed < self.plan.reheats and not self.over():
            more = torch.cat([best.values, 0.3 * self._draw(EXTRA)])
            found = self._kept(self.annealed(more, self.plan.warm, self.plan.steps // 2))
            failed += 1
            if found.error < best.error * (1 - 1e-3):
                best, failed = found, 0
            told("reheat", len(more), best)
        return best

    def annealed(self, values: Tensor, hot: float, steps: int) -> Tensor:
        """Curves from structures that become certain as the temperature falls."""
        count, cold = len(values), self.plan.cold
        ridge, pairs = roughness(self.seen.knots), pairs_of(count)
        first, second = pairs.T
        for step in range(steps):
            heat = hot * (cold / hot) ** (step / max(1, steps - 1))
            errors = self.seen.errors(values, pairs) * self.seen.points
            self.tried += errors.numel()
            chance = (errors / (-2 * heat)).softmax(1)
            both = chance.new_zeros(len(errors), count, count)
            both[:, first, second] = chance
            both = both + both.transpose(1, 2)
            counts = both.sum(2)
            values = self.seen.refitted(counts, both + torch.diag_embed(counts), ridge)
            if self.over():
                break
            values = values + 1e-3 * self._draw(count)
        return values

    def _draw(self, count: int) -> Tensor:
        size = (count, self.seen.knots.count)
        return torch.randn(size, generator=self.generator, dtype=torch.float64)

    def _kept(self, values: Tensor) -> _Found:
        """The curves that are worth keeping."""
        return self.pruned(self.judged(*self.settled(values, self.seen, self.over)))

    def settled(
        self, values: Tensor, moments: Moments, over: Callable[[], bool], most: int = 50
    ) -> tuple[Tensor, Tensor]:
        """Best structures and best curves in turn, until no structure changes."""
        ridge, count = roughness(moments.knots), len(values)
        pairs = pairs_of(count)
        structures = None
        for _ in range(most):
            errors = moments.errors(values, pairs)
            self.tried += errors.numel()
            found = pairs[errors.argmin(1)]
            if structures is not None and (bool((found == structures).all()) or over()):
                break
            structures = found
            counts = counts_of(structures, count)
            values = moments.refitted(counts, counts[:, :, None] * counts[:, None], ridge)
        assert structures is not None
        return values, structures

    def judged(self, values: Tensor, structures: Tensor) -> _Found:
        """The held-out error of curves and structures."""
        every = pairs_of(len(values))
        errors = self.hidden.errors(values, every)
        first, second = structures.T
        places = first * (2 * len(values) - first - 1) // 2 + second - first - 1
        return _Found(values, structures, errors.gather(1, places[:, None])[:, 0])

    def pruned(self, found: _Found) -> _Found:
        """The fewest of these curves that have, but for `NOTHING`, the least held-out error.

        Backward elimination: the curve goes whose loss costs the training points least.
        """
        line = [found]
        while len(line[-1].values) > 2:
            values = line[-1].values
            pairs = pairs_of(len(values))
            errors = self.seen.errors(values, pairs)
            costs = [
                float(errors[:, (pairs != curve).all(1)].amin(1).mean())
                for curve in range(len(values))
            ]
            gone = min(range(len(values)), key=costs.__getitem__)
            kept = torch.cat([values[:gone], values[gone + 1 :]])
            line.append(self.judged(*self.settled(kept, self.seen, self.over)))
            if line[-1].error > 1.5 * min(one.error for one in line):
                break
        least = min(one.error for one in line)
        return next(one for one in reversed(line) if one.error <= least * (1 + NOTHING))
