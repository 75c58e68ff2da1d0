"""Meta-gradients task by task: what a learner computes of one task, for many at once, averaged.

A gradient is taken within each task and then averaged: the gradient of an average over `vmap` is
silently wrong in the second order for affine batch, layer and instance norm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import vmap

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.learner import MetaGradient, buffers_of, parameters_of

State: TypeAlias = Mapping[str, Tensor]
"""Parameters, buffers or their gradients, by name."""


class OfTask(NamedTuple):
    """What one task says: gradients by name, the query loss, the query's outputs, the buffers."""

    gradients: State
    loss: Tensor
    output: Tensor
    buffers: State


TaskStep: TypeAlias = Callable[..., OfTask]
"""`(parameters, buffers, support_x, support_y, query_x, query_y, *more) -> OfTask` of one task."""


def mean_over_tasks(
    model: nn.Module,
    episodes: Episodes,
    step: TaskStep,
    chunk: int | None = None,
    more: Sequence[Tensor] = (),
) -> MetaGradient:
    """The mean over the tasks of what `step` gives for each, `chunk` of them at a time.

    Every task begins with the model's parameters and buffers, which stay as they are.  `more` are
    further tensors with an axis of tasks.
    """
    parameters, start = parameters_of(model), buffers_of(model)
    tasks = len(episodes)
    mapped = vmap(step, in_dims=(None, 0, 0, 0, 0, 0, *(0 for _ in more)), randomness="different")
    total: dict[str, Tensor] = {}
    ends: list[State] = []
    outputs: list[Tensor] = []
    loss = 0.0
    size = chunk or tasks
    for first in range(0, tasks, size):
        some = slice(first, first + size)
        part = episodes.take(some)
        buffers = {
            name: value.expand(len(part), *value.shape).clone() for name, value in start.items()
        }
        found = mapped(
            parameters,
            buffers,
            part.support_x,
            part.support_y,
            part.query_x,
            part.query_y,
            *(column[some] for column in more),
        )
        for name, gradient in found.gradients.items():
            total[name] = total.get(name, 0) + gradient.sum(0)
        ends.append(found.buffers)
        outputs.append(found.output.detach())
        loss += float(found.loss.sum())
    return MetaGradient(
        loss / tasks,
        {name: value / tasks for name, value in total.items()},
        {name: _averaged([end[name] for end in ends]) for name in start},
        torch.cat(outputs),
    )


def _averaged(parts: list[Tensor]) -> Tensor:
    """The mean over the tasks of a buffer; of a counter, what the first task counted."""
    values = torch.cat(parts)
    return values.mean(0) if values.is_floating_point() else values[0]
