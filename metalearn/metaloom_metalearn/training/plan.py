"""How long and how to train, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_metalearn.learners.optimisers import Optimiser, adam
from metaloom_metalearn.learners.schedules import Schedule, cosine
from metaloom_metalearn.training.validation import Validated
from metaloom_registry import Digest, InvalidTask

Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""`(inputs [n, ...], generator) -> inputs changed at random`, each on its own."""


@dataclass(frozen=True)
class Plan:
    """How long and how to train.

    steps: optimiser steps.  batch: what a step sees: episodes in `meta_train`, examples in
    `train_classifier`.  average: the decay of an exponential moving average of the weights, which
    is then the result; 0 for none.  clip: the largest norm of a gradient.  report: steps between
    two events.

    seconds: with it, training takes so long where it does not reach `steps` first, and the
    schedule follows the time rather than the steps; two such runs are not equal in every bit.
    autocast: `torch.bfloat16` for mixed precision on CUDA; weights and gradients stay float32.
    """

    steps: int
    batch: int = 1
    optimiser: Optimiser = field(default_factory=lambda: adam(0.001))
    schedule: Schedule = cosine
    average: float = 0.0
    clip: float | None = None
    report: int = 50
    seconds: float | None = None
    autocast: torch.dtype | None = None

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.report) < 1:
            raise InvalidTask(
                f"a plan of {self.steps} steps, {self.batch} a batch and a report every "
                f"{self.report} trains nothing; give at least 1 of each"
            )
        if not 0 <= self.average < 1:
            raise InvalidTask(f"{self.average} is no decay of an average; give 0 to below 1")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InvalidTask(f"{self.seconds} s is no time to train; give more than 0 s")
        if self.autocast not in (None, torch.bfloat16):
            raise InvalidTask(
                f"mixed precision computes in torch.bfloat16, not in {self.autocast}: float16 "
                "would need its losses scaled"
            )

    def done(self, step: int, seconds: float) -> float:
        """The share of the training that is done, from 0 to 1."""
        share = step / self.steps
        return share if self.seconds is None else min(1.0, max(share, seconds / self.seconds))


@dataclass(frozen=True)
class Trained:
    """A trained model and how it came about.

    `model` is a copy in eval mode: the best by validation where there was one, else the average of
    the weights where one was kept, else the last.  `losses` holds one loss a step.  `seconds`
    counts all runs from checkpoint to checkpoint.  `ended` says why training ended: `finished`,
    `patience`, `deadline` or `interrupted`.

    `seed` is that of the generator.  `classes` are the classes the model has seen, `data` the
    digests of the data sets, as far as the source tells.  `parents` are the blocks whose weights
    it began from, where a library knows them.
    """

    model: nn.Module
    losses: tuple[float, ...]
    seconds: float
    ended: str
    validated: tuple[Validated, ...] = ()
    seed: int = 0
    classes: frozenset[Digest] = frozenset()
    data: tuple[Digest, ...] = ()
    parents: tuple[Digest, ...] = ()
