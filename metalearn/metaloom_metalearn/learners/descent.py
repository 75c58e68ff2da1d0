"""Inner gradient descent: steps on one support, differentiable in where they begin."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.equipped import MODEL, Equipped
from metaloom_metalearn.learners.learner import (
    Adapted,
    Choice,
    Loss,
    MetaGradient,
    judged,
    require_finite,
)
from metaloom_metalearn.learners.per_task import OfTask, State, mean_over_tasks

Order: TypeAlias = Callable[[State], State]
"""The parameters at which an inner gradient is taken, as the outer gradient sees them."""


def second_order(parameters: State) -> State:
    """The outer gradient goes through the inner gradients: exact (Finn et al. 2017, eq. 1)."""
    return parameters


def first_order(parameters: State) -> State:
    """The inner gradients are constants to the outer one (Finn et al. 2017, section 5.2)."""
    return {name: value.detach() for name, value in parameters.items()}


Update: TypeAlias = Callable[[int, str, Tensor, Tensor], Tensor]
"""`(step, name, value, gradient) -> value after the step`, for each parameter that changes."""


class Descent(NamedTuple):
    """Where a descent ends, the buffers it leaves, and the loss before each step."""

    parameters: State
    buffers: State
    losses: tuple[Tensor, ...]


def descend(
    model: nn.Module,
    parameters: State,
    buffers: State,
    x: tuple[Any, ...],
    y: Tensor,
    *,
    steps: int,
    update: Update,
    loss: Loss,
    chosen: Choice,
    order: Order = second_order,
) -> Descent:
    """`steps` steps of `update` on the loss of `(x, y)`, over the parameters that `chosen` names.

    Writes to nothing it is given; works under `torch.func` transforms.
    """

    def support_loss(changing: State, rest: State, buffers: State) -> tuple[Tensor, State]:
        buffers = {name: value.clone() for name, value in buffers.items()}
        output = functional_call(model, ({**rest, **changing}, buffers), x)
        return judged(loss, output, y), buffers

    losses = []
    for step in range(steps):
        point = order(parameters)
        changing = {name: value for name, value in point.items() if chosen(name)}
        rest = {name: value for name, value in point.items() if name not in changing}
        gradient, (value, buffers) = grad_and_value(support_loss, has_aux=True)(
            changing, rest, buffers
        )
        parameters = {
            name: update(step, name, old, gradient[name]) if name in gradient else old
            for name, old in parameters.items()
        }
        losses.append(value)
    return Descent(parameters, {n: value.clone() for n, value in buffers.items()}, tuple(losses))


def finished(model: nn.Module, changed: tuple[str, ...], descent: Descent) -> Adapted:
    """A copy of the model at the end of a descent; of an `Equipped`, its model. Raises Diverged."""
    losses = tuple(map(float, descent.losses))
    for step, loss in enumerate(losses):
        require_finite(loss, step)
    copy = deepcopy(model)
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter.copy_(descent.parameters[name])
        for name, buffer in copy.named_buffers():
            buffer.copy_(descent.buffers[name])
    if isinstance(copy, Equipped):
        return Adapted(copy.model, tuple(name.removeprefix(MODEL) for name in changed), losses)
    return Adapted(copy, changed, losses)


Descending: TypeAlias = Callable[[nn.Module, State, State, tuple[Any, ...], Tensor], Descent]
"""`(model, parameters, buffers, x, y) -> Descent`: a learner's way down on a support."""


def gradient_through(
    model: nn.Module,
    episodes: Episodes,
    descending: Descending,
    loss: Loss,
    chunk: int | None = None,
) -> MetaGradient:
    """The gradient of the mean query loss after a descent on each support, through the descent."""

    def query_loss(
        parameters: State,
        buffers: State,
        model: nn.Module,
        sx: Tensor,
        sy: Tensor,
        qx: Tensor,
        qy: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, State]]:
        adapted, buffers, _ = descending(model, parameters, buffers, (sx,), sy)
        output = functional_call(model, (dict(adapted), dict(buffers)), (qx,))
        return judged(loss, output, qy), (output, buffers)

    def task(model: nn.Module, parameters: State, buffers: State, *columns: Tensor) -> OfTask:
        gradients, (value, (output, buffers)) = grad_and_value(query_loss, has_aux=True)(
            parameters, buffers, model, *columns
        )
        return OfTask(gradients, value, output, buffers)

    return mean_over_tasks(model, episodes, task, chunk)
