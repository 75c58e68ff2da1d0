"""A mean over episodes with its 95 % confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metaloom_registry import InvalidTask


@dataclass(frozen=True)
class Interval:
    """A mean over n episodes with its 95 % interval, mean plus or minus `half`.

    `half` is 1.96 standard errors (for fewer than 30 episodes Student's quantile is larger: the
    interval is then too narrow).
    """

    mean: float
    half: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | Tensor) -> Interval:
        """The mean of at least two values. Raises InvalidTask for fewer."""
        column = torch.as_tensor(values, dtype=torch.float64)
        if column.numel() < 2:
            raise InvalidTask(
                f"{column.numel()} episodes have no confidence interval; evaluate at least 2"
            )
        error = float(column.std()) / math.sqrt(column.numel())
        return cls(float(column.mean()), 1.96 * error, column.numel())

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.half:.2f}"
