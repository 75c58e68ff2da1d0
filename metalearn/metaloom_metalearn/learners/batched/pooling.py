"""Pooling on the task axis: the maximum of disjoint windows, and the mean over an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena
from metaloom_metalearn.learners.batched.kernels import Kernels, Window
from metaloom_metalearn.learners.batched.layer import Direction, Fixed, Weights


@dataclass(frozen=True)
class MaxPool(Fixed):
    """The maximum of disjoint windows without a border; of equal ones the first."""

    window: Window
    kernels: Kernels

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Any]:
        tasks, n, height, width, channels = x.shape
        shape = tasks, n, *self.window.size(height, width), channels
        place = torch.empty(shape, dtype=torch.uint8, device=x.device)
        y = arena.empty(*shape)
        self.kernels.maximum(x, self.window, y, place)
        return y, (place, x.shape)

    def backward(
        self, arena: Arena, w: Weights, saved: Any, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        place, shape = saved
        dx = arena.empty(*shape)
        self.kernels.scatter(dy, self.window, place, dx)
        return dx, ()

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        if rx is None:
            return None, None
        ry = arena.empty(*saved[0].shape)
        self.kernels.choose(rx, self.window, saved[0], ry)
        return ry, None

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
        return self.backward(arena, w, saved, rdy, lower)


@dataclass(frozen=True)
class ImageMean(Fixed):
    """The mean over height and width; x [tasks, n, h, w, c] -> [tasks, n, c]."""

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Any]:
        return x.mean((2, 3)), x.shape

    def backward(
        self, arena: Arena, w: Weights, saved: Any, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        dx = arena.empty(*saved)
        return dx.copy_((dy / (saved[2] * saved[3]))[:, :, None, None].expand(saved)), ()

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        return None if rx is None else rx.mean((2, 3)), None

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
        return self.backward(arena, w, saved, rdy, lower)


@dataclass(frozen=True)
class Flatten(Fixed):
    """All features of an example in one row; x [tasks, n, h, w, c] -> [tasks, n, h w c]."""

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Any]:
        return x.flatten(2), x.shape

    def backward(
        self, arena: Arena, w: Weights, saved: Any, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        return dy.view(saved), ()

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        return None if rx is None else rx.flatten(2), None

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
        return rdy.view(saved), ()
