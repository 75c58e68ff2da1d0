"""Soft values: integers, truth values and labels that are not certain, a distribution in each row.

What is computed with them is differentiable, so that a loss on the result of a program trains the
networks that read its inputs.  The rows of a distribution are taken to be independent of each
other, and so are two values that meet in one primitive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from metaloom_metalearn.engines.batched.values import BatchedValue, Rows
from metaloom_registry import EvaluationError, TypeMismatch

MAX_RANGE = 4096
"""How many values a soft integer may take; beyond, the soft engine has no value."""


@dataclass(frozen=True, eq=False)
class SoftInt(Rows):
    """Integers, each a distribution: `probabilities` [rows, range], of `low`, `low + 1`, ..."""

    probabilities: torch.Tensor
    low: int = 0

    def __post_init__(self) -> None:
        if self.probabilities.shape[1] > MAX_RANGE:
            raise EvaluationError(
                f"a soft integer would range over {self.probabilities.shape[1]} values; at most "
                f"{MAX_RANGE} are carried"
            )

    @classmethod
    def of(cls, value: BatchedValue) -> SoftInt:
        """The value itself, or certain integers, int64 [rows], as distributions of one point."""
        if isinstance(value, SoftInt):
            return value
        if not isinstance(value, torch.Tensor):
            raise TypeMismatch(f"a {type(value).__name__} is not an integer")
        if value.numel() == 0:
            return cls(torch.ones((0, 1), device=value.device))
        low, high = int(value.min()), int(value.max())
        if high - low >= MAX_RANGE:
            raise EvaluationError(
                f"integers from {low} to {high} are too far apart for the soft engine, which "
                f"carries {MAX_RANGE} values"
            )
        one_hot = functional.one_hot(value - low, high - low + 1)
        return cls(one_hot.to(torch.get_default_dtype()), low)

    @property
    def high(self) -> int:
        """The greatest value it can take."""
        return self.low + self.probabilities.shape[1] - 1

    def support(self) -> torch.Tensor:
        """[range]: the values it can take, as floats."""
        count = self.probabilities.shape[1]
        return self.low + torch.arange(count, device=self.device()).to(self.probabilities.dtype)

    def mean(self) -> torch.Tensor:
        """[rows]: the expectation of each."""
        return self.probabilities @ self.support()

    def mode(self) -> torch.Tensor:
        """int64 [rows]: the likeliest value of each."""
        return self.low + self.probabilities.argmax(dim=1)

    def widened(self, low: int, high: int) -> torch.Tensor:
        """[rows, high - low + 1]: the probabilities of `low` ... `high`, which hold our range."""
        return functional.pad(self.probabilities, (self.low - low, high - self.high))

    def rows(self) -> int:
        return self.probabilities.shape[0]

    def device(self) -> torch.device:
        return self.probabilities.device

    def to(self, device: torch.device | str) -> SoftInt:
        return SoftInt(self.probabilities.to(device), self.low)

    def take(self, index: torch.Tensor) -> SoftInt:
        return SoftInt(self.probabilities[index], self.low)

    @classmethod
    def join(cls, values: Sequence[BatchedValue]) -> SoftInt:
        soft = [cls.of(value) for value in values]
        present = [one for one in soft if one.rows()] or soft[:1]
        low, high = min(one.low for one in present), max(one.high for one in present)
        return cls(torch.cat([one.widened(low, high) for one in present]), low)


@dataclass(frozen=True, eq=False)
class SoftBool(Rows):
    """Truth values, each uncertain: `probability` [rows] of being true."""

    probability: torch.Tensor

    @classmethod
    def of(cls, value: BatchedValue) -> SoftBool:
        """The value itself, or certain truth values, bool [rows]."""
        if isinstance(value, SoftBool):
            return value
        if not isinstance(value, torch.Tensor) or value.dtype != torch.bool:
            raise TypeMismatch(f"a {type(value).__name__} is not a truth value")
        return cls(value.to(torch.get_default_dtype()))

    def rows(self) -> int:
        return self.probability.shape[0]

    def device(self) -> torch.device:
        return self.probability.device

    def to(self, device: torch.device | str) -> SoftBool:
        return SoftBool(self.probability.to(device))

    def take(self, index: torch.Tensor) -> SoftBool:
        return SoftBool(self.probability[index])

    @classmethod
    def join(cls, values: Sequence[BatchedValue]) -> SoftBool:
        return cls(torch.cat([cls.of(value).probability for value in values]))


@dataclass(frozen=True, eq=False)
class SoftLabel(Rows):
    """Labels, each a distribution over k classes, given by its `logits` [rows, k]."""

    logits: torch.Tensor

    def probabilities(self) -> torch.Tensor:
        """[rows, k], each row sums to 1."""
        return self.logits.softmax(dim=1)

    def rows(self) -> int:
        return self.logits.shape[0]

    def device(self) -> torch.device:
        return self.logits.device

    def to(self, device: torch.device | str) -> SoftLabel:
        return SoftLabel(self.logits.to(device))

    def take(self, index: torch.Tensor) -> SoftLabel:
        return SoftLabel(self.logits[index])

    @classmethod
    def join(cls, values: Sequence[BatchedValue]) -> SoftLabel:
        if not all(isinstance(value, SoftLabel) for value in values):
            raise TypeMismatch("soft labels do not join with certain ones, whose classes are open")
        return cls(torch.cat([value.logits for value in values]))
