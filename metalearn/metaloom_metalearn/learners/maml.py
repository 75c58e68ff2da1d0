"""Model-agnostic meta-learning: a starting point from which a few gradient steps suffice.

Finn, Abbeel and Levine 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from metaloom_metalearn.episodes import Episodes
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
    require_finite,
    require_settings,
)
from metaloom_metalearn.tasks import Examples

State: TypeAlias = Mapping[str, Tensor]

Order: TypeAlias = Callable[[State], State]
"""The parameters at which an inner gradient is taken, as the outer gradient sees them."""


def second_order(parameters: State) -> State:
    """The outer gradient goes through the inner gradients: exact (Finn et al. 2017, eq. 1)."""
    return parameters


def first_order(parameters: State) -> State:
    """The inner gradients are constants to the outer one (Finn et al. 2017, section 5.2)."""
    return {name: value.detach() for name, value in parameters.items()}


@dataclass(frozen=True)
class MAML:
    """Gradient steps from the model's own parameters, and the gradient through them; see `maml`."""

    steps: int
    lr: float
    order: Order = second_order
    loss: Loss = natural_loss
    inner: Choice = every
    chunk: int | None = None

    def __post_init__(self) -> None:
        require_settings(self.steps, self.lr)

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """Adapt a copy of the model to the support."""
        del generator
        parameters = parameters_of(model)
        like = next(iter(parameters.values()), None)
        wanted = as_targets(support.outputs, like)
        adapted, buffers, losses = self._adapted(
            model, parameters, buffers_of(model), support.inputs, wanted
        )
        history = tuple(map(float, losses))
        for step, loss in enumerate(history):
            require_finite(loss, step)
        copy = deepcopy(model)
        with torch.no_grad():
            for name, parameter in copy.named_parameters():
                parameter.copy_(adapted[name])
            for name, buffer in copy.named_buffers():
                buffer.copy_(buffers[name])
        return Adapted(copy, tuple(filter(self.inner, parameters)), history)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The gradient of the mean query loss after adaptation, all tasks at once.

        The gradient is taken within each task and then averaged: the gradient of an average over
        `vmap` is silently wrong in the second order for affine batch, layer and instance norm.
        """
        del generator
        parameters = parameters_of(model)
        tasks = len(episodes)
        start = {
            name: value.expand(tasks, *value.shape) for name, value in buffers_of(model).items()
        }

        def task(
            parameters: State, buffers: State, sx: Tensor, sy: Tensor, qx: Tensor, qy: Tensor
        ) -> tuple[Tensor, tuple[Tensor, State]]:
            adapted, buffers, _ = self._adapted(model, parameters, buffers, (sx,), sy)
            output = functional_call(model, (dict(adapted), dict(buffers)), (qx,))
            return self.loss(output, qy), (output, buffers)

        step = vmap(
            grad_and_value(task, has_aux=True),
            in_dims=(None, 0, 0, 0, 0, 0),
            randomness="different",
        )
        total: dict[str, Tensor] = {}
        ends: list[State] = []
        outputs: list[Tensor] = []
        loss = 0.0
        size = self.chunk or tasks
        for first in range(0, tasks, size):
            some = slice(first, first + size)
            part = episodes.take(some)
            buffers = {name: value[some].clone() for name, value in start.items()}
            gradients, (losses, (output, buffers)) = step(
                parameters, buffers, part.support_x, part.support_y, part.query_x, part.query_y
            )
            for name, gradient in gradients.items():
                total[name] = total.get(name, 0) + gradient.sum(0)
            ends.append(buffers)
            outputs.append(output.detach())
            loss += float(losses.sum())
        return MetaGradient(
            loss / tasks,
            {name: value / tasks for name, value in total.items()},
            {name: _averaged([end[name] for end in ends]) for name in start},
            torch.cat(outputs),
        )

    def _adapted(
        self, model: nn.Module, parameters: State, buffers: State, x: tuple[Any, ...], y: Tensor
    ) -> tuple[State, State, list[Tensor]]:
        """The parameters and buffers after the inner steps, and the loss before each."""

        def support_loss(changing: State, rest: State, buffers: State) -> tuple[Tensor, State]:
            buffers = {name: value.clone() for name, value in buffers.items()}
            output = functional_call(model, ({**rest, **changing}, buffers), x)
            return self.loss(output, y), buffers

        losses = []
        for _ in range(self.steps):
            point = self.order(parameters)
            changing = {name: value for name, value in point.items() if self.inner(name)}
            rest = {name: value for name, value in point.items() if name not in changing}
            gradient, (loss, buffers) = grad_and_value(support_loss, has_aux=True)(
                changing, rest, buffers
            )
            parameters = {
                name: value - self.lr * gradient[name] if name in gradient else value
                for name, value in parameters.items()
            }
            losses.append(loss)
        return parameters, {name: value.clone() for name, value in buffers.items()}, losses


def _averaged(parts: list[Tensor]) -> Tensor:
    """The mean over the tasks of a buffer; of a counter, what the first task counted."""
    values = torch.cat(parts)
    return values.mean(0) if values.is_floating_point() else values[0]


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
    change, by name; all are meta-trained.  `chunk` tasks are computed at once, by default all.
    """
    return MAML(steps, lr, order, loss, inner, chunk)
