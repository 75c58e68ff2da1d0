"""The meta-gradient by autograd, task after task, shared among threads.

For what the layers here do not know: where one operation on a task is large, as in convolutional
networks, this is faster on the CPU than batching over weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.gradient_steps import (
    BatchedGradient,
    GradientSteps,
    State,
)
from metaloom_metalearn.learners.descent import second_order
from metaloom_metalearn.learners.learner import (
    MetaGradient,
    buffers_of,
    judged,
    parameters_of,
)


class _Placed:
    """A model whose parameters and buffers are put in place for each call.

    It does what `torch.func.functional_call` does, which looks for all places at every call, and
    puts back what was there at every call; `restore` does so once.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        named = dict(model.named_parameters()) | dict(model.named_buffers())
        names = {id(value): name for name, value in named.items()}
        self._places: list[tuple[dict[str, Any], str, str, Tensor]] = []
        for module in model.modules():
            stores: tuple[dict[str, Any], ...] = module._parameters, module._buffers
            self._places += [
                (held, key, names[id(value)], value)
                for held in stores
                for key, value in held.items()
                if value is not None
            ]

    def __call__(self, parameters: State, buffers: dict[str, Tensor], x: Tensor) -> Any:
        """What the model gives for x; `buffers` become what it makes of them."""
        for held, key, name, _ in self._places:
            held[key] = buffers[name] if name in buffers else parameters[name]
        output = self.model(x)
        for held, key, name, _ in self._places:
            value = held[key]
            if name in buffers and value is not None:
                buffers[name] = value
        return output

    def restore(self) -> None:
        """Put back what was there."""
        for held, key, _, value in self._places:
            held[key] = value


def _twin(model: nn.Module) -> nn.Module:
    """A copy that shares the model's tensors: others are put in their places anyway."""
    held = (*model.parameters(), *model.buffers())
    return deepcopy(model, {id(value): value for value in held})


class PlainJob:
    """What `Job` computes, for any model."""

    def __init__(self, model: nn.Module, episodes: Episodes, descent: GradientSteps) -> None:
        self.model, self.episodes, self.descent = model, episodes, descent
        self.parameters, self.buffers = parameters_of(model), buffers_of(model)
        self.changing = [name for name in self.parameters if descent.inner(name)]
        self.weights = descent.weights or [0.0] * (descent.steps - 1) + [1.0]
        self._free = [_Placed(model)]

    def share(self, threads: int) -> None:
        """Let several threads compute parts at once: each takes a copy, the model itself rests."""
        self._free = [_Placed(_twin(self.model)) for _ in range(threads)]

    def part(self, some: slice) -> BatchedGradient:
        """The means over the tasks of a slice."""
        model = self._free.pop()
        try:
            with torch.enable_grad():
                indices = range(*some.indices(len(self)))
                return mean_of((self._task(model, index) for index in indices), len(indices))
        finally:
            model.restore()
            self._free.append(model)

    def __len__(self) -> int:
        return len(self.episodes)

    def _task(self, model: _Placed, index: int) -> BatchedGradient:
        """What one task says."""
        descent, episodes = self.descent, self.episodes
        start = {name: value.detach().requires_grad_() for name, value in self.parameters.items()}
        rates = self._own_rates()
        state: dict[str, Tensor] = dict(start)
        buffers = {name: value.clone() for name, value in self.buffers.items()}
        total: Tensor | None = None

        def loss(x: Tensor, y: Tensor, into: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            output = model(state, into, x[index])
            return output, judged(descent.loss, output, y[index])

        for step in range(descent.steps):
            _, of_support = loss(episodes.support_x, episodes.support_y, buffers)
            slopes = torch.autograd.grad(
                of_support,
                [state[name] for name in self.changing],
                create_graph=descent.order is second_order,
                allow_unused=True,
            )
            state = state | {
                name: _moved(state[name], slope, rates[step], name)
                for name, slope in zip(self.changing, slopes, strict=True)
                if slope is not None
            }
            last = step + 1 == descent.steps
            if self.weights[step] or last:
                into = buffers if last else {n: value.clone() for n, value in buffers.items()}
                output, of_query = loss(episodes.query_x, episodes.query_y, into)
                weight = self.weights[step]
                of_query = of_query if weight == 1 else weight * of_query
                total = of_query if total is None else total + of_query
        if total is None:
            output, total = loss(episodes.query_x, episodes.query_y, buffers)
        learned = [of_step for of_step in rates if not isinstance(of_step, float)]
        inputs = [*start.values(), *(rate for of_step in learned for rate in of_step.values())]
        gradients = iter(
            torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)
        )
        mean = MetaGradient(
            float(total.detach()),
            {name: next(gradients) for name in start},
            {name: value.detach() for name, value in buffers.items()},
            output.detach()[None],
            "plain",
        )
        found = tuple({name: next(gradients) for name in of_step} for of_step in learned)
        return BatchedGradient(mean, found)

    def _own_rates(self) -> Sequence[float | State]:
        """The rates of each step; learned ones as leaves of a task's own graph."""
        rates = self.descent.rates
        if isinstance(rates, float | int):
            return [float(rates)] * self.descent.steps
        return [
            {name: rate.detach().requires_grad_() for name, rate in of_step.items()}
            for of_step in rates
        ]


def _moved(value: Tensor, slope: Tensor, rate: float | State, name: str) -> Tensor:
    """A parameter after a step; as it was where there is no rate for it."""
    if isinstance(rate, float):
        return torch.sub(value, slope, alpha=rate)
    return value - rate[name] * slope if name in rate else value


def mean_of(found: Iterable[BatchedGradient], tasks: int) -> BatchedGradient:
    """The mean of what each of so many tasks says; buffers that count are those of the first."""
    rest = iter(found)
    first = next(rest)
    share = 1 / tasks
    loss, outputs = first.mean.loss * share, [first.mean.outputs]
    total = [_Mean(state, share) for state in _states(first)]
    for one in rest:
        loss += one.mean.loss * share
        outputs.append(one.mean.outputs)
        for part, state in zip(total, _states(one), strict=True):
            part.add(state)
    gradients, buffers, *rates = (part.value for part in total)
    mean = MetaGradient(loss, gradients, buffers, torch.cat(outputs), first.way)
    return BatchedGradient(mean, tuple(rates))


def _states(found: BatchedGradient) -> list[State]:
    return [found.mean.gradients, found.mean.buffers, *found.rates]


class _Mean:
    """A sum of shares, which holds no more than the sum."""

    def __init__(self, first: State, share: float) -> None:
        self.share = share
        self.value = {
            name: value * share if value.is_floating_point() else value
            for name, value in first.items()
        }

    def add(self, more: State) -> None:
        for name, value in self.value.items():
            if value.is_floating_point():
                value.add_(more[name], alpha=self.share)
