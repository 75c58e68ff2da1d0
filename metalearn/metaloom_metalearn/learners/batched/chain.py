"""A chain of layers on the task axis: value, gradient, and products with the Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena
from metaloom_metalearn.learners.batched.layer import Direction, Layer, Weights


@dataclass
class Tape:
    """What one pass leaves for its gradients: weights, what layers saved, gradients of values."""

    weights: Sequence[Weights]
    saved: list[Any] = field(default_factory=list)
    slopes: list[Tensor | None] = field(default_factory=list)


@dataclass(frozen=True)
class Chain:
    """Layers one after the other; `size` is how many numbers they compute of one example."""

    layers: tuple[Layer, ...]
    size: int

    def forward(self, arena: Arena, weights: Sequence[Weights], x: Tensor) -> tuple[Tensor, Tape]:
        """The value for x [tasks, n, ...], and a tape."""
        tape = Tape(weights)
        for layer, w in zip(self.layers, weights, strict=True):
            x, saved = layer.forward(arena, w, x)
            tape.saved.append(saved)
        return x, tape

    def backward(
        self, arena: Arena, tape: Tape, slope: Tensor, last: int = 0
    ) -> list[Weights | None]:
        """The gradients of the layers from the end down to number `last`; None below.

        slope: of the loss in the value; it is overwritten.
        """
        found: list[Weights | None] = [None] * len(self.layers)
        tape.slopes = [None] * len(self.layers)
        dy: Tensor | None = slope
        for index in range(len(self.layers) - 1, last - 1, -1):
            assert dy is not None
            tape.slopes[index] = dy
            dy, found[index] = self.layers[index].backward(
                arena, tape.weights[index], tape.saved[index], dy, index > last
            )
        return found

    def tangent(
        self, arena: Arena, tape: Tape, directions: Sequence[Direction]
    ) -> tuple[Tensor | None, list[Any]]:
        """How the value changes along directions, and what `product` needs of it."""
        rx: Tensor | None = None
        changed = []
        for layer, w, saved, v in zip(
            self.layers, tape.weights, tape.saved, directions, strict=True
        ):
            rx, of_layer = layer.tangent(arena, w, saved, v, rx)
            changed.append(of_layer)
        return rx, changed

    def product(
        self,
        arena: Arena,
        tape: Tape,
        directions: Sequence[Direction],
        changed: Sequence[Any],
        slope: Tensor,
        last: int = 0,
    ) -> list[Weights]:
        """The Hessian times the directions; slope: how the gradient in the value changes."""
        found: list[Weights] = [()] * len(self.layers)
        rdy: Tensor | None = slope
        for index in range(len(self.layers) - 1, last - 1, -1):
            assert rdy is not None
            rdy, found[index] = self.layers[index].tangent_backward(
                arena,
                tape.weights[index],
                tape.saved[index],
                changed[index],
                directions[index],
                tape.slopes[index],
                rdy,
                index > last,
            )
        return found
