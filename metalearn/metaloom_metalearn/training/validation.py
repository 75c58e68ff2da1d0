"""Validation while training: the same episodes again and again, to keep the best and to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn

from metaloom_metalearn.episodes import EpisodeSource
from metaloom_metalearn.evaluation.answers import Answers
from metaloom_metalearn.evaluation.interval import Interval
from metaloom_metalearn.evaluation.performance import evaluate
from metaloom_metalearn.randomness import seeded
from metaloom_metalearn.tasks import TaskSource
from metaloom_registry import InvalidTask

Answering: TypeAlias = Callable[[nn.Module, torch.Generator], Answers]
"""How a model in training answers episodes: `(model, generator) -> answers`."""


@dataclass(frozen=True)
class Validated:
    """What validation found after a step: accuracy in percent, or the mean squared error."""

    step: int
    measure: str
    score: Interval

    def better_than(self, other: Validated | None) -> bool:
        """Whether this is strictly better; anything is better than None."""
        if other is None:
            return True
        ahead = self.score.mean - other.score.mean
        return ahead > 0 if self.measure == "accuracy" else ahead < 0


@dataclass(frozen=True)
class Validation:
    """Every `every` steps the model answers the same `episodes` tasks of `source`.

    The model is in eval mode; the average of the weights answers where one is kept.  The best of
    all is what training gives back.  With `patience`, training ends after so many validations
    without a better one.  `answering` says how the model answers; by default by the learner that
    is trained for, one task after another.
    """

    source: TaskSource | EpisodeSource
    episodes: int = 100
    every: int = 100
    patience: int | None = None
    seed: int = 0
    answering: Answering | None = None

    def __post_init__(self) -> None:
        if self.episodes < 2 or self.every < 1 or (self.patience or 1) < 1:
            raise InvalidTask(
                f"{self.episodes} episodes every {self.every} steps, patience {self.patience}: "
                "validation takes at least 2 episodes, every 1 step, and a patience of 1 or None"
            )

    def measure(self, model: nn.Module, step: int, usual: Answering) -> Validated:
        """Validate a model; it is put into eval mode meanwhile."""
        generator = torch.Generator().manual_seed(self.seed)
        mode = model.training
        model.eval()
        try:
            with seeded(generator):
                answers = (self.answering or usual)(model, generator)
                found = evaluate(answers, self.source, self.episodes, generator)
        finally:
            model.train(mode)
        return Validated(step, found.measure, found.score)
