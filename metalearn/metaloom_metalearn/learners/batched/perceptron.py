"""Multilayer perceptrons on the CPU: the whole meta-gradient in a few compiled calls."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.activation import FUNCTIONS, Activation
from metaloom_metalearn.learners.batched.chain import Chain
from metaloom_metalearn.learners.batched.job import Job, Part
from metaloom_metalearn.learners.batched.layer import Weights
from metaloom_metalearn.learners.batched.linear import Linear
from metaloom_metalearn.learners.descent import second_order

NUMBERED = {FUNCTIONS["relu"]: 1, FUNCTIONS["tanh"]: 2, FUNCTIONS["sigmoid"]: 3}
"""The functions that the loop knows, by its numbers; 0 is none."""

WIDEST = 256
"""From this width on, a library's matrix product beats the loop."""

LARGEST = 1 << 11
"""And where a task has more numbers than these in its widest layer."""


@dataclass(frozen=True)
class PerceptronShape:
    """Layers: how wide before the first and after each, and the function after each."""

    widths: tuple[int, ...]
    functions: tuple[int, ...]


def perceptron_shape(chain: Chain, start: list[Weights]) -> PerceptronShape | None:
    """The chain as a perceptron of shifted layers, each with at most one function after it."""
    widths: list[int] = []
    functions: list[int] = []
    bare = False
    for layer, w in zip(chain.layers, start, strict=True):
        if isinstance(layer, Linear) and len(w) == 2:
            widths += w[0].shape if not widths else w[0].shape[1:]
            functions.append(0)
            bare = True
        elif isinstance(layer, Activation) and layer.function in NUMBERED and bare:
            functions[-1] = NUMBERED[layer.function]
            bare = False
        else:
            return None
    if not widths or max(widths) >= WIDEST:
        return None
    return PerceptronShape(tuple(widths), tuple(functions))


def fits(shape: PerceptronShape, episodes: Episodes) -> bool:
    """Whether the tasks are small, and the targets what the loop reads without looking.

    Of other targets autograd says what is wrong with them.
    """
    rows = max(episodes.support_x.shape[1], episodes.query_x.shape[1])
    if rows * max(shape.widths) > LARGEST:
        return False
    last = shape.widths[-1]
    for x, y in (
        (episodes.support_x, episodes.support_y),
        (episodes.query_x, episodes.query_y),
    ):
        examples = x.shape[:2]
        if is_labels(episodes):
            if y.dtype != torch.int64 or y.shape != examples or not y.numel():
                return False
            if int(y.min()) < 0 or int(y.max()) >= last:
                return False
        elif y.shape[:2] != examples or y.numel() != x.shape[0] * x.shape[1] * last:
            return False
    return True


def is_labels(episodes: Episodes) -> bool:
    """Whether the queries want labels [tasks, n]: as `natural_loss` decides it for one task."""
    return episodes.query_y.dtype == torch.int64 and episodes.query_y.dim() == 2


class PerceptronJob:
    """A `Job` on a perceptron, its parameters in one row."""

    def __init__(self, job: Job, shape: PerceptronShape) -> None:
        self.job, self.shape = job, shape
        self.start = _row(job.start)
        self.entropy = is_labels(job.episodes)
        self.rates = self.start.new_zeros(job.descent.steps, len(self.start))
        for step in range(job.descent.steps):
            self.rates[step] = self._rates(step)

    def _rates(self, step: int) -> Tensor:
        """The rates of a step in one row; 0 for what does not change."""
        job = self.job
        return _row(
            [
                tuple(
                    torch.as_tensor(rate, dtype=one.dtype).expand(one.shape)
                    if changes
                    else torch.zeros_like(one)
                    for one, rate, changes in zip(w, rates, inner, strict=True)
                )
                for w, rates, inner in zip(job.start, job.rates[step], job.inner, strict=True)
            ]
        )

    def part(self, some: slice) -> Part:
        """What the tasks of a slice say, as `Job.part`."""
        descent, episodes = self.job.descent, self.job.episodes.take(some)
        tasks, queries = episodes.query_x.shape[:2]
        new, size = self.start.new_zeros, len(self.start)
        losses, outputs = new(tasks), new(tasks, queries, self.shape.widths[-1])
        slopes = new(size)
        rate_slopes = new(descent.steps if self.job.learned else 0, size)
        support, query = (self._wanted(y) for y in (episodes.support_y, episodes.query_y))
        kernel: Any = import_module("metaloom_metalearn.learners.batched.perceptron_kernel")
        kernel.descend(
            self.start.numpy(),
            np.array(self.shape.widths),
            np.array(self.shape.functions),
            self.rates.numpy(),
            np.array(self.job.weights, self.start.numpy().dtype),
            descent.order is second_order,
            kernel.ENTROPY if self.entropy else kernel.SQUARES,
            episodes.support_x.contiguous().numpy(),
            support[0].numpy(),
            episodes.query_x.contiguous().numpy(),
            query[0].numpy(),
            support[1].numpy(),
            query[1].numpy(),
            losses.numpy(),
            outputs.numpy(),
            slopes.numpy(),
            rate_slopes.numpy(),
        )
        rates = [self._layers(of_step) for of_step in rate_slopes]
        return Part(losses.sum(), self._layers(slopes), rates, {}, outputs)

    def _wanted(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Targets [tasks, n, out] and labels [tasks, n]; the one that is not wanted is empty."""
        if self.entropy:
            return self.start.new_zeros(len(y), 0, 0), y.contiguous()
        values = y.to(self.start.dtype).reshape(*y.shape[:2], -1).contiguous()
        return values, torch.zeros(len(y), 0, dtype=torch.int64)

    def _layers(self, row: Tensor) -> list[Weights]:
        """A row of numbers as the parameters of the layers."""
        found: list[Weights] = []
        at = 0
        for w in self.job.start:
            parts = []
            for one in w:
                parts.append(row[at : at + one.numel()].view(one.shape))
                at += one.numel()
            found.append(tuple(parts))
        return found


def _row(packed: list[tuple[Tensor, ...]]) -> Tensor:
    return torch.cat([one.flatten() for w in packed for one in w])
