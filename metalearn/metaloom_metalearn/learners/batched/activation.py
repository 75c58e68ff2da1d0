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


def _positive(x: Tensor) -> Tensor:
    return (x > 0).to(x.dtype)


FUNCTIONS = {
    "relu": Function(torch.relu, lambda x, y: _positive(x), _none),
    "tanh": Function(torch.tanh, lambda x, y: 1 - y * y, lambda x, y: -2 * y * (1 - y * y)),
    "sigmoid": Function(
        torch.sigmoid, lambda x, y: y * (1 - y), lambda x, y: y * (1 - y) * (1 - 2 * y)
    ),
    "silu": Function(
        functional.silu,
        lambda x, y: (s := torch.sigmoid(x)) * (1 + x * (1 - s)),
        lambda x, y: (s := torch.sigmoid(x)) * (1 - s) * (2 + x * (1 - 2 * s)),
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
        return dy * saved[2], ()

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        return (None, None) if rx is None else (rx * saved[2], rx)

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
        rdx = rdy * first
        if changed is not None and dy is not None:
            second = self.function.second(x, y)
            if second is not None:
                rdx.addcmul_(second * dy, changed)
        return rdx, ()
