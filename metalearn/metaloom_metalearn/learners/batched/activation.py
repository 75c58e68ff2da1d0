"""Functions of one number on the task axis, each with its first two derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_metalearn.learners.batched.arena import Arena
from metaloom_metalearn.learners.batched.layer import Direction, Fixed, Weights

Slopes: TypeAlias = Callable[[Tensor, Tensor], Tensor | None]
"""`(x, f(x)) -> a derivative of f`; None where it is zero everywhere."""


@dataclass(frozen=True)
class Function:
    """f, f' and f''; those of kinks as torch has them."""

    value: Callable[[Tensor], Tensor]
    first: Callable[[Tensor, Tensor], Tensor]
    second: Slopes


def _none(x: Tensor, y: Tensor) -> None:
    del x, y


def _density(x: Tensor) -> Tensor:
    """Of the standard normal distribution."""
    return torch.exp(-0.5 * x * x).mul_(0.3989422804014327)


FUNCTIONS = {
    "relu": Function(torch.relu, lambda x, y: torch.sign(y), _none),
    "tanh": Function(torch.tanh, lambda x, y: 1 - y * y, lambda x, y: -2 * y * (1 - y * y)),
    "sigmoid": Function(
        torch.sigmoid, lambda x, y: y * (1 - y), lambda x, y: y * (1 - y) * (1 - 2 * y)
    ),
    "silu": Function(
        functional.silu,
        lambda x, y: (s := torch.sigmoid(x)) * (1 + x * (1 - s)),
        lambda x, y: (s := torch.sigmoid(x)) * (1 - s) * (2 + x * (1 - 2 * s)),
    ),
    "gelu": Function(
        functional.gelu,
        lambda x, y: torch.special.ndtr(x).addcmul_(x, _density(x)),
        lambda x, y: _density(x) * (2 - x * x),
    ),
    "sin": Function(torch.sin, lambda x, y: torch.cos(x), lambda x, y: -y),
}
"""By the name that the operation has in a block's graph."""


@dataclass(frozen=True)
class Activation(Fixed):
    """y = f(x), number by number."""

    function: Function

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Any]:
        y = self.function.value(x)
        return y, (x, y, self.function.first(x, y))

    def backward(
        self, arena: Arena, w: Weights, saved: Any, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        return torch.mul(dy, saved[2], out=arena.empty(*dy.shape)), ()

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        if rx is None:
            return None, None
        return torch.mul(rx, saved[2], out=arena.empty(*rx.shape)), rx

    def tangent_backward(
        self,
        arena: Arena,
        w: Weights,
        saved: Any,
        changed: Any,
        v: Direction,
        dy: Tensor | None,
        rdy: Tensor,
        lower: bool,
    ) -> tuple[Tensor | None, Weights]:
        x, y, first = saved
        rdx = torch.mul(rdy, first, out=arena.empty(*rdy.shape))
        if changed is not None and dy is not None:
            second = self.function.second(x, y)
            if second is not None:
                rdx.addcmul_(second * dy, changed)
        return rdx, ()
