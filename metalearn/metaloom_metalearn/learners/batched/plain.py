"""The meta-gradient by autograd, task after task, shared among threads.

For what the layers here do not know: where one operation on a task is large, as in convolutional
networks, this is faster on the CPU than batching over weights.
"""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.gradient_steps import (
    BatchedGradient,
    GradientSteps,
    State,
)
from metaloom_metalearn.learners.descent import second_order
from metaloom_metalearn.learners.learner import MetaGradient, buffers_of, judged


class PlainJob:
    """What `Job` computes, for any model."""

    def __init__(self, model: nn.Module, episodes: Episodes, descent: GradientSteps) -> None:
        self.model, self.episodes, self.descent = model, episodes, descent
        self.buffers = buffers_of(model)
        self.weights = descent.weights or [0.0] * (descent.steps - 1) + [1.0]
        self._copies: list[nn.Module] = []

    def part(self, some: slice) -> BatchedGradient:
        """The means over the tasks of a slice."""
        # `functional_call` swaps the tensors of the module, so every thread has one of its own.
        model = self._copies.pop() if self._copies else deepcopy(self.model)
        try:
            with torch.enable_grad():
                found = [self._task(model, index) for index in range(*some.indices(len(self)))]
        finally:
            self._copies.append(model)
        return mean_of(found, [1] * len(found))

    def __len__(self) -> int:
        return len(self.episodes)

    def _task(self, model: nn.Module, index: int) -> BatchedGradient:
        """What one task says."""
        descent, episodes = self.descent, self.episodes
        start = {n: p.detach().requires_grad_() for n, p in self.model.named_parameters()}
        rates = self._own_rates()
        state: dict[str, Tensor] = dict(start)
        buffers = {name: value.clone() for name, value in self.buffers.items()}
        total = episodes.query_x.new_zeros(())

        def loss(x: Tensor, y: Tensor, into: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            output = functional_call(model, (state, into), (x[index],))
            return output, judged(descent.loss, output, y[index])

        for step in range(descent.steps):
            _, of_support = loss(episodes.support_x, episodes.support_y, buffers)
            names = [name for name in state if descent.inner(name)]
            slopes = torch.autograd.grad(
                of_support,
                [state[name] for name in names],
                create_graph=descent.order is second_order,
                allow_unused=True,
            )
            of_step = rates[step]
            state = state | {
                name: state[name] - of_step[name] * slope
                for name, slope in zip(names, slopes, strict=True)
                if slope is not None and name in of_step
            }
            last = step + 1 == descent.steps
            if self.weights[step] or last:
                into = buffers if last else {n: value.clone() for n, value in buffers.items()}
                output, of_query = loss(episodes.query_x, episodes.query_y, into)
                total = total + self.weights[step] * of_query
        if not descent.steps:
            output, total = loss(episodes.query_x, episodes.query_y, buffers)
        learned = [] if isinstance(descent.rates, float | int) else rates
        inputs = [*start.values(), *(rate for of_step in learned for rate in of_step.values())]
        gradients = iter(
            torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
        )
        mean = MetaGradient(
            float(total.detach()),
            {name: next(gradients) for name in start},
            {name: value.detach() for name, value in buffers.items()},
            output.detach()[None],
        )
        found = tuple({name: next(gradients) for name in of_step} for of_step in learned)
        return BatchedGradient(mean, found, "plain")

    def _own_rates(self) -> list[dict[str, Tensor]]:
        """The rates of each step, as leaves of a task's own graph."""
        rates, like = self.descent.rates, self.episodes.query_x
        if isinstance(rates, float | int):
            names = [name for name, _ in self.model.named_parameters()]
            return [dict.fromkeys(names, like.new_tensor(rates))] * self.descent.steps
        return [
            {name: rate.detach().requires_grad_() for name, rate in of_step.items()}
            for of_step in rates
        ]


def mean_of(found: list[BatchedGradient], tasks: list[int]) -> BatchedGradient:
    """The mean of means over so many tasks each; buffers that count are those of the first."""
    count = sum(tasks)

    def mean(states: list[State]) -> dict[str, Tensor]:
        first = states[0]
        return {
            name: sum(
                (one[name] * (n / count) for one, n in zip(states, tasks, strict=True)),
                torch.zeros_like(value),
            )
            if value.is_floating_point()
            else value
            for name, value in first.items()
        }

    means = [one.mean for one in found]
    return BatchedGradient(
        MetaGradient(
            sum(one.loss * n for one, n in zip(means, tasks, strict=True)) / count,
            mean([one.gradients for one in means]),
            mean([one.buffers for one in means]),
            torch.cat([one.outputs for one in means]),
        ),
        tuple(mean([one.rates[k] for one in found]) for k in range(len(found[0].rates))),
        found[0].way,
    )
