"""Tasks of the benchmark `functions`: means of two base functions, some to train on, some to test.

A training task is noisy and shows points of its own; a test task is clean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metaloom_registry import InvalidTask

POINTS = 80
"""The points of a training task, as in the published runs of BounceGrad."""

NOISE = 0.05
TEST_SHARE = 0.1
GIVEN = (16, 8, 4)


@dataclass(frozen=True)
class FunctionTasks:
    """Everything an arm may see but `curves`, the clean test functions, which judge it.

    grid [g]: where functions are known.  x, y [train, POINTS]: noisy training tasks.  given: for
    each number n of points, which of the grid are given in each test task, int64 [test, n].
    curves [test, g].
    """

    grid: Tensor
    x: Tensor
    y: Tensor
    given: dict[int, Tensor]
    curves: Tensor

    def shown(self, n: int, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The n points of each test task: x and y [test, n]; with `noise` [test, n] on y."""
        at = self.given[n]
        y = self.curves.gather(1, at)
        return self.grid[at], y if noise is None else y + noise

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Noise for the given points, as training tasks have it."""
        draw = torch.randn(self.given[n].shape, generator=generator, dtype=torch.float64)
        return NOISE * self.curves.std(1, keepdim=True, unbiased=False) * draw

    def errors(self, predicted: Tensor) -> Tensor:
        """The squared error of [test, g] as a share of each clean function's variance: [test]."""
        wrong = (predicted.to(self.curves) - self.curves).square().mean(1)
        return wrong / self.curves.var(1, unbiased=False)


def draw_tasks(file: Path, generator: torch.Generator) -> FunctionTasks:
    """Split the pairs of the file's base functions, and draw points and noise.

    Raises InvalidTask for a file without finite `x` [g] and `base` [functions, g].
    """
    with np.load(file, allow_pickle=False) as arrays:
        if not {"x", "base"} <= set(arrays.files):
            raise InvalidTask(f"{file.name} holds {arrays.files}; it must hold x and base")
        grid = torch.from_numpy(arrays["x"].astype(np.float64))
        base = torch.from_numpy(arrays["base"].astype(np.float64))
    fits = base.dim() == 2 and grid.shape == base.shape[1:] and len(grid) >= POINTS
    if not fits or not bool(torch.isfinite(base).all()) or len(base) < 4:
        raise InvalidTask(
            f"{file.name} has x {tuple(grid.shape)} and base {tuple(base.shape)}; wanted are "
            f"finite x [g] and base [functions, g], g at least {POINTS}, 4 functions or more"
        )
    pairs = torch.combinations(torch.arange(len(base)))
    curves = (base[pairs[:, 0]] + base[pairs[:, 1]]) / 2
    curves = curves[curves.std(1, unbiased=False) > 1e-9]
    curves = curves[torch.randperm(len(curves), generator=generator)]
    test = max(1, round(len(curves) * TEST_SHARE))
    train, held = curves[test:], curves[:test]
    at = _places(len(train), POINTS, len(grid), generator)
    spread = train.std(1, keepdim=True, unbiased=False)
    noise = torch.randn(at.shape, generator=generator, dtype=torch.float64)
    given = {n: _places(test, n, len(grid), generator) for n in GIVEN}
    return FunctionTasks(grid, grid[at], train.gather(1, at) + NOISE * spread * noise, given, held)


def _places(tasks: int, count: int, size: int, generator: torch.Generator) -> Tensor:
    """Different places below `size`, drawn for each task: int64 [tasks, count]."""
    return torch.stack([torch.randperm(size, generator=generator)[:count] for _ in range(tasks)])
