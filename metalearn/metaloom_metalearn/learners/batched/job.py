"""One meta-gradient to compute: what is computed of some of its tasks, and how that adds up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.arena import Arena, Arenas
from metaloom_metalearn.learners.batched.batch_norm import BatchNorm
from metaloom_metalearn.learners.batched.chain import Chain, Tape
from metaloom_metalearn.learners.batched.gradient_steps import (
    BatchedGradient,
    GradientSteps,
    State,
)
from metaloom_metalearn.learners.batched.layer import Direction, Weights
from metaloom_metalearn.learners.batched.losses import slope_of, slope_tangent
from metaloom_metalearn.learners.descent import second_order
from metaloom_metalearn.learners.learner import MetaGradient


@dataclass(frozen=True)
class Part:
    """Sums over some tasks: losses, packed gradients of parameters and rates, buffers; outputs.

    The loss stays a tensor, so that nothing waits for a device before all parts are asked for.
    """

    loss: Tensor
    gradients: list[Weights]
    rates: list[list[Weights]]
    buffers: dict[str, Tensor]
    outputs: Tensor


@dataclass(frozen=True)
class _Step:
    """An inner step: its pass over the support, and the gradients of the query after it.

    slopes: of the support; only where the rates are learned.
    """

    tape: Tape
    outputs: Tensor
    slopes: list[Weights | None]
    query: list[Weights] | None


class Job:
    """The gradient of the mean query loss after a descent from the model's parameters."""

    def __init__(
        self,
        chain: Chain,
        parameters: State,
        buffers: State,
        episodes: Episodes,
        descent: GradientSteps,
        arenas: Arenas,
    ) -> None:
        self.arenas = arenas
        self.chain, self.episodes, self.descent = chain, episodes, descent
        self.parameters, self.buffers = parameters, buffers
        self.like = next(iter(parameters.values()))
        rates = descent.rates
        self.learned = not isinstance(rates, float | int)
        self.turn = -float(rates) if isinstance(rates, float | int) else 1.0
        self.start = self._packed(parameters)
        self.inner = [tuple(map(descent.inner, layer.names)) for layer in chain.layers]
        changing = [index for index, some in enumerate(self.inner) if any(some)]
        self.lowest = min(changing, default=len(chain.layers))
        self.weights = descent.weights or [0.0] * (descent.steps - 1) + [1.0]
        self.rates = [self._step_rates(step) for step in range(descent.steps)]

    def _packed(self, named: State) -> list[Weights]:
        return [
            layer.packed(tuple(named[name] for name in layer.names)) for layer in self.chain.layers
        ]

    def _unpacked(self, packed: Sequence[Weights]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for layer, w in zip(self.chain.layers, packed, strict=True):
            if w:
                found |= zip(layer.names, layer.unpacked(w), strict=True)
        return found

    def _step_rates(self, step: int) -> Sequence[tuple[float | Tensor, ...]]:
        rates = self.descent.rates
        if isinstance(rates, float | int):
            return [(float(rates),) * len(layer.names) for layer in self.chain.layers]
        given = {name: rate.detach() for name, rate in rates[step].items()}
        none = self.like.new_zeros(())
        return self._packed(
            {
                name: given.get(name, none).expand(value.shape)
                for name, value in self.parameters.items()
            }
        )

    def part(self, some: slice) -> Part:
        """What the tasks of a slice say."""
        with self.arenas.lent(self.like) as arena:
            return self._part(arena, some)

    def _part(self, arena: Arena, some: slice) -> Part:
        episodes, descent, chain = self.episodes.take(some), self.descent, self.chain
        support, query = _channels_last(episodes.support_x), _channels_last(episodes.query_x)
        support_y, query_y = self._wanted(episodes.support_y), self._wanted(episodes.query_y)
        point = [tuple(_stacked(arena, one, len(episodes)) for one in w) for w in self.start]
        running = self._running()
        steps: list[_Step] = []
        loss = self.like.new_zeros(())

        def judged(weight: float, *, last: bool) -> tuple[Tensor, list[Weights]]:
            """The query's outputs and gradients; what they were computed with is given back."""
            nonlocal loss
            kept = [tuple(arena.empty(*one.shape) for one in w) for w in point]
            mark = arena.mark()
            outputs, tape = chain.forward(arena, point, query)
            if last:
                self._follow(running, tape)
            slope = slope_of(descent.loss, outputs, query_y)
            loss = loss.add(slope.losses.sum(), alpha=weight)
            found = chain.backward(arena, tape, slope.gradient.mul_(weight))
            for own, w in zip(kept, found, strict=True):
                for one, other in zip(own, w or (), strict=True):
                    one.copy_(other)
            answers = outputs.clone() if last else outputs
            arena.release(mark)
            return answers, kept

        for step in range(descent.steps):
            outputs, tape = chain.forward(arena, point, support)
            self._follow(running, tape)
            slope = slope_of(descent.loss, outputs, support_y)
            found = chain.backward(arena, tape, slope.gradient, self.lowest)
            point = [
                self._stepped(arena, point[index], found[index], step, index)
                for index in range(len(point))
            ]
            query_slopes = None
            if self.weights[step] or step + 1 == descent.steps:
                answers, query_slopes = judged(self.weights[step], last=step + 1 == descent.steps)
            steps.append(_Step(tape, outputs, found if self.learned else [], query_slopes))
        if not descent.steps:
            answers, slopes = judged(1.0, last=True)
            return self._sums(loss, slopes, [], running, answers)
        slopes, rates = self._back(arena, steps, support_y)
        return self._sums(loss, slopes, rates, running, answers)

    def _stepped(
        self, arena: Arena, w: Weights, slopes: Weights | None, step: int, index: int
    ) -> Weights:
        """The parameters of a layer after a step; those that do not change are the same tensors.

        They take the place of the slopes, unless learned rates need those later.
        """
        if slopes is None or not any(self.inner[index]):
            return w
        return tuple(
            _moved(one, slope, rate, arena.empty(*one.shape) if self.learned else slope)
            if changes
            else one
            for one, slope, rate, changes in zip(
                w, slopes, self.rates[step][index], self.inner[index], strict=True
            )
        )

    def _back(
        self, arena: Arena, steps: list[_Step], wanted: Tensor
    ) -> tuple[list[Weights], list[list[Weights]]]:
        """From the gradients after the last step to those before the first; those of the rates."""
        slopes = steps[-1].query
        assert slopes is not None
        rates: list[list[Weights]] = []
        for number in range(len(steps) - 1, -1, -1):
            step = steps[number]
            if self.learned:
                rates.insert(0, self._rate_slopes(slopes, step.slopes))
            if self.descent.order is second_order:
                mark = arena.mark()
                directions = self._directions(arena, slopes, number)
                change, changed = self.chain.tangent(arena, step.tape, directions)
                assert change is not None
                turn = slope_tangent(self.descent.loss, step.outputs, wanted, change)
                curved = self.chain.product(arena, step.tape, directions, changed, turn)
                _add(slopes, curved, self.turn)
                arena.release(mark)
            earlier = steps[number - 1].query if number else None
            if earlier is not None:
                _add(slopes, earlier)
        return slopes, rates

    def _directions(self, arena: Arena, slopes: list[Weights], step: int) -> list[Direction]:
        """How the step moves where the parameters after it move along the gradients.

        One rate for all is left out here, and comes in with `turn`.
        """
        return [
            tuple(
                (_scaled(arena, slope, rate) if self.learned else slope) if changes else None
                for slope, rate, changes in zip(
                    slopes[index], self.rates[step][index], self.inner[index], strict=True
                )
            )
            for index in range(len(slopes))
        ]

    def _rate_slopes(self, slopes: list[Weights], found: list[Weights | None]) -> list[Weights]:
        return [
            ()
            if of_step is None
            else tuple(-(one * other).sum(0) for one, other in zip(after, of_step, strict=True))
            for after, of_step in zip(slopes, found, strict=True)
        ]

    def _wanted(self, y: Tensor) -> Tensor:
        return y.to(self.like.dtype) if y.is_floating_point() else y

    def _sums(
        self,
        loss: Tensor,
        slopes: list[Weights],
        rates: list[list[Weights]],
        running: dict[str, Tensor],
        outputs: Tensor,
    ) -> Part:
        return Part(
            loss,
            [tuple(one.sum(0) for one in w) for w in slopes],
            rates,
            {name: value.sum(0) for name, value in running.items()},
            outputs,
        )

    def _running(self) -> dict[str, Tensor]:
        """The running statistics that passes change, as they are before the first."""
        return {
            name: self.buffers[name]
            for layer in self.chain.layers
            if isinstance(layer, BatchNorm) and layer.running is not None
            for name in (layer.running.mean, layer.running.variance)
        }

    def _follow(self, running: dict[str, Tensor], tape: Tape) -> None:
        """What the running statistics of each task are after a pass."""
        for layer, seen in zip(self.chain.layers, tape.saved, strict=True):
            if not isinstance(layer, BatchNorm) or layer.running is None:
                continue
            rows, momentum = seen.normal.shape[1], layer.running.momentum
            unbiased = seen.variance * (rows / (rows - 1))
            for name, value in (
                (layer.running.mean, seen.mean),
                (layer.running.variance, unbiased),
            ):
                running[name] = torch.lerp(running[name], value, momentum)

    def averaged(self, parts: Iterable[Part], way: str) -> BatchedGradient:
        """The parts of all tasks together, in their order."""
        tasks = len(self.episodes)
        steps = self.descent.steps if self.learned else 0
        total: Part | None = None
        outputs = []
        for part in parts:
            outputs.append(part.outputs)
            if total is None:
                total = part
            else:
                _add(total.gradients, part.gradients)
                for one, other in zip(total.rates, part.rates, strict=True):
                    _add(one, other)
                for name, value in part.buffers.items():
                    total.buffers[name].add_(value)
                total = replace(total, loss=total.loss + part.loss)
        assert total is not None
        gradients = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        gradients |= {name: one / tasks for name, one in self._unpacked(total.gradients).items()}
        mean = MetaGradient(
            float(total.loss) / tasks,
            gradients,
            self._buffers(total.buffers),
            torch.cat(outputs),
            way,
        )
        rates = tuple(self._rate_gradients(step, total.rates[step]) for step in range(steps))
        return BatchedGradient(mean, rates)

    def _buffers(self, sums: State) -> dict[str, Tensor]:
        """Means of running statistics over the tasks; counters as each task counts."""
        found = {name: value.clone() for name, value in self.buffers.items()}
        found |= {name: value / len(self.episodes) for name, value in sums.items()}
        for layer in self.chain.layers:
            if isinstance(layer, BatchNorm) and layer.running is not None and layer.running.count:
                found[layer.running.count] += self.descent.steps + 1
        return found

    def _rate_gradients(self, step: int, packed: list[Weights]) -> State:
        rates = self.descent.rates
        assert not isinstance(rates, float | int)
        slopes = self._unpacked(packed)
        tasks = len(self.episodes)
        return {
            name: (slopes[name] / tasks).sum_to_size(rate.shape)
            if name in slopes
            else torch.zeros_like(rate)
            for name, rate in rates[step].items()
        }


def _channels_last(x: Tensor) -> Tensor:
    """Images [tasks, n, c, h, w] as [tasks, n, h, w, c]; rows as they are."""
    return (x.permute(0, 1, 3, 4, 2) if x.dim() == 5 else x).contiguous()


def _stacked(arena: Arena, value: Tensor, tasks: int) -> Tensor:
    """A parameter for each task."""
    if tasks == 1:
        return value[None]
    return arena.empty(tasks, *value.shape).copy_(value[None].expand(tasks, *value.shape))


def _moved(value: Tensor, slope: Tensor, rate: float | Tensor, out: Tensor) -> Tensor:
    """value - rate * slope, into `out`, which may be the slope."""
    if isinstance(rate, float):
        return torch.add(value, slope, alpha=-rate, out=out)
    return torch.addcmul(value, slope, rate, value=-1, out=out)


def _scaled(arena: Arena, slope: Tensor, rate: float | Tensor) -> Tensor:
    """-rate * slope."""
    return torch.mul(slope, -rate, out=arena.empty(*slope.shape))


def _add(total: list[Weights], more: Sequence[Weights], factor: float = 1.0) -> None:
    """Add in place, tensor by tensor, so many times."""
    for one, other in zip(total, more, strict=True):
        for value, summand in zip(one, other, strict=True):
            value.add_(summand, alpha=factor)
