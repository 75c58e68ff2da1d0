"""The controls of the benchmark `functions`: what is known without a library of modules.

Each control learns from the training tasks x, y [tasks, points] (scratch does not), and is then
given points x, y [test, n] of new tasks, for which it predicts curves [test, g] over the grid.
What a control has to choose, it chooses on training tasks that it leaves out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_metalearn import (
    Clock,
    Episodes,
    Plan,
    adam,
    first_order,
    maml,
    meta_train,
)
from metaloom_metalearn.modular.bouncegrad import Bouncing, bouncegrad
from metaloom_metalearn.modular.networks import Networks, run
from metaloom_metalearn.modular.templates import Sum

Predict: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Points x, y [test, n] of new tasks -> curves [test, g]."""


@dataclass(frozen=True)
class Effort:
    """What each control may spend: seconds, and steps at most."""

    seconds: float = 60.0
    maml_steps: int = 6000
    bounce_steps: int = 6000
    scratch_steps: int = 1500


def scratch(grid: Tensor, effort: Effort, generator: torch.Generator) -> Predict:
    """A network of each test task's own, trained on its points alone."""

    def predict(x: Tensor, y: Tensor) -> Tensor:
        networks = Networks(len(x), (1, 40, 40, 1), generator)
        optimiser = torch.optim.Adam(networks.parameters(), lr=0.005, weight_decay=1e-4)
        points, wanted = x.float()[..., None], y.float()[..., None]
        for _ in range(effort.scratch_steps):
            loss = (run(networks.state(), points) - wanted).square().mean(1).sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            return run(networks.state(), _everywhere(grid, len(x)))[..., 0]

    return predict


@dataclass(frozen=True)
class _Shots:
    """Episodes from the training tasks: a few points of each as support, others as query."""

    x: Tensor
    y: Tensor
    shots: Sequence[int]
    query: int = 32

    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        shots = self.shots[int(torch.randint(len(self.shots), (), generator=generator))]
        tasks = torch.randint(len(self.x), (count, 1), generator=generator)
        order = torch.rand(count, self.x.shape[1], generator=generator).argsort(1)
        some, rest = order[:, :shots], order[:, shots : shots + self.query]
        x, y = self.x.float()[..., None], self.y.float()[..., None]
        return Episodes(x[tasks, some], y[tasks, some], x[tasks, rest], y[tasks, rest])


def meta_learned(
    grid: Tensor,
    x: Tensor,
    y: Tensor,
    shots: Sequence[int],
    effort: Effort,
    generator: torch.Generator,
) -> Predict:
    """MAML: the network of Finn et al.'s sinusoids; how many steps it adapts is chosen."""
    network = nn.Sequential(
        nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
    )
    source = _Shots(x, y, shots)
    learner = maml(steps=5, lr=0.05)
    plan = Plan(steps=effort.maml_steps, batch=25, optimiser=adam(0.001), clip=10.0)
    trained = meta_train(
        network, source, learner, generator, plan, clock=Clock(effort.seconds)
    ).model
    held = {n: _Shots(x, y, (n,)).episodes(100, generator) for n in shots}

    def adapted(steps: int, episodes: Episodes) -> Tensor:
        one = maml(steps=steps, lr=0.05, order=first_order)
        return one.meta_gradient(trained, episodes, generator).outputs

    def predict(x: Tensor, y: Tensor) -> Tensor:
        near = held[min(held, key=lambda n: abs(n - x.shape[1]))]

        def error(steps: int) -> float:
            wrong = (adapted(steps, near) - near.query_y).square().mean()
            return float(wrong.nan_to_num(1e9))

        steps = min((1, 5, 10, 20, 40), key=error)
        everywhere = _everywhere(grid, len(x))
        points, wanted = x.float()[..., None], y.float()[..., None]
        unknown = torch.zeros_like(everywhere)
        return adapted(steps, Episodes(points, wanted, everywhere, unknown))[..., 0]

    return predict


def bounced(
    grid: Tensor, x: Tensor, y: Tensor, effort: Effort, generator: torch.Generator
) -> Predict:
    """BounceGrad as published: 20 modules 1-16-16-1, sums of two, 20 % of the points to bounce."""
    networks = Networks(20, (1, 16, 16, 1), generator)
    points, wanted = x.float()[..., None], y.float()[..., None]
    some = x.shape[1] // 5
    episodes = Episodes(points[:, :some], wanted[:, :some], points[:, some:], wanted[:, some:])
    plan = Bouncing(steps=effort.bounce_steps, batch=32)
    modular = bouncegrad(networks, Sum(), episodes, generator, plan, Clock(effort.seconds))

    def predict(x: Tensor, y: Tensor) -> Tensor:
        points, wanted = x.float()[..., None], y.float()[..., None]
        structures = modular.fit(points, wanted, generator)
        return modular.predict(structures, _everywhere(grid, len(x)))[..., 0]

    return predict


def interpolated(grid: Tensor, x: Tensor, y: Tensor, width: float) -> Tensor:
    """Curves [tasks, g] through the points; smoothed by a Gaussian of this width, unless it is 0.

    Linear between points, the nearest value beyond them.
    """
    order = x.argsort(1)
    x, y = x.gather(1, order), y.gather(1, order)
    at = grid.expand(len(x), -1).contiguous()
    above = torch.searchsorted(x, at).clamp(1, x.shape[1] - 1)
    low, high = x.gather(1, above - 1), x.gather(1, above)
    share = ((at - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    curves = torch.lerp(y.gather(1, above - 1), y.gather(1, above), share)
    if width == 0:
        return curves
    kernel = (-0.5 * ((grid[:, None] - grid) / width).square()).exp()
    return curves @ (kernel / kernel.sum(1, keepdim=True)).T


WIDTHS = (0.0, 0.01, 0.03)

Fit: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Curves [m, g], places int64 [test, n] of the grid and values y [test, n] -> curves [test, g]."""


def principal(rank: int, ridge: float) -> Fit:
    """The mean curve and `rank` singular vectors, weighted by ridge regression.

    A coefficient is penalised by `ridge` over the variance it has among the curves.
    """

    def fit(curves: Tensor, at: Tensor, y: Tensor) -> Tensor:
        mean = curves.mean(0)
        _, spread, vectors = torch.linalg.svd(curves - mean, full_matrices=False)
        basis = vectors[:rank] * (spread[:rank, None] / len(curves) ** 0.5)
        design = basis[:, at].permute(1, 2, 0)
        system = design.transpose(1, 2) @ design + ridge * torch.eye(len(basis), dtype=y.dtype)
        right = design.transpose(1, 2) @ (y - mean[at])[..., None]
        weights: Tensor = torch.linalg.solve(system, right)[..., 0]
        found: Tensor = mean + weights @ basis
        return found

    return fit


def sparse(size: int, ridge: float, beam: int = 50) -> Fit:
    """At most `size` curves with weights of their own, found by a beam search over which."""

    def fit(curves: Tensor, at: Tensor, y: Tensor) -> Tensor:
        return torch.stack(
            [_combined(curves, a, b, size, ridge, beam) for a, b in zip(at, y, strict=True)]
        )

    return fit


def _combined(curves: Tensor, at: Tensor, y: Tensor, size: int, ridge: float, beam: int) -> Tensor:
    shown, count = curves[:, at], len(curves)
    chosen = torch.arange(count)[:, None]
    while True:
        design = shown[chosen].transpose(1, 2)
        system = design.transpose(1, 2) @ design
        system = system + ridge * torch.eye(chosen.shape[1], dtype=y.dtype)
        weights: Tensor = torch.linalg.solve(system, (design.transpose(1, 2) @ y)[..., None])
        wrong = ((design @ weights)[..., 0] - y).square().sum(1)
        cost = wrong + ridge * weights.square().sum((1, 2))
        if chosen.shape[1] == size:
            best = int(cost.argmin())
            return weights[best, :, 0] @ curves[chosen[best]]
        kept = chosen[cost.argsort()[: count if chosen.shape[1] == 1 else beam]]
        more = torch.arange(count).expand(len(kept), -1)
        longer = torch.cat([kept[:, None].expand(-1, count, -1), more[..., None]], 2).flatten(0, 1)
        chosen = (
            longer[longer[:, -1] > longer[:, :-1].amax(1)]
            if size == 2
            else longer[(longer[:, :-1] != longer[:, -1:]).all(1)]
        )


def chosen_fit(
    grid: Tensor,
    x: Tensor,
    y: Tensor,
    fits: Callable[[], Iterator[Fit]],
    generator: torch.Generator,
    effort: Effort,
) -> Predict:
    """The fit and the smoothing that are best on training tasks left out, by number of points."""
    tasks = torch.randperm(len(x), generator=generator)
    out, rest = tasks[: max(1, len(x) // 5)], tasks[max(1, len(x) // 5) :]
    curves = {width: interpolated(grid, x, y, width) for width in WIDTHS}
    places = torch.searchsorted(grid, x[out].contiguous()).clamp(max=len(grid) - 1)
    best: dict[int, tuple[float, Fit]] = {}

    def choose(n: int) -> tuple[float, Fit]:
        found: list[tuple[float, float, Fit]] = []
        clock = Clock(effort.seconds)
        for fit, width in product(fits(), WIDTHS):
            curve = fit(curves[width][rest], places[:, :n], y[out][:, :n])
            wrong = (curve.gather(1, places[:, n:]) - y[out][:, n:]).square().mean(1)
            error = float((wrong / y[out].var(1)).mean().nan_to_num(1e9))
            found.append((error, width, fit))
            if clock.expired():
                break
        _, width, fit = min(found, key=lambda one: one[0])
        return width, fit

    def predict(x: Tensor, y: Tensor) -> Tensor:
        n = x.shape[1]
        if n not in best:
            best[n] = choose(n)
        width, fit = best[n]
        at = torch.searchsorted(grid, x.contiguous()).clamp(max=len(grid) - 1)
        return fit(curves[width], at, y)

    return predict


def principal_fits() -> Iterator[Fit]:
    """The ranks and ridges that are tried."""
    for rank, ridge in product((2, 4, 6, 8, 10, 12, 14, 16, 20, 24), (1e-4, 1e-3, 1e-2, 1e-1)):
        yield principal(rank, ridge)


def sparse_fits() -> Iterator[Fit]:
    """The numbers of curves and ridges that are tried."""
    for size, ridge in product((1, 2, 3, 4), (1e-3, 1e-2, 1e-1)):
        yield sparse(size, ridge)


def _everywhere(grid: Tensor, tasks: int) -> Tensor:
    return grid.float()[None, :, None].expand(tasks, -1, -1)
