"""A convolution on the task axis: its windows as rows of a matrix, and one batched product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena
from metaloom_metalearn.learners.batched.kernels import Kernels, Window
from metaloom_metalearn.learners.batched.layer import Direction, Weights
from metaloom_metalearn.learners.batched.linear import product


@dataclass(frozen=True)
class Convolution:
    """z = windows(x) W + b; x [tasks, n, h, w, c], W [tasks, kh kw c, o], b [tasks, o].

    centred: batch norm follows, which takes the shift away again, so its gradient is exactly zero.
    """

    names: tuple[str, ...]
    window: Window
    kernels: Kernels
    centred: bool = False

    def packed(self, tensors: Weights) -> Weights:
        return (tensors[0].permute(2, 3, 1, 0).flatten(0, 2).contiguous(), *tensors[1:])

    def unpacked(self, tensors: Weights) -> Weights:
        weight = tensors[0].unflatten(0, (*self.window.kernel, -1)).permute(3, 2, 0, 1)
        return (weight.contiguous(), *tensors[1:])

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Any]:
        tasks, n, height, width, _ = x.shape
        size = self.window.size(height, width)
        columns = self._columns(arena, x)
        z = arena.empty(*columns.shape[:2], w[0].shape[2])
        product(columns, w[0], z, w[1] if len(w) > 1 else None)
        return z.view(tasks, n, *size, -1), (columns, x.shape)

    def backward(
        self, arena: Arena, w: Weights, saved: Any, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        columns, shape = saved
        dz = dy.view(*columns.shape[:2], -1)
        weight = torch.bmm(columns.transpose(1, 2), dz, out=arena.empty(*w[0].shape))
        dx = None
        if lower:
            dx = arena.empty(*shape)
            mark = arena.mark()
            spread = torch.bmm(dz, w[0].transpose(1, 2), out=arena.empty(*columns.shape))
            self.kernels.gather(spread, self.window, dx)
            arena.release(mark)
        return dx, (weight, *self._shifted(arena, w, dz))

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        columns, shape = saved
        shift = None if self.centred or len(v) == 1 else v[1]
        if rx is None and v[0] is None and shift is None:
            return None, None
        rz = arena.empty(*columns.shape[:2], w[0].shape[2])
        changed = None if rx is None else self._columns(arena, rx)
        if v[0] is not None:
            product(columns, v[0], rz, shift)
            if changed is not None:
                rz.baddbmm_(changed, w[0])
        elif changed is not None:
            product(changed, w[0], rz, shift)
        else:
            assert shift is not None
            rz.copy_(shift[:, None].expand_as(rz))
        size = self.window.size(*shape[2:4])
        return rz.view(*shape[:2], *size, -1), changed

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
        columns, shape = saved
        rdz = rdy.view(*columns.shape[:2], -1)
        dz = None if dy is None else dy.view(*columns.shape[:2], -1)
        weight = torch.bmm(columns.transpose(1, 2), rdz, out=arena.empty(*w[0].shape))
        if changed is not None and dz is not None:
            weight.baddbmm_(changed.transpose(1, 2), dz)
        rdx = None
        if lower:
            rdx = arena.empty(*shape)
            mark = arena.mark()
            spread = torch.bmm(rdz, w[0].transpose(1, 2), out=arena.empty(*columns.shape))
            if v[0] is not None and dz is not None:
                spread.baddbmm_(dz, v[0].transpose(1, 2))
            self.kernels.gather(spread, self.window, rdx)
            arena.release(mark)
        return rdx, (weight, *self._shifted(arena, w, rdz))

    def _columns(self, arena: Arena, x: Tensor) -> Tensor:
        tasks, n, height, width, channels = x.shape
        oh, ow = self.window.size(height, width)
        kh, kw = self.window.kernel
        columns = arena.empty(tasks, n * oh * ow, kh * kw * channels)
        self.kernels.windows(x, self.window, columns)
        return columns

    def _shifted(self, arena: Arena, w: Weights, dz: Tensor) -> Weights:
        """The gradient of the shift, where there is one."""
        if len(w) == 1:
            return ()
        shift = arena.empty(*w[1].shape)
        return (shift.zero_() if self.centred else torch.sum(dz, 1, out=shift),)
