"""Meta-gradients task by task: what a learner computes of one task, for many at once, averaged.

A gradient is taken within each task and then averaged: the gradient of an average over `vmap` is
silently wrong in the second order for affine batch, layer and instance norm.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import vmap

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.learner import MetaGradient, buffers_of, parameters_of
from metaloom_metalearn.learners.unrolled import maps_over_tasks, unrolled
from metaloom_registry import InvalidTask

State: TypeAlias = Mapping[str, Tensor]
"""Parameters, buffers or their gradients, by name."""


class OfTask(NamedTuple):
    """What one task says: gradients by name, the query loss, the query's outputs, the buffers."""

    gradients: State
    loss: Tensor
    output: Tensor
    buffers: State


TaskStep: TypeAlias = Callable[..., OfTask]
"""`(model, parameters, buffers, sx, sy, qx, qy, *more) -> OfTask` of one task."""


def mean_over_tasks(
    model: nn.Module,
    episodes: Episodes,
    step: TaskStep,
    chunk: int | None = None,
    more: Sequence[Tensor] = (),
) -> MetaGradient:
    """The mean over the tasks of what `step` gives for each, `chunk` of them at a time.

    Every task begins with the model's parameters and buffers, which stay as they are.  `step` is
    given the model, its recurrent modules `unrolled`.  `more` are further tensors with an axis of
    tasks.

    With a chunk of one, and for models that `vmap` does not take at all, the tasks come one after
    the other: `way` says so.  Raises InvalidTask where `vmap` turns out not to take a model.
    """
    together = chunk != 1 and len(episodes) > 1 and maps_over_tasks(model)
    model = unrolled(model)
    parameters, start = parameters_of(model), buffers_of(model)
    tasks = len(episodes)
    size = chunk or tasks
    compute = _mapped if together else _one_by_one
    total: dict[str, Tensor] = {}
    ends: list[State] = []
    outputs: list[Tensor] = []
    losses: list[Tensor] = []
    for first in range(0, tasks, size):
        some = slice(first, first + size)
        part = episodes.take(some)
        columns = (part.support_x, part.support_y, part.query_x, part.query_y)
        buffers = {
            name: value.expand(len(part), *value.shape).clone() for name, value in start.items()
        }
        given = (buffers, *columns, *(column[some] for column in more))
        found = compute(partial(step, model, parameters), given)
        for name, gradient in found.gradients.items():
            total[name] = total.get(name, 0) + gradient.sum(0)
        ends.append(found.buffers)
        outputs.append(found.output.detach())
        losses.append(found.loss.sum())
    return MetaGradient(
        float(torch.stack(losses).sum()) / tasks,
        {name: value / tasks for name, value in total.items()},
        {name: _averaged([end[name] for end in ends]) for name in start},
        torch.cat(outputs),
        "vmap" if together else "tasks",
    )


def _mapped(step: Callable[..., OfTask], given: tuple[Any, ...]) -> OfTask:
    try:
        return vmap(step, randomness="different")(*given)
    except RuntimeError as error:
        told = str(error).strip().partition("\n")[0]
        if not re.search("vmap|batching rule", told, re.IGNORECASE):
            raise
        raise InvalidTask(
            f"tasks of this model are not computed together: {told:.200}  Give the learner "
            "chunk=1, which takes one after the other, or write that part of the model without "
            "branches on values"
        ) from error


def _one_by_one(step: Callable[..., OfTask], given: tuple[Any, ...]) -> OfTask:
    buffers, *columns = given
    found = [
        step({name: value[index] for name, value in buffers.items()}, *(c[index] for c in columns))
        for index in range(len(columns[0]))
    ]
    gradients, losses, outputs, ends = zip(*found, strict=True)
    return OfTask(_stacked(gradients), torch.stack(losses), torch.stack(outputs), _stacked(ends))


def _stacked(states: Sequence[State]) -> State:
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def _averaged(parts: list[Tensor]) -> Tensor:
    """The mean over the tasks of a buffer; of a counter, what the first task counted."""
    values = torch.cat(parts)
    return values.mean(0) if values.is_floating_point() else values[0]
