"""Reptile: move the model to where descent on each task leads.

Nichol, Achiam and Schulman 2018, algorithm 2: with phi what k steps of SGD make of theta on one
task, theta goes towards the mean of phi; (theta - phi) / lr serves as the gradient (section 5.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.choices import adaptable, require_choice
from metaloom_metalearn.learners.descent import (
    Descent,
    descend,
    finished,
    first_order,
)
from metaloom_metalearn.learners.learner import (
    Adapted,
    Loss,
    MetaGradient,
    as_targets,
    buffers_of,
    judged,
    natural_loss,
    parameters_of,
    require_settings,
)
from metaloom_metalearn.learners.per_task import OfTask, State, mean_over_tasks
from metaloom_metalearn.tasks import Examples
from metaloom_registry import ParseError


@dataclass(frozen=True)
class Reptile:
    """Plain gradient steps, and the way they went as the gradient; see `reptile`."""

    steps: int
    lr: float
    batch: int | None = None
    loss: Loss = natural_loss
    chunk: int | None = None

    def __post_init__(self) -> None:
        require_settings(self.steps, self.lr)
        if self.lr == 0 or (self.batch is not None and self.batch < 1):
            raise ParseError(
                f"reptile was given lr={self.lr} and batch={self.batch}; give a rate above 0 and "
                "a batch of at least 1 example"
            )

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """Adapt a copy of the model to the support."""
        parameters = parameters_of(model)
        changed = require_choice(model, adaptable(model))
        wanted = as_targets(support.outputs, parameters[changed[0]])
        down = Descent(parameters, buffers_of(model), ())
        for places in self._batches(1, len(support), generator)[0]:
            part = support.take(places.tolist())
            after = self._step(model, down, part.inputs, wanted[places.to(wanted.device)])
            down = after._replace(losses=down.losses + after.losses)
        return finished(model, changed, down)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The mean of (theta - phi) / lr over the tasks.

        The paper needs no query: each task's steps see its support and its query together, so the
        outputs and the loss given back are those of examples that were learned from.
        """
        count = episodes.support_x.shape[1] + episodes.query_x.shape[1]
        places = self._batches(len(episodes), count, generator).to(episodes.support_x.device)

        def task(
            model: nn.Module,
            start: State,
            buffers: State,
            sx: Tensor,
            sy: Tensor,
            qx: Tensor,
            qy: Tensor,
            places: Tensor,
        ) -> OfTask:
            x, y = torch.cat([sx, qx]), torch.cat([sy, qy])
            down = Descent(start, buffers, ())
            for some in places:
                down = self._step(model, down, (x[some],), y[some])
            gradients = {
                name: (value - down.parameters[name]) / self.lr for name, value in start.items()
            }
            after = dict(down.buffers)
            output = functional_call(model, (dict(down.parameters), after), (qx,))
            return OfTask(gradients, judged(self.loss, output, qy), output, after)

        return mean_over_tasks(model, episodes, task, self.chunk, (places,))

    def _step(self, model: nn.Module, before: Descent, x: tuple[Any, ...], y: Tensor) -> Descent:
        return descend(
            model,
            before.parameters,
            before.buffers,
            x,
            y,
            steps=1,
            update=lambda step, name, value, gradient: value - self.lr * gradient,
            loss=self.loss,
            chosen=adaptable(model),
            order=first_order,
        )

    def _batches(self, tasks: int, count: int, generator: torch.Generator) -> Tensor:
        """Places of examples, int64 [tasks, steps, batch]: all of them, or some at random."""
        if self.batch is None or self.batch >= count:
            return torch.arange(count).expand(tasks, self.steps, count)
        keys = torch.rand(tasks, self.steps, count, generator=generator)
        return keys.argsort(-1)[..., : self.batch]


def reptile(
    steps: int = 5,
    lr: float = 0.1,
    batch: int | None = None,
    loss: Loss = natural_loss,
    chunk: int | None = None,
) -> Reptile:
    """Reptile with `steps` inner steps of SGD, each on `batch` examples at random, by default all.

    With one step it is training on all tasks jointly (section 5): take several.  The paper's own
    update is `meta_train` with plain SGD of rate epsilon * lr.
    """
    return Reptile(steps, lr, batch, loss, chunk)
