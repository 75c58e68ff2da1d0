"""Meta-training: a model made better at being adapted, episode after episode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.episodes import EpisodeSource, draw_episodes
from metaloom_metalearn.journal import Event, Journal, Silence
from metaloom_metalearn.learners.learner import (
    Loss,
    MetaLearner,
    natural_loss,
    require_finite,
)
from metaloom_metalearn.learners.optimisers import Optimiser, adam
from metaloom_metalearn.learners.schedules import Schedule, cosine
from metaloom_metalearn.randomness import seeded
from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_metalearn.tasks import TaskSource

Augment: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""`(inputs [n, ...], generator) -> inputs changed at random`, each on its own."""


@dataclass(frozen=True)
class Plan:
    """How long and how to train.

    steps: optimiser steps.  batch: what a step sees: episodes in `meta_train`, examples in
    `train_classifier`.  average: the decay of an exponential moving average of the weights, which
    is then the result; 0 for none.  clip: the largest norm of a gradient.  report: steps between
    two events.
    """

    steps: int
    batch: int = 1
    optimiser: Optimiser = field(default_factory=lambda: adam(0.001))
    schedule: Schedule = cosine
    average: float = 0.0
    clip: float | None = None
    report: int = 50


@dataclass(frozen=True)
class Trained:
    """A trained model and how it came about.

    `model` is a copy in eval mode.  `losses` holds one loss a step.  `ended` says why training
    ended: `finished`, `deadline` or `interrupted`; the model is then the best there was: the
    average of the weights where one is kept, else the last.
    """

    model: nn.Module
    losses: tuple[float, ...]
    seconds: float
    ended: str


def meta_train(
    model: nn.Module,
    source: TaskSource | EpisodeSource,
    learner: MetaLearner,
    generator: torch.Generator,
    plan: Plan,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> Trained:
    """Train a copy of `model` so that `learner` adapts it well to the tasks of `source`.

    The copy trains in train mode, where batch norm takes the statistics of the batch.  Records an
    event `meta_train` every `plan.report` steps, with loss, accuracy and the rate of episodes.  On
    Ctrl-C, or when `clock` has run out, the result is what there is.  Raises Diverged where the
    loss is not finite.
    """
    training = _Training(model, plan, clock, journal or Silence(), "meta_train")

    def step(model: nn.Module) -> tuple[float, Mapping[str, Tensor], Mapping[str, Tensor], float]:
        episodes = draw_episodes(source, plan.batch, generator).to(training.device)
        found = learner.meta_gradient(model, episodes, generator)
        return (
            found.loss,
            found.gradients,
            found.buffers,
            _accuracy(found.outputs, episodes.query_y),
        )

    with seeded(generator):
        return training.run(step)


def train_classifier(
    model: nn.Module,
    data: LabelledArrays,
    generator: torch.Generator,
    plan: Plan,
    augment: Augment | None = None,
    loss: Loss = natural_loss,
    clock: Clock | None = None,
    journal: Journal | None = None,
) -> Trained:
    """Train a copy of `model` : input -> logits[classes] on labelled examples.

    Each step takes `plan.batch` examples: epochs in a random order, without replacement.  The rest
    is as in `meta_train`; the event is called `train`.
    """
    training = _Training(model, plan, clock, journal or Silence(), "train")
    batches = _batches(len(data), plan.batch, generator)

    def step(model: nn.Module) -> tuple[float, Mapping[str, Tensor], Mapping[str, Tensor], float]:
        index = next(batches)
        x, y = data.inputs[index], data.labels[index]
        if augment is not None:
            x = augment(x, generator)
        x, y = x.to(training.device), y.to(training.device)
        output = model(x)
        value = loss(output, y)
        names, parameters = zip(*model.named_parameters(), strict=True)
        gradients = torch.autograd.grad(value, parameters)
        return (
            float(value.detach()),
            dict(zip(names, gradients, strict=True)),
            {},
            _accuracy(output.detach(), y),
        )

    with seeded(generator):
        return training.run(step)


Step: TypeAlias = Callable[
    [nn.Module], tuple[float, Mapping[str, Tensor], Mapping[str, Tensor], float]
]
"""`model -> (loss, gradients, buffers, accuracy)`; it may change the model's buffers itself."""


class _Training:
    """A model being trained: its optimiser, the average of its weights, and the journal."""

    def __init__(
        self, model: nn.Module, plan: Plan, clock: Clock | None, journal: Journal, kind: str
    ) -> None:
        self.model = deepcopy(model).train()
        self.average = deepcopy(self.model) if plan.average else None
        self.plan, self.clock, self.journal, self.kind = plan, clock, journal, kind
        self.optimiser = plan.optimiser(list(self.model.parameters()))
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.device = next(self.model.parameters()).device
        self.began = time.monotonic()

    def run(self, step: Step) -> Trained:
        losses: list[float] = []
        ended = "finished"
        accuracy = 0.0
        try:
            for index in range(self.plan.steps):
                if self.clock is not None and self.clock.expired():
                    ended = "deadline"
                    break
                loss, gradients, buffers, right = step(self.model)
                require_finite(loss, index)
                self._apply(index, gradients, buffers)
                losses.append(loss)
                accuracy += (right - accuracy) / min(len(losses), self.plan.report)
                if (index + 1) % self.plan.report == 0 or index + 1 == self.plan.steps:
                    self._report(losses, accuracy)
        except KeyboardInterrupt:
            ended = "interrupted"
        result = self.model if self.average is None else self.average
        return Trained(result.eval(), tuple(losses), time.monotonic() - self.began, ended)

    @torch.no_grad()
    def _apply(
        self, index: int, gradients: Mapping[str, Tensor], buffers: Mapping[str, Tensor]
    ) -> None:
        parameters = dict(self.model.named_parameters())
        for name, parameter in parameters.items():
            parameter.grad = gradients.get(name)
        if self.plan.clip is not None:
            nn.utils.clip_grad_norm_(parameters.values(), self.plan.clip)
        factor = self.plan.schedule(index / self.plan.steps)
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        for name, buffer in self.model.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])
        if self.average is not None:
            keep = min(self.plan.average, (1 + index) / (10 + index))
            for mean, value in zip(_state(self.average), _state(self.model), strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - keep)
                else:
                    mean.copy_(value)

    def _report(self, losses: list[float], accuracy: float) -> None:
        seconds = time.monotonic() - self.began
        recent = losses[-self.plan.report :]
        self.journal.record(
            Event(
                self.kind,
                seconds,
                {
                    "step": len(losses),
                    "steps": self.plan.steps,
                    "loss": sum(recent) / len(recent),
                    "accuracy": accuracy,
                    "per_second": len(losses) * self.plan.batch / max(seconds, 1e-9),
                },
            )
        )


def _state(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _accuracy(outputs: Tensor, wanted: Tensor) -> float:
    """The share of right answers, for classification; else NaN."""
    if wanted.dtype != torch.int64 or outputs.dim() != wanted.dim() + 1:
        return float("nan")
    return float((outputs.argmax(-1) == wanted).float().mean())


def _batches(count: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of places below `count`, epoch after epoch; the last of an epoch may be smaller."""
    while True:
        yield from torch.split(torch.randperm(count, generator=generator), size)
