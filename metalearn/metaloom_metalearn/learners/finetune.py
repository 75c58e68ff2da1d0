"""Fine-tuning: steps of an optimiser on the support alone."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.learners.choices import adaptable, require_choice
from metaloom_metalearn.learners.learner import (
    Adapted,
    Choice,
    Loss,
    as_targets,
    every,
    judged,
    natural_loss,
    require_finite,
    require_settings,
)
from metaloom_metalearn.learners.optimisers import Optimiser, adam
from metaloom_metalearn.tasks import Examples
from metaloom_registry import InvalidTask, ParseError


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
        every_wanted = as_targets(support.outputs, trained[0])
        losses: list[float] = []
        for step in range(self.steps):
            if self.clock is not None and self.clock.expired():
                break
            part, wanted = support, every_wanted
            if self.batch is not None and self.batch < len(support):
                places = torch.randperm(len(support), generator=generator)[: self.batch]
                part, wanted = support.take(places.tolist()), wanted[places.to(wanted.device)]
            with torch.enable_grad():
                loss = judged(self.loss, model(*part.inputs), wanted)
            losses.append(float(loss.detach()))
            require_finite(losses[-1], step)
            if not loss.requires_grad:
                raise InvalidTask(
                    "the loss does not depend on what is trained; compute it from the output"
                )
            gradients = torch.autograd.grad(loss, trained, allow_unused=True)
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()
        for parameter in trained:
            parameter.grad = None
        return tuple(losses)


def fine_tune(
    steps: int = 100,
    optimiser: Optimiser | None = None,
    batch: int | None = None,
    loss: Loss = natural_loss,
    chosen: Choice = every,
    clock: Clock | None = None,
    lr: float | None = None,
) -> FineTune:
    """Fine-tune the parameters that `chosen` names, by default all, for at most `steps` steps.

    `optimiser` is by default `adam(lr)`, with a rate of 0.001.  Each step takes `batch` examples at
    random, by default all.  Stops early when `clock` has run out, and keeps what it has.  Raises
    ParseError where both an optimiser and a rate are given.
    """
    return FineTune(steps, chosen_optimiser(optimiser, lr, 0.001), batch, loss, chosen, clock)


def chosen_optimiser(optimiser: Optimiser | None, lr: float | None, default: float) -> Optimiser:
    """The optimiser, or Adam at a rate. Raises ParseError for both, and for a rate that is none."""
    if optimiser is None:
        require_settings(0, default if lr is None else lr)
        return adam(default if lr is None else lr)
    if lr is not None:
        raise ParseError(f"both an optimiser and lr={lr} are given; give the rate to the optimiser")
    return optimiser
