"""Modules that are curves: piecewise linear functions of one number, on equal knots.

    f_k(x) = sum_d theta_kd h_d(x),   h_d(x) = max(0, 1 - |(x - low) / step - d|)

With the sum template everything is then linear or quadratic in theta: the errors of all structures
need the moments Phi'Phi and Phi'y of each task alone, and the best modules for given structures
solve one linear system.  Beyond the knots a curve keeps its last value.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloom_registry import InvalidTask, ParseError


@dataclass(frozen=True)
class Knots:
    """`count` equal knots from `low` to `high`."""

    low: float
    high: float
    count: int

    def __post_init__(self) -> None:
        if self.count < 2 or not self.low < self.high:
            raise ParseError(
                f"{self.count} knots from {self.low} to {self.high}; give two or more knots and a "
                "lower end below the upper one"
            )

    @property
    def step(self) -> float:
        return (self.high - self.low) / (self.count - 1)

    def place(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The knot at or below each x, int64, and how far x is on the way to the next, 0 to 1."""
        at = ((x - self.low) / self.step).clamp(0, self.count - 1)
        below = at.long().clamp(max=self.count - 2)
        return below, at - below

    def at(self, values: Tensor, x: Tensor) -> Tensor:
        """Curves with values [curves, count] at the knots, at x [...]: [curves, ...]."""
        below, share = self.place(x)
        return torch.lerp(values[:, below], values[:, below + 1], share)


class Curve(nn.Module):
    """A curve as a block, vec[1] -> vec[1]: the hats h_d(x) times the values at the knots."""

    places: Tensor

    def __init__(self, knots: Knots, values: Tensor) -> None:
        super().__init__()
        self.values = nn.Parameter(values.detach().clone().reshape(-1, 1))
        self.register_buffer("places", torch.arange(knots.count, dtype=values.dtype))
        self.low, self.step, self.last = knots.low, knots.step, float(knots.count - 1)

    def forward(self, x: Tensor) -> Tensor:
        at = ((x - self.low) / self.step).clamp(0.0, self.last)
        return (1.0 - (at - self.places).abs()).relu() @ self.values


@dataclass(frozen=True)
class Moments:
    """What the points of tasks say about a sum of curves, weighted by task.

    With Phi_t the hats at the points of task t and w_t its weight: `own` [tasks, D] and `next`
    [tasks, D] are the diagonal of w Phi'Phi and what stands right of it (no point touches more than
    two knots), `cross` [tasks, D] is w Phi'y, `square` [tasks] is w y'y; `points` is n.
    """

    knots: Knots
    own: Tensor
    next: Tensor
    cross: Tensor
    square: Tensor
    points: int

    @classmethod
    def of(cls, knots: Knots, x: Tensor, y: Tensor, weights: Tensor | None = None) -> Moments:
        """x, y [tasks, n]; weights [tasks], by default one over the variance of each task's y."""
        require_points(x, y)
        if weights is None:
            weights = 1 / y.var(1, unbiased=False).clamp(min=1e-12)
        below, share = knots.place(x)
        empty = x.new_zeros(len(x), knots.count)
        w = weights[:, None]
        own = empty.scatter_add(1, below, w * (1 - share) ** 2)
        own = own.scatter_add(1, below + 1, w * share**2)
        cross = empty.scatter_add(1, below, w * (1 - share) * y)
        cross = cross.scatter_add(1, below + 1, w * share * y)
        beside = empty.scatter_add(1, below, w * share * (1 - share))
        return cls(knots, own, beside, cross, weights * y.square().sum(1), x.shape[1])

    def __len__(self) -> int:
        return len(self.square)

    def products(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """<f_k, f_l> [tasks, K, K] and <f_k, y> [tasks, K] of curves with these values [K, D]."""
        curves, knots = values.shape
        own = (values[:, None] * values[None]).reshape(-1, knots)
        beside = values[:, None, :-1] * values[None, :, 1:]
        beside = (beside + beside.transpose(0, 1)).reshape(-1, knots - 1)
        inner = self.own @ own.T + self.next[:, :-1] @ beside.T
        return inner.reshape(-1, curves, curves), self.cross @ values.T

    def errors(self, values: Tensor, structures: Tensor) -> Tensor:
        """The weighted mean squared error of each sum of two curves: [tasks, structures].

        structures int64 [structures, 2].
        """
        inner, cross = self.products(values)
        single = inner.diagonal(dim1=1, dim2=2) - 2 * cross
        first, second = structures.T
        total = single[:, first] + single[:, second] + 2 * inner[:, first, second]
        return (total + self.square[:, None]).clamp(min=0) / self.points

    def refitted(self, counts: Tensor, pairs: Tensor, ridge: Tensor) -> Tensor:
        """The values [K, D] of least error for given, possibly uncertain, structures.

        counts [tasks, K] is the expected number of times a task uses each curve, pairs [tasks, K,
        K] the expected products of those numbers, ridge [D, D] the penalty on each curve's values.
        """
        tasks, curves = counts.shape
        size = self.knots.count
        flat = pairs.reshape(tasks, -1)
        own = (flat.T @ self.own).reshape(curves, curves, size)
        beside = (flat.T @ self.next).reshape(curves, curves, size)[:, :, :-1]
        system = torch.diag_embed(own)
        system = system + torch.diag_embed(beside, 1) + torch.diag_embed(beside, -1)
        system[range(curves), range(curves)] += ridge
        system = system.transpose(1, 2).reshape(curves * size, curves * size)
        wanted = (counts.T @ self.cross).reshape(-1, 1)
        factor = torch.linalg.cholesky(system)
        return torch.cholesky_solve(wanted, factor).reshape(curves, size)


def roughness(knots: Knots, first: float = 1e-2, size: float = 1e-6) -> Tensor:
    """The penalty `first` times the squared steps of a curve plus `size` times its values: [D, D].

    Errors being weighted to a variance of 1 for each task, both are in points.
    """
    steps = torch.eye(knots.count, dtype=torch.float64).diff(dim=0)
    return first * steps.T @ steps + size * torch.eye(knots.count, dtype=torch.float64)


def require_points(x: Tensor, y: Tensor) -> None:
    """Raises InvalidTask unless x and y are finite float64 [tasks, n] of one shape."""
    if x.shape != y.shape or x.dim() != 2 or x.numel() == 0:
        raise InvalidTask(
            f"points x {tuple(x.shape)} and y {tuple(y.shape)}; curves want both as [tasks, n]"
        )
    if x.dtype != torch.float64 or y.dtype != torch.float64:
        raise InvalidTask(f"points of {x.dtype} and {y.dtype}; curves are fitted in float64")
    if not bool(torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise InvalidTask("points that are not all finite; leave out NaN and infinity")
