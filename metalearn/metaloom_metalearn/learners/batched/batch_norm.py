"""Batch norm by the statistics of the batch, on the task axis, and the rectifier after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena
from metaloom_metalearn.learners.batched.kernels import Kernels
from metaloom_metalearn.learners.batched.layer import Direction, Weights


@dataclass(frozen=True)
class Running:
    """The buffers that follow the statistics, by name; `count` is "" where batches are not counted.

    A buffer b becomes (1 - momentum) b + momentum s.
    """

    mean: str
    variance: str
    count: str
    momentum: float


class Normalised(NamedTuple):
    """What a pass leaves: z normalised, 1 / its deviation, y where rectified; its statistics."""

    normal: Tensor
    inverse: Tensor
    y: Tensor | None
    mean: Tensor
    variance: Tensor
    shape: torch.Size


@dataclass(frozen=True)
class BatchNorm:
    """y = (z - m) / sqrt(v + eps) * scale + shift per task and channel, the last axis.

    z is overwritten, or a copy of it where it is `shared` with another.  rectify: max(y, 0), whose
    slope at 0 is 0.
    Ioffe and Szegedy 2015, algorithm 1; v is the biased variance.
    """

    names: tuple[str, ...]
    eps: float
    kernels: Kernels
    rectify: bool = False
    running: Running | None = None
    shared: bool = False

    def packed(self, tensors: Weights) -> Weights:
        return tensors

    def unpacked(self, tensors: Weights) -> Weights:
        return tensors

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Normalised]:
        tasks, channels = x.shape[0], x.shape[-1]
        scale, shift = _affine(arena, w, tasks, channels)
        mean, variance, inverse = (arena.empty(tasks, channels) for _ in range(3))
        if self.shared:
            x = arena.empty(*x.shape).copy_(x)
        y = arena.empty(*x.shape)
        rows, flat = x.view(tasks, -1, channels), y.view(tasks, -1, channels)
        self.kernels.norm(rows, scale, shift, self.eps, self.rectify, mean, variance, inverse, flat)
        return y, Normalised(rows, inverse, flat if self.rectify else None, mean, variance, x.shape)

    def backward(
        self, arena: Arena, w: Weights, saved: Normalised, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        tasks, channels = dy.shape[0], dy.shape[-1]
        scale, _ = _affine(arena, w, tasks, channels)
        dscale, dshift = arena.empty(tasks, channels), arena.empty(tasks, channels)
        dz = arena.empty(*dy.shape)
        self.kernels.norm_backward(
            dy.view(tasks, -1, channels),
            saved.y,
            saved.normal,
            saved.inverse,
            scale,
            dz.view(tasks, -1, channels),
            dscale,
            dshift,
        )
        return dz, (dscale, dshift) if w else ()

    def tangent(
        self, arena: Arena, w: Weights, saved: Normalised, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        if rx is None and all(one is None for one in v):
            return None, None
        tasks, rows, channels = saved.normal.shape
        scale, _ = _affine(arena, w, tasks, channels)
        if rx is None:
            rx = arena.empty(tasks, rows, channels).zero_()
        rz = rx.view(tasks, rows, channels)
        ry, rinverse = arena.empty(*saved.shape), arena.empty(tasks, channels)
        vscale, vshift = (
            arena.empty(tasks, channels).zero_() if one is None else one
            for one in (v or (None, None))
        )
        self.kernels.norm_tangent(
            rz,
            saved.y,
            saved.normal,
            saved.inverse,
            scale,
            vscale,
            vshift,
            rinverse,
            ry.view(tasks, rows, channels),
        )
        return ry, (rz, rinverse)

    def tangent_backward(
        self,
        arena: Arena,
        w: Weights,
        saved: Normalised,
        changed: Any,
        v: Direction,
        dy: Tensor | None,
        rdy: Tensor,
        lower: bool,
    ) -> tuple[Tensor | None, Weights]:
        if changed is None or dy is None:
            # Nothing changes below: the gradient changes as a gradient does.
            return self.backward(arena, w, saved, rdy, lower)
        tasks, rows, channels = saved.normal.shape
        scale, _ = _affine(arena, w, tasks, channels)
        flat = dy.view(tasks, rows, channels)
        rnormal, rinverse = changed
        vscale = v[0] if v and v[0] is not None else arena.empty(tasks, channels).zero_()
        rdscale, rdshift = arena.empty(tasks, channels), arena.empty(tasks, channels)
        self.kernels.norm_tangent_backward(
            flat,
            rdy.view(tasks, rows, channels),
            saved.y,
            saved.normal,
            rnormal,
            saved.inverse,
            rinverse,
            scale,
            vscale,
            rdscale,
            rdshift,
        )
        return rdy, (rdscale, rdshift) if w else ()


def _affine(arena: Arena, w: Weights, tasks: int, channels: int) -> tuple[Tensor, Tensor]:
    if w:
        return w[0], w[1]
    return arena.empty(tasks, channels).fill_(1.0), arena.empty(tasks, channels).zero_()
