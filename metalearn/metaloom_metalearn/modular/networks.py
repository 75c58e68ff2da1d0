"""A library of small networks of one shape, all evaluated at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_registry import ParseError

State: TypeAlias = tuple[Tensor, ...]
"""Weights and biases in turn, each with a leading axis of modules or of tasks."""


class Networks(nn.Module):
    """`count` multilayer perceptrons, from vec[sizes[0]] to vec[sizes[-1]], tanh in between.

    Layer l holds the weights [count, sizes[l], sizes[l + 1]] of all of them.  Raises ParseError for
    fewer than one network or fewer than two sizes.
    """

    def __init__(self, count: int, sizes: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        if count < 1 or len(sizes) < 2 or min(sizes) < 1:
            raise ParseError(
                f"{count} networks of sizes {tuple(sizes)}; give at least one network, and sizes "
                "such as (1, 16, 16, 1)"
            )
        self.count, self.sizes = count, tuple(sizes)
        weights, biases = [], []
        for fan, size in pairwise(sizes):
            spread = 1 / math.sqrt(fan)
            weights.append(nn.Parameter(_uniform((count, fan, size), spread, generator)))
            biases.append(nn.Parameter(_uniform((count, 1, size), spread, generator)))
        self.weights, self.biases = nn.ParameterList(weights), nn.ParameterList(biases)

    def state(self, which: Tensor | None = None) -> State:
        """The parameters of the modules `which` int64 [tasks], or of all, one after another."""
        held = [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]
        return tuple(p if which is None else p[which] for p in held)

    def forward(self, x: Tensor) -> Tensor:
        """Every module on the same inputs: x [..., i] -> [count, ..., o]."""
        flat = x.reshape(1, -1, x.shape[-1]).expand(self.count, -1, -1)
        return run(self.state(), flat).reshape(self.count, *x.shape[:-1], self.sizes[-1])

    def module(self, index: int) -> nn.Sequential:
        """A copy of one module, as an ordinary network that can be published."""
        layers: list[nn.Module] = []
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            if place:
                layers.append(nn.Tanh())
            layer = nn.Linear(weight.shape[1], weight.shape[2], dtype=weight.dtype)
            with torch.no_grad():
                layer.weight.copy_(weight[index].T)
                layer.bias.copy_(bias[index, 0])
            layers.append(layer)
        return nn.Sequential(*layers)


def run(state: State, x: Tensor) -> Tensor:
    """Module t on the inputs of task t: x [tasks, n, i] -> [tasks, n, o]."""
    for place in range(0, len(state), 2):
        x = torch.baddbmm(state[place + 1], x, state[place])
        if place + 2 < len(state):
            x = x.tanh()
    return x


def _uniform(shape: tuple[int, ...], spread: float, generator: torch.Generator) -> Tensor:
    return (2 * torch.rand(shape, generator=generator) - 1) * spread


Module: TypeAlias = Callable[[Tensor], Tensor]
"""What stands at one slot of a structure: x [tasks, n, i] -> [tasks, n, o], a module a task."""
