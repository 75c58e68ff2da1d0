"""What a network's outputs are worth: the loss that trains it, and the nats of what it gets wrong.

label[k]   cross entropy; the nats of the held-out labels at the best temperature
int        squared error of a number; each output that it does not round to is an exception
int, bool  that a program makes of its networks' classes: minus the log of the probability that it
           gives to the output; each output that it gets wrong is an exception
vec[m]     squared error; the residuals under a Gaussian code, to a thousandth of the outputs'
           spread (right means within a tenth of it)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from metaloom_metalearn.engines.batched.soft import SoftBool, SoftInt
from metaloom_metalearn.engines.batched.values import BatchedValue
from metaloom_metalearn.search.coding import exception_cost
from metaloom_metalearn.search.neural.few_shot import label_nats
from metaloom_registry import BOOL, INT, Tensor, Type

RESOLUTION = 1e-3
CLOSE = 0.1
SMALLEST = 1e-6
"""The least probability that a loss is told of: an output out of reach weighs ln 10^6."""


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

    def loss(self, output: BatchedValue, rows: torch.Tensor) -> torch.Tensor:
        """What training makes small, for the examples `rows` int64 [m].

        `output` is float [m, size], or a `SoftInt` or `SoftBool` of m rows.
        """
        wanted = self.wanted[rows]
        if isinstance(output, SoftInt | SoftBool):
            return -chance(output, wanted).clamp(min=SMALLEST).log().mean()
        if self.is_label:
            return nn.functional.cross_entropy(output, wanted)
        if self.type == INT:
            return nn.functional.mse_loss(
                output[:, 0], (wanted.to(output) - self.mean) / self.scale
            )
        return nn.functional.mse_loss(output, wanted.to(output)) / self.scale**2

    def judged(
        self, output: torch.Tensor, owners: torch.Tensor, of: torch.Tensor | None = None
    ) -> tuple[float, tuple[bool, ...]]:
        """The nats of the examples, and which are right; row j of `output` judges `owners[j]`.

        `output` is float [m, size], or what a program gives, int64 or bool [m].  An example that no
        row judges is wrong, and costs what knowing nothing does; but where only the examples `of`
        are judged, they stand for all: `right` is theirs, and the nats are scaled up.
        """
        n = len(self.wanted)
        known = torch.zeros(n, dtype=torch.bool)
        known[owners] = True
        if self.is_label:
            nats, right = label_nats(output, self.wanted, owners)
            costs = torch.full((n,), math.log(output.shape[1]))
            total = nats + float(costs[~known].sum())
        elif self.type in (INT, BOOL):
            found = output if output.dim() == 1 else self._rounded(output)
            hits = torch.zeros(n).index_add(0, owners, (found == self.wanted[owners]).float())
            shown = torch.bincount(owners, minlength=n).clamp(min=1)
            right = tuple((hits / shown > 0.5).tolist())
            kinds = {v: exception_cost(v, self.type, n) for v in set(self.wanted.tolist())}
            costs = torch.tensor([kinds[v] for v in self.wanted.tolist()])
            total = float(costs[~torch.tensor(right)].sum())
        else:
            return self._vectors(output, owners, n - int(known.sum()))
        if of is None:
            return total, right
        total -= float(costs[~known].sum())
        return total * n / max(1, len(of)), tuple(right[i] for i in of.tolist())

    def _rounded(self, output: torch.Tensor) -> torch.Tensor:
        return (self.mean + self.scale * output[:, 0].double()).round().long()

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
    def classes(self) -> int:
        """How many numbers a network gives for an output: its classes, or its own numbers."""
        if isinstance(self.type, Tensor) and isinstance(self.type.dimensions[0], int):
            return self.type.dimensions[0]
        return 1

    @property
    def is_label(self) -> bool:
        """Whether the outputs are classes."""
        return isinstance(self.type, Tensor) and self.type.kind == "label"


def chance(output: SoftInt | SoftBool, wanted: torch.Tensor) -> torch.Tensor:
    """[m]: the probability that a soft value gives to what is wanted, int64 or bool [m]."""
    if isinstance(output, SoftBool):
        return torch.where(wanted.bool(), output.probability, 1 - output.probability)
    place = wanted - output.low
    inside = (place >= 0) & (place < output.probabilities.shape[1])
    found = output.probabilities.gather(
        1, place.clamp(0, output.probabilities.shape[1] - 1)[:, None]
    )
    return torch.where(inside, found[:, 0], torch.zeros_like(found[:, 0]))
