"""A linear map on the task axis: one batched matrix product each way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena
from metaloom_metalearn.learners.batched.layer import Direction, Weights


@dataclass(frozen=True)
class Linear:
    """y = x W + b; x [tasks, n, f], W [tasks, f, o], b [tasks, o].

    image: height, width and channels of what was flattened into f, whose features the module
    counts channels first; None where nothing was.
    """

    names: tuple[str, ...]
    image: tuple[int, int, int] | None = None

    def packed(self, tensors: Weights) -> Weights:
        weight = tensors[0]
        if self.image is not None:
            h, w, c = self.image
            weight = weight.view(-1, c, h, w).permute(0, 2, 3, 1).flatten(1)
        return (weight.t().contiguous(), *tensors[1:])

    def unpacked(self, tensors: Weights) -> Weights:
        weight = tensors[0].t()
        if self.image is not None:
            weight = weight.reshape(-1, *self.image).permute(0, 3, 1, 2).flatten(1)
        return (weight.contiguous(), *tensors[1:])

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
        y = arena.empty(*x.shape[:2], w[0].shape[2])
        product(x, w[0], y, w[1] if len(w) > 1 else None)
        return y, x

    def backward(
        self, arena: Arena, w: Weights, saved: Tensor, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        weight = torch.bmm(saved.transpose(1, 2), dy, out=arena.empty(*w[0].shape))
        dx = None
        if lower:
            dx = torch.bmm(dy, w[0].transpose(1, 2), out=arena.empty(*saved.shape))
        if len(w) == 1:
            return dx, (weight,)
        return dx, (weight, torch.sum(dy, 1, out=arena.empty(*w[1].shape)))

    def tangent(
        self, arena: Arena, w: Weights, saved: Tensor, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        if rx is None and all(one is None for one in v):
            return None, None
        ry = arena.empty(*saved.shape[:2], w[0].shape[2])
        terms = [(saved, v[0])] if v[0] is not None else []
        if rx is not None:
            terms.append((rx, w[0]))
        shift = v[1] if len(v) > 1 else None
        if not terms:
            assert shift is not None
            ry.copy_(shift[:, None].expand_as(ry))
        for position, (one, other) in enumerate(terms):
            if position:
                ry.baddbmm_(one, other)
            else:
                product(one, other, ry, shift)
        return ry, rx

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
        weight = torch.bmm(saved.transpose(1, 2), rdy, out=arena.empty(*w[0].shape))
        if changed is not None and dy is not None:
            weight.baddbmm_(changed.transpose(1, 2), dy)
        rdx = None
        if lower:
            rdx = torch.bmm(rdy, w[0].transpose(1, 2), out=arena.empty(*saved.shape))
            if v[0] is not None and dy is not None:
                rdx.baddbmm_(dy, v[0].transpose(1, 2))
        if len(w) == 1:
            return rdx, (weight,)
        return rdx, (weight, torch.sum(rdy, 1, out=arena.empty(*w[1].shape)))


def product(x: Tensor, weight: Tensor, out: Tensor, shift: Tensor | None) -> None:
    """x W + b per task, into `out`."""
    if shift is None:
        torch.bmm(x, weight, out=out)
    else:
        torch.baddbmm(shift[:, None], x, weight, out=out)
