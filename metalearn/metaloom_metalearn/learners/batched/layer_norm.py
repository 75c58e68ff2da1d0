"""Layer norm on the task axis: each example by the statistics of its own features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena
from metaloom_metalearn.learners.batched.layer import Direction, Weights


@dataclass(frozen=True)
class LayerNorm:
    """y = (x - m) / sqrt(v + eps) * scale + shift over the last axis; x [tasks, n, f].

    Ba, Kiros and Hinton 2016; v is the biased variance.
    """

    names: tuple[str, ...]
    eps: float

    def packed(self, tensors: Weights) -> Weights:
        return tensors

    def unpacked(self, tensors: Weights) -> Weights:
        return tensors

    def forward(self, arena: Arena, w: Weights, x: Tensor) -> tuple[Tensor, Any]:
        normal = torch.sub(x, x.mean(-1, keepdim=True), out=arena.empty(*x.shape))
        inverse = (_along(normal, normal) + self.eps).rsqrt_()
        normal *= inverse
        if not w:
            return normal, (normal, inverse)
        y = arena.empty(*x.shape)
        return torch.addcmul(_row(w[1]), normal, _row(w[0]), out=y), (normal, inverse)

    def backward(
        self, arena: Arena, w: Weights, saved: Any, dy: Tensor, lower: bool
    ) -> tuple[Tensor | None, Weights]:
        normal, inverse = saved
        dx = None
        if lower:
            slope = _scaled(w, dy)
            dx = _across(slope, normal, _along(slope, normal)).mul_(inverse)
        return dx, ((dy * normal).sum(1), dy.sum(1)) if w else ()

    def tangent(
        self, arena: Arena, w: Weights, saved: Any, v: Direction, rx: Tensor | None
    ) -> tuple[Tensor | None, Any]:
        normal, inverse = saved
        vscale, vshift = v or (None, None)
        changed = None
        if rx is None:
            if vscale is None and vshift is None:
                return None, None
            ry = torch.zeros_like(normal)
        else:
            slope = _along(rx, normal)
            rnormal = _across(rx, normal, slope).mul_(inverse)
            # The layer above may write into what it is given.
            ry = _scaled(w, rnormal) if w else rnormal.clone()
            changed = rnormal, inverse.square().mul_(slope).neg_()
        if vscale is not None:
            ry = torch.addcmul(ry, normal, _row(vscale))
        return ry if vshift is None else ry + _row(vshift), changed

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
        normal, inverse = saved
        if dy is None or (changed is None and not any(one is not None for one in v)):
            return self.backward(arena, w, saved, rdy, lower)
        rdscale = rdy * normal
        if changed is not None:
            rdscale.addcmul_(dy, changed[0])
        found = (rdscale.sum(1), rdy.sum(1)) if w else ()
        if not lower:
            return None, found
        rslope = _scaled(w, rdy)
        if v and v[0] is not None:
            rslope = torch.addcmul(rslope, dy, _row(v[0]))
        if changed is None:
            return _across(rslope, normal, _along(rslope, normal)).mul_(inverse), found
        rnormal, rinverse = changed
        slope = _scaled(w, dy)
        along = _along(slope, normal)
        rdx = _across(rslope, normal, _along(rslope, normal) + _along(slope, rnormal))
        rdx.addcmul_(rnormal, along, value=-1).mul_(inverse)
        return rdx.addcmul_(_across(slope, normal, along), rinverse), found


def _row(weight: Tensor) -> Tensor:
    """A parameter [tasks, f] beside examples [tasks, n, f]."""
    return weight[:, None]


def _scaled(w: Weights, x: Tensor) -> Tensor:
    return x * _row(w[0]) if w else x


def _along(x: Tensor, other: Tensor) -> Tensor:
    """The mean product over the features, [tasks, n, 1]."""
    return (x * other).mean(-1, keepdim=True)


def _across(x: Tensor, normal: Tensor, along: Tensor) -> Tensor:
    """x less its mean over the features and its part along `normal`."""
    return (x - x.mean(-1, keepdim=True)).addcmul_(normal, along, value=-1)
