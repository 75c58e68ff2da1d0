"""Model-agnostic meta-learning: a starting point from which a few gradient steps suffice.

Finn, Abbeel and Levine 2017: theta' = theta - lr grad L_support(theta), and the outer gradient is
that of the mean over tasks of L_query(theta') (eq. 1 and algorithm 1).
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
    Order,
    descend,
    finished,
    gradient_through,
    second_order,
)
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
class MAML:
    """Gradient steps from the model's own parameters, and the gradient through them; see `maml`."""

    steps: int
    lr: float
    order: Order = second_order
    loss: Loss = natural_loss
    inner: Choice = every
    chunk: int | None = None
    engine: Engine = field(default_factory=Engine, compare=False, repr=False)

    def __post_init__(self) -> None:
        require_settings(self.steps, self.lr)

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """Adapt a copy of the model to the support."""
        del generator
        parameters = parameters_of(model)
        changed = require_choice(model, adaptable(model, self.inner))
        wanted = as_targets(support.outputs, next(iter(parameters.values())))
        down = self._descent(model, parameters, buffers_of(model), support.inputs, wanted)
        return finished(model, changed, down)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The gradient of the mean query loss after adaptation, all tasks at once."""
        del generator
        chosen = adaptable(model, self.inner)
        require_choice(model, chosen)
        steps = GradientSteps(self.steps, self.lr, self.order, self.loss, chosen)
        found = self.engine.meta_gradient(model, episodes, steps, self.chunk)
        if found is not None:
            return found.mean
        return gradient_through(model, episodes, self._descent, self.loss, self.chunk)

    def _descent(
        self, model: nn.Module, parameters: State, buffers: State, x: tuple[Any, ...], y: Tensor
    ) -> Descent:
        return descend(
            model,
            parameters,
            buffers,
            x,
            y,
            steps=self.steps,
            update=lambda step, name, value, gradient: value - self.lr * gradient,
            loss=self.loss,
            chosen=adaptable(model, self.inner),
            order=self.order,
        )


def maml(
    steps: int,
    lr: float,
    order: Order = second_order,
    loss: Loss = natural_loss,
    inner: Choice = every,
    chunk: int | None = None,
) -> MAML:
    """MAML with `steps` inner gradient steps of rate `lr`.

    `order` is `second_order` or `first_order`.  `inner` chooses the parameters that the inner steps
    change, by name; all are meta-trained.  `chunk` tasks are computed at once, by default as many
    as is fast.
    """
    return MAML(steps, lr, order, loss, inner, chunk)
