"""A library of curves learned from tasks, and new tasks solved with it: sums of two, all tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Journal, Silence
from metaloom_metalearn.modular.curves import Curve, Knots, Moments, require_points
from metaloom_metalearn.modular.discover import Discovered, Discovery, discover
from metaloom_metalearn.modular.templates import Sum
from metaloom_metalearn.modular.trend import trend_filtered
from metaloom_registry import InvalidTask, Reference, Term


@dataclass(frozen=True)
class Refinement:
    """How curves are refined once structures are known: on how many knots, how strongly smoothed.

    The strength is the one of `strengths` that is best on points held out, `held` of each task's.
    """

    knots: int = 501
    strengths: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1)
    held: float = 0.2


@dataclass(frozen=True)
class Choice:
    """A structure [2] for a task and its score: the nats of what it gets wrong, less its prior."""

    structure: tuple[int, int]
    score: float


@dataclass(frozen=True)
class CurveLibrary:
    """Curves, values float64 [K, D] at the knots, of which functions are sums of two.

    `uses` [K] is how often the training tasks use each; `noise` is the spread of what the curves
    leave of held-out points, as a share of a task's spread; `structures` int64 [tasks, 2].
    """

    knots: Knots
    values: Tensor
    structures: Tensor
    uses: Tensor
    noise: float

    def __len__(self) -> int:
        return len(self.values)

    def curve(self, index: int) -> Curve:
        """One curve as a module, vec[1] -> vec[1], that can be published."""
        return Curve(self.knots, self.values[index].float())

    def term(self, structure: Sequence[int], references: Sequence[Reference]) -> Term:
        """A structure as a program, where curve k is published as `references[k]`."""
        return Sum().term([references[k] for k in structure])

    def predict(self, structure: Sequence[int], x: Tensor) -> Tensor:
        """The sum of two curves at x [...]."""
        return self.knots.at(self.values[list(structure)], x).sum(0)

    def choices(self, x: Tensor, y: Tensor) -> list[Choice]:
        """Every structure for the points x, y float64 [n], the best first.

        Residuals r cost ln(1 + (r / noise)^2) each, the Cauchy likelihood, so that one point near a
        jump does not decide; each use of a curve costs minus the log of its share of all uses.
        """
        if x.dim() != 1:
            raise InvalidTask(f"points x {tuple(x.shape)}; give one task's points, [n]")
        require_points(x[None], y[None])
        pairs = Sum().structures(len(self))
        each = self.knots.at(self.values, x)
        scale = self.noise * max(float(y.std(unbiased=False)), 1e-9)
        left = (each[pairs[:, 0]] + each[pairs[:, 1]] - y) / scale
        prior = ((self.uses + 1) / (self.uses + 1).sum()).log()
        twice = torch.where(pairs[:, 0] == pairs[:, 1], 0.0, torch.tensor(2.0).log())
        scores = left.square().log1p().sum(1) - prior[pairs].sum(1) - twice
        order = scores.argsort(stable=True).tolist()
        return [Choice((int(pairs[i, 0]), int(pairs[i, 1])), float(scores[i])) for i in order]


def learn_curves(
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
    plan: Discovery = Discovery(),  # noqa: B008 - a frozen value
    refinement: Refinement = Refinement(),
    clock: Clock | None = None,
    journal: Journal = Silence(),  # noqa: B008 - keeps nothing
) -> CurveLibrary:
    """The library behind tasks x, y float64 [tasks, n]: discovered, then refined on finer knots."""
    found = discover(x, y, generator, plan, clock, journal)
    return refined(found, x, y, generator, refinement)


def refined(
    found: Discovered, x: Tensor, y: Tensor, generator: torch.Generator, plan: Refinement
) -> CurveLibrary:
    """The same structures with curves on finer knots, smoothed as held-out points tell."""
    knots = replace(found.knots, count=plan.knots)
    count, points = len(found.values), x.shape[1]
    order = torch.stack([torch.randperm(points, generator=generator) for _ in x])
    out = max(1, round(points * plan.held))
    weights = 1 / y.var(1, unbiased=False).clamp(min=1e-12)
    seen, hidden = order[:, out:], order[:, :out]
    part = Moments.of(knots, x.gather(1, seen), y.gather(1, seen), weights)

    def left(strength: float) -> Tensor:
        values = trend_filtered(part, found.structures, count, strength)
        each = knots.at(values, x.gather(1, hidden))
        tasks = torch.arange(len(x))
        total = each[found.structures[:, 0], tasks] + each[found.structures[:, 1], tasks]
        return (total - y.gather(1, hidden)).square().mean(1) * weights

    residuals = {strength: left(strength) for strength in plan.strengths}
    strength = min(plan.strengths, key=lambda one: float(residuals[one].mean()))
    values = trend_filtered(Moments.of(knots, x, y, weights), found.structures, count, strength)
    uses = torch.bincount(found.structures.flatten(), minlength=count).double()
    noise = max(float(residuals[strength].median().sqrt()), 1e-6)
    return CurveLibrary(knots, values, found.structures, uses, noise)
