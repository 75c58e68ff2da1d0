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

    The windows are made anew each time: that costs less than the memory they would take till then.
    centred: batch norm follows, which takes the shift away again, so its gradient is exactly zero.
    """

    names: tuple[str, ...]
    window: Window
    kernels: Kernels
    centred: bool = False

    def packed(self, tensors: Weights) -> Weights:
        return (tensors[0].permute(2, 3, 1, 0).flatten(0, 2).contiguous(), *tensors[1:])

    def unpacked(self, tensors: Weights) -> Weights:
        kh, kw = self.window.kernel
        weight = tensors[0].view(kh, kw, -1, tensors[0].shape[1]).permute(3, 2, 0, 1)
        return (weight.contiguous(), *tensors[1:])

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        z = arena.empty(*x.shape[:2], *self.window.size(*x.shape[2:4]), w[0].shape[2])
        mark = arena.mark()
        product(self._columns(arena, x), w[0], _rows(z), w[1] if len(w) > 1 else None)
        arena.release(mark)
        return z, x

    def backward(
        self, arena: Arena, w: Weights, saved: Tensor, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        weight = arena.empty(*w[0].shape)
        shift = self._shifted(arena, w, _rows(dy))
        dx = arena.empty(*saved.shape) if lower else None
        mark = arena.mark()
        columns = self._columns(arena, saved)
        torch.bmm(columns.transpose(1, 2), _rows(dy), out=weight)
        if dx is not None:
            spread = torch.bmm(_rows(dy), w[0].transpose(1, 2), out=columns)
            self.kernels.gather(spread, self.window, dx)
        arena.release(mark)
        return dx, (weight, *shift)

    def tangent(
        self, arena: Arena, w: Weights, saved: Tensor, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        shift = None if self.centred or len(v) == 1 else v[1]
        if rx is None and v[0] is None and shift is None:
            return None, None
        rz = arena.empty(*saved.shape[:2], *self.window.size(*saved.shape[2:4]), w[0].shape[2])
        rows = _rows(rz)
        if shift is None:
            rows.zero_()
        else:
            rows.copy_(shift[:, None].expand_as(rows))
        for image, weight in ((saved, v[0]), (rx, w[0])):
            if image is not None and weight is not None:
                mark = arena.mark()
                rows.baddbmm_(self._columns(arena, image), weight)
                arena.release(mark)
        return rz, rx

    def tangent_backward(
        self,
        arena: Arena,
        w: Weights,
        saved: Tensor,
        changed: Any,
        v: Direction,
        dy: Tensor | None,
        rdy: Tensor,
        lower: bool,
    ) -> tuple[Tensor | None, Weights]:
        weight = arena.empty(*w[0].shape)
        shift = self._shifted(arena, w, _rows(rdy))
        rdx = arena.empty(*saved.shape) if lower else None
        mark = arena.mark()
        columns = self._columns(arena, saved)
        torch.bmm(columns.transpose(1, 2), _rows(rdy), out=weight)
        if changed is not None and dy is not None:
            self.kernels.windows(changed, self.window, columns)
            weight.baddbmm_(columns.transpose(1, 2), _rows(dy))
        if rdx is not None:
            spread = torch.bmm(_rows(rdy), w[0].transpose(1, 2), out=columns)
            if v[0] is not None and dy is not None:
                spread.baddbmm_(_rows(dy), v[0].transpose(1, 2))
            self.kernels.gather(spread, self.window, rdx)
        arena.release(mark)
        return rdx, (weight, *shift)

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


def _rows(z: Tensor) -> Tensor:
    """All places of all images of a task in a row: [tasks, n h w, o]."""
    return z.view(z.shape[0], -1, z.shape[-1])
