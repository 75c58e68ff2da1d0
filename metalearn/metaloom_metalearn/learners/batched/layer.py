"""A layer on the task axis: its value, its gradient, and how both change along a direction.

Every tensor begins with the axis of tasks, and images have their channels last:
activations [tasks, n, h, w, c] or [tasks, n, f].  The product of the Hessian of a loss with a
direction v is the derivative of the gradient along v (Pearlmutter 1994): a layer carries the
change of its value upwards (`tangent`) and the change of its gradient downwards
(`tangent_backward`).  None stands for a direction or change that is zero.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena

Weights: TypeAlias = tuple[Tensor, ...]
"""A layer's parameters, in the order of its names and in its own layout."""

Direction: TypeAlias = tuple[Tensor | None, ...]
"""For each parameter of a layer how it changes; None where it does not."""


class Layer(Protocol):
    """One link of a chain.  What it is given may share memory with what it gives."""

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, as the module names them."""
        ...

    def packed(self, tensors: Weights) -> Weights:
        """Parameters of the module, without task axis, in the layer's layout."""
        ...

    def unpacked(self, tensors: Weights) -> Weights:
        """The inverse of `packed`."""
        ...

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Any]:
        """The value, and what the other three need of it."""
        ...

    def backward(
        self, arena: Arena, w: Weights, saved: Any, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        """The gradients in x (where `lower`) and in the parameters; dy may be overwritten."""
        ...

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        """How the value changes, and what `tangent_backward` needs of it."""
        ...

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
        """How the gradients in x and in the parameters change; rdy may be overwritten.

        `dy` is as `backward` left it; None only where nothing changes below and v is zero.
        """
        ...


class Fixed:
    """What layers without parameters have in common to say about them: nothing."""

    names: tuple[str, ...] = ()

    def packed(self, tensors: Weights) -> Weights:
        return tensors

    def unpacked(self, tensors: Weights) -> Weights:
        return tensors
