"""Fine-tuning: gradient steps on the support alone, of a whole block or of a fresh head on it."""

from __future__ import annotations

from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.learners.choices import adaptable, require_choice
from metaloom_metalearn.learners.learner import (
    Adapted,
    Choice,
    Loss,
    as_targets,
    every,
    natural_loss,
    require_finite,
    require_settings,
)
from metaloom_metalearn.learners.optimisers import Optimiser, adam
from metaloom_metalearn.tasks import Examples
from metaloom_registry import InvalidTask


@dataclass(frozen=True)
class FineTune:
    """Steps of an optimiser on a copy of the model; see `fine_tune`."""

    steps: int
    optimiser: Optimiser
    batch: int | None = None
    loss: Loss = natural_loss
    chosen: Choice = every
    clock: Clock | None = None

    def __post_init__(self) -> None:
        require_settings(self.steps)

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        copy = deepcopy(model)
        changed = require_choice(copy, adaptable(copy, self.chosen))
        for name, parameter in copy.named_parameters():
            parameter.requires_grad_(name in changed)
        losses = self._descend(copy, support, generator)
        for parameter in copy.parameters():
            parameter.requires_grad_(True)
        return Adapted(copy, changed, losses)

    def _descend(
        self, model: nn.Module, support: Examples, generator: torch.Generator
    ) -> tuple[float, ...]:
        """Change the model in place; gives the loss before each step."""
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimiser = self.optimiser(trained)
        losses: list[float] = []
        for step in range(self.steps):
            if self.clock is not None and self.clock.expired():
                break
            part = support if self.batch is None else _drawn(support, self.batch, generator)
            with torch.enable_grad():
                loss = self.loss(model(*part.inputs), as_targets(part.outputs, trained[0]))
            losses.append(float(loss.detach()))
            require_finite(losses[-1], step)
            gradients = torch.autograd.grad(loss, trained, allow_unused=True)
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()
        for parameter in trained:
            parameter.grad = None
        return tuple(losses)


def _drawn(examples: Examples, count: int, generator: torch.Generator) -> Examples:
    if count >= len(examples):
        return examples
    return examples.take(torch.randperm(len(examples), generator=generator)[:count].tolist())


def fine_tune(
    steps: int = 100,
    optimiser: Optimiser | None = None,
    batch: int | None = None,
    loss: Loss = natural_loss,
    chosen: Choice = every,
    clock: Clock | None = None,
) -> FineTune:
    """Fine-tune the parameters that `chosen` names, by default all, for at most `steps` steps.

    `optimiser` is by default `adam(0.001)`.  Each step takes `batch` examples at random, by default
    all.  Stops early when `clock` has run out, and keeps what it has.
    """
    return FineTune(steps, optimiser or adam(0.001), batch, loss, chosen, clock)


@dataclass(frozen=True)
class FreshHead:
    """A new linear layer on the frozen block; see `fresh_head`."""

    outputs: int
    tune: FineTune

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        encoder = deepcopy(model)
        with torch.no_grad():
            features = deepcopy(model)(*support.inputs)
        if not isinstance(features, Tensor) or features.dim() != 2:
            given = list(features.shape) if isinstance(features, Tensor) else type(features)
            raise InvalidTask(f"a fresh head goes on vectors [n, features], not on {given}")
        head = nn.Linear(features.shape[1], self.outputs, device="meta", dtype=features.dtype)
        head.to_empty(device=features.device)  # no draw from torch's own randomness
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.zero_()
        fitted = self.tune(head, Examples((features,), support.outputs), generator)
        whole = nn.Sequential(OrderedDict(encoder=encoder, head=fitted.model))
        whole.training = model.training
        return Adapted(whole, ("head.weight", "head.bias"), fitted.losses)


def fresh_head(
    outputs: int,
    steps: int = 100,
    optimiser: Optimiser | None = None,
    batch: int | None = None,
    loss: Loss = natural_loss,
    clock: Clock | None = None,
) -> FreshHead:
    """Train a new linear layer with `outputs` outputs on the block's vectors, the block frozen.

    The vectors are computed once.  The layer begins at zero, so nothing is left to chance but the
    choice of batches; the other settings are those of `fine_tune`, with `adam(0.05)`.
    """
    return FreshHead(outputs, fine_tune(steps, optimiser or adam(0.05), batch, loss, clock=clock))
