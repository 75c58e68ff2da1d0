"""What is asked of the batched engine, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from metaloom_metalearn.learners.descent import Order, second_order
from metaloom_metalearn.learners.learner import (
    Choice,
    Loss,
    MetaGradient,
    every,
    natural_loss,
    require_settings,
)
from metaloom_registry import ParseError

State: TypeAlias = Mapping[str, Tensor]
"""Tensors by name."""


@dataclass(frozen=True)
class GradientSteps:
    """Gradient descent on a support, and how the queries judge it.

    rates: one rate, or for each step a rate for each parameter that changes: a number as tensor, or
    of the parameter's shape.  inner: which parameters change.  weights: of the query's loss after
    each step (multi-step loss, Antoniou et al. 2019); None for the loss at the end alone.
    """

    steps: int
    rates: float | Sequence[State]
    order: Order = second_order
    loss: Loss = natural_loss
    inner: Choice = every
    weights: Sequence[float] | None = None

    def __post_init__(self) -> None:
        require_settings(self.steps, self.rates if isinstance(self.rates, float | int) else 0.0)
        for what, given in (("rates", self.rates), ("weights", self.weights)):
            if isinstance(given, Sequence) and len(given) != self.steps:
                raise ParseError(f"{len(given)} {what} for {self.steps} steps; give one a step")


@dataclass(frozen=True)
class BatchedGradient:
    """The meta-gradient, and the gradients of the rates: a mapping a step, where rates are.

    `way`: "loop" (a perceptron in one compiled loop), "layers", or "plain" (by autograd, task after
    task).
    """

    mean: MetaGradient
    rates: tuple[State, ...]

    @property
    def way(self) -> str:
        """How it was computed."""
        return self.mean.way
