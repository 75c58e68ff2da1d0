"""Regression tasks: functions of a family, each seen at a few points."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.tasks import Examples, Task
from metaloom_registry import Arrow, InvalidTask
from metaloom_registry import Tensor as TensorType

Family: TypeAlias = Callable[[int, torch.Generator], Callable[[Tensor], Tensor]]
"""`(count, generator) -> f`: draws that many functions at once; f maps x [count, n] to y alike."""


@dataclass(frozen=True)
class Curves:
    """Tasks `vec[1] -> vec[1]`: a function of `family`, `shots` points of it, and `queries` more.

    Points are uniform between `low` and `high`; `noise` is the standard deviation of what is added
    to the outputs of the support.
    """

    family: Family
    shots: int = 5
    queries: int = 10
    low: float = -5.0
    high: float = 5.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        if min(self.shots, self.queries) < 1 or not self.low < self.high:
            raise InvalidTask(
                f"{self.shots} shots and {self.queries} queries between {self.low} and {self.high} "
                "make no task; wanted are at least 1 and 1, and an interval"
            )

    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        """Draw `count` functions, each with its points."""
        function = self.family(count, generator)
        points = torch.rand(count, self.shots + self.queries, generator=generator)
        x = self.low + (self.high - self.low) * points
        y = function(x)
        if self.noise:
            y[:, : self.shots] += self.noise * torch.randn(count, self.shots, generator=generator)
        x, y, s = x[..., None], y[..., None], self.shots
        return Episodes(x[:, :s], y[:, :s], x[:, s:], y[:, s:])

    def sample(self, generator: torch.Generator) -> Task:
        """Draw one function."""
        one = self.episodes(1, generator)
        return Task(
            type=Arrow(TensorType("vec", (1,)), TensorType("vec", (1,))),
            support=Examples((one.support_x[0],), one.support_y[0]),
            query=Examples((one.query_x[0],), one.query_y[0]),
            name="curve",
        )


def sinusoids(
    amplitude: tuple[float, float] = (0.1, 5.0), phase: tuple[float, float] = (0.0, math.pi)
) -> Family:
    """a sin(x - p), a and p uniform in these intervals: the family of Finn et al. 2017, 5.1."""

    def draw(count: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        a = _uniform(amplitude, count, generator)
        p = _uniform(phase, count, generator)
        return lambda x: a * torch.sin(x - p)

    return draw


def polynomials(degree: int = 3, scale: float = 5.0) -> Family:
    """Polynomials in x / `scale` with standard normal coefficients."""

    def draw(count: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        coefficients = torch.randn(count, degree + 1, generator=generator)
        powers = torch.arange(degree + 1)
        return lambda x: ((x / scale)[..., None] ** powers * coefficients[:, None]).sum(-1)

    return draw


def smooth_functions(length: float = 1.0, features: int = 64) -> Family:
    """Draws from a Gaussian process with a squared exponential kernel of this length scale.

    By `features` random Fourier features (Rahimi and Recht 2007).
    """

    def draw(count: int, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        frequency = torch.randn(count, 1, features, generator=generator) / length
        phase = torch.rand(count, 1, features, generator=generator) * (2 * math.pi)
        weight = torch.randn(count, 1, features, generator=generator) * (2 / features) ** 0.5
        return lambda x: (weight * torch.cos(frequency * x[..., None] + phase)).sum(-1)

    return draw


def _uniform(interval: tuple[float, float], count: int, generator: torch.Generator) -> Tensor:
    low, high = interval
    return low + (high - low) * torch.rand(count, 1, generator=generator)
