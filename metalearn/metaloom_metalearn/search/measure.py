"""What a network's outputs are worth: the loss that trains it, and the nats of what it gets wrong.

label[k]   cross entropy; the nats of the held-out labels at the best temperature
int        squared error of a number; each output that it does not round to is an exception
vec[m]     squared error; the residuals under a Gaussian code, to a thousandth of the outputs'
           spread (right means within a tenth of it)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from metaloom_metalearn.search.coding import exception_cost
from metaloom_metalearn.search.few_shot import label_nats
from metaloom_registry import INT, Tensor, Type

RESOLUTION = 1e-3
CLOSE = 0.1


@dataclass(frozen=True)
class Measure:
    """The outputs wanted of the n examples of a support, `wanted` [n, ...], and their type."""

    type: Type
    wanted: torch.Tensor

    @property
    def mean(self) -> float:
        """The mean of the numbers wanted; a network's output for an int is measured from it."""
        return float(self.wanted.double().mean())

    @property
    def scale(self) -> float:
        """The spread of the numbers wanted, 1 where they are all the same."""
        return float(self.wanted.double().std(unbiased=False)) or 1.0

    def loss(self, output: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """What training makes small: `output` [m, size] for the examples `rows` int64 [m]."""
        wanted = self.wanted[rows]
        if self._is_label:
            return nn.functional.cross_entropy(output, wanted)
        if self.type == INT:
            return nn.functional.mse_loss(
                output[:, 0], (wanted.to(output) - self.mean) / self.scale
            )
        return nn.functional.mse_loss(output, wanted.to(output)) / self.scale**2

    def judged(self, output: torch.Tensor, owners: torch.Tensor) -> tuple[float, tuple[bool, ...]]:
        """The nats of all n examples, and which are right; row j of `output` judges `owners[j]`.

        An example that no row judges is wrong, and costs what knowing nothing does.
        """
        n = len(self.wanted)
        known = torch.zeros(n, dtype=torch.bool)
        known[owners] = True
        missing = n - int(known.sum())
        if self._is_label:
            nats, right = label_nats(output, self.wanted, owners)
            return nats + missing * math.log(output.shape[1]), right
        if self.type == INT:
            found = (self.mean + self.scale * output[:, 0].double()).round().long()
            hits = torch.zeros(n).index_add(0, owners, (found == self.wanted[owners]).float())
            shown = torch.bincount(owners, minlength=n).clamp(min=1)
            right = tuple((hits / shown > 0.5).tolist())
            costs = [exception_cost(int(v), INT, n) for v in self.wanted.tolist()]
            return sum(c for c, fine in zip(costs, right, strict=True) if not fine), right
        return self._vectors(output, owners, missing)

    def _vectors(
        self, output: torch.Tensor, owners: torch.Tensor, missing: int
    ) -> tuple[float, tuple[bool, ...]]:
        n, numbers = len(self.wanted), self.wanted[0].numel()
        error = (output.double() - self.wanted[owners].double()).square().mean(1)
        shown = torch.bincount(owners, minlength=n)
        total = torch.zeros(n, dtype=torch.float64).index_add(0, owners, error)
        mean = total / shown.clamp(min=1)
        variance = float(mean[shown > 0].mean()) if missing < n else self.scale**2
        right = (shown > 0) & (mean.sqrt() < CLOSE * self.scale)
        known = (n - missing) * self._code(variance) + missing * self._code(self.scale**2)
        return numbers * known, tuple(right.tolist())

    def _code(self, variance: float) -> float:
        """The nats of one number under a Gaussian of this variance, to the resolution."""
        step = (RESOLUTION * self.scale) ** 2
        return max(0.0, 0.5 * math.log(2 * math.pi * math.e * max(variance, 1e-30) / step))

    @property
    def _is_label(self) -> bool:
        return isinstance(self.type, Tensor) and self.type.kind == "label"
