"""Plain training of a classifier on labelled examples, epoch after epoch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.evaluation.answers import Answers
from metaloom_metalearn.journal import Journal
from metaloom_metalearn.learners.learner import Loss, natural_loss
from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_metalearn.training.checkpoint import Checkpoint
from metaloom_metalearn.training.loop import (
    Found,
    Loop,
    Setting,
    mixed_precision,
    share_right,
)
from metaloom_metalearn.training.plan import Augment, Plan, Trained
from metaloom_metalearn.training.validation import Validation
from metaloom_registry import InvalidTask


def train_classifier(
    model: nn.Module,
    data: LabelledArrays,
    generator: torch.Generator,
    plan: Plan,
    augment: Augment | None = None,
    loss: Loss = natural_loss,
    clock: Clock | None = None,
    journal: Journal | None = None,
    *,
    validation: Validation | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train a copy of `model` : input -> logits[classes] on labelled examples.

    Each step takes `plan.batch` examples: epochs in a random order, without replacement.  A
    `validation` says with `answering` how the model answers episodes.  The rest is as in
    `meta_train`; the events are called `train` and `train_validation`.
    """
    batches = _Epochs(data, plan.batch, generator)
    setting = Setting(clock, journal, validation, checkpoint)
    loop = Loop("train", model, plan, generator, setting, _no_answers, batches)

    def step(model: nn.Module) -> Found:
        index = batches.next()
        x, y = data.inputs[index], data.labels[index]
        if augment is not None:
            x = augment(x, generator)
        x, y = x.to(loop.device), y.to(loop.device)
        with mixed_precision(loop.device, plan.autocast):
            output = model(x)
            value = loss(output, y)
        names, parameters = zip(*model.named_parameters(), strict=True)
        gradients = torch.autograd.grad(value, parameters)
        return Found(
            float(value.detach()),
            dict(zip(names, gradients, strict=True)),
            {},
            share_right(output.detach(), y),
        )

    return loop.run(step)


def _no_answers(model: nn.Module, generator: torch.Generator) -> Answers:
    raise InvalidTask(
        "a classifier answers no episodes by itself; say with Validation(answering=...) how"
    )


class _Epochs:
    """Batches of places in a data set, epoch after epoch; the last of an epoch may be smaller."""

    def __init__(self, data: LabelledArrays, size: int, generator: torch.Generator) -> None:
        self.classes, self.data = data.classes, (data.digest,)
        self.count, self.size, self.generator = len(data), size, generator
        self.order = torch.empty(0, dtype=torch.int64)

    def next(self) -> Tensor:
        """The places of the next batch."""
        if not len(self.order):
            self.order = torch.randperm(self.count, generator=self.generator)
        batch, self.order = self.order[: self.size], self.order[self.size :]
        return batch

    def position(self) -> Mapping[str, Tensor]:
        """What is left of the epoch."""
        return {"order": self.order}

    def seek(self, position: Mapping[str, Tensor]) -> None:
        self.order = position["order"]
