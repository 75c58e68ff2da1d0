"""Meta-SGD: MAML that learns a rate, and so a direction, for every number of the model.

Li, Zhou, Chen and Li 2017: theta' = theta - alpha * grad L_support(theta) elementwise, theta and
alpha both trained by the gradient of L_query(theta') (eq. 1-2, algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.engine import Engine
from metaloom_metalearn.learners.batched.gradient_steps import GradientSteps
from metaloom_metalearn.learners.choices import adaptable, require_choice
from metaloom_metalearn.learners.descent import (
    Descent,
    descend,
    finished,
    gradient_through,
)
from metaloom_metalearn.learners.equipped import (
    MODEL,
    Equipped,
    adaptable_of,
    name_of_learned,
    require_equipped,
)
from metaloom_metalearn.learners.learned_rates import gradient_with_rates
from metaloom_metalearn.learners.learner import (
    Adapted,
    Choice,
    Loss,
    MetaGradient,
    as_targets,
    buffers_of,
    every,
    natural_loss,
    parameters_of,
    require_settings,
)
from metaloom_metalearn.learners.per_task import State
from metaloom_metalearn.tasks import Examples


@dataclass(frozen=True)
class MetaSGD:
    """Gradient steps at rates that were learned one by one; see `meta_sgd`."""

    steps: int
    lr: float
    loss: Loss = natural_loss
    inner: Choice = every
    chunk: int | None = None
    engine: Engine = field(default_factory=Engine, compare=False, repr=False)

    def __post_init__(self) -> None:
        require_settings(self.steps, self.lr)

    def equip(self, model: nn.Module) -> Equipped:
        """The model with a rate for each number of each parameter that the steps change."""
        parameters = parameters_of(model)
        chosen = require_choice(model, adaptable_of(model, self.inner))
        return Equipped(
            model, {f"rate.{name}": torch.full_like(parameters[name], self.lr) for name in chosen}
        )

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """Adapt a copy of the model: at its learned rates, or all at `lr` where it has none."""
        del generator
        parameters = parameters_of(model)
        changed = require_choice(model, adaptable_of(model, self.inner))
        wanted = as_targets(support.outputs, parameters[changed[0]])
        down = self._descent(model, parameters, buffers_of(model), support.inputs, wanted)
        return finished(model, changed, down)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The gradient of the mean query loss after adaptation: of the model and of its rates.

        Raises InvalidTask where the model has no rates: train `learner.equip(model)`.
        """
        del generator
        equipped = require_equipped(model, "meta_sgd")
        chosen = adaptable(equipped.model, self.inner)
        steps = GradientSteps(self.steps, self.lr, loss=self.loss, inner=chosen)
        found = gradient_with_rates(
            self.engine, equipped, episodes, steps, self.chunk, of_each_step=False
        )
        if found is not None:
            return found
        return gradient_through(model, episodes, self._descent, self.loss, self.chunk)

    def _descent(
        self, model: nn.Module, parameters: State, buffers: State, x: tuple[Any, ...], y: Tensor
    ) -> Descent:
        def update(step: int, name: str, value: Tensor, gradient: Tensor) -> Tensor:
            rate = parameters.get(name_of_learned(f"rate.{name.removeprefix(MODEL)}"), self.lr)
            return value - rate * gradient

        return descend(
            model,
            parameters,
            buffers,
            x,
            y,
            steps=self.steps,
            update=update,
            loss=self.loss,
            chosen=adaptable_of(model, self.inner),
        )


def meta_sgd(
    steps: int = 1,
    lr: float = 0.01,
    loss: Loss = natural_loss,
    inner: Choice = every,
    chunk: int | None = None,
) -> MetaSGD:
    """Meta-SGD with `steps` inner steps, whose rates begin at `lr` and are meta-trained.

    Train `learner.equip(model)`, which holds the rates as parameters.  The other settings are those
    of `maml`.
    """
    return MetaSGD(steps, lr, loss, inner, chunk)
