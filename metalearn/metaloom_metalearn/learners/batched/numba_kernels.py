"""The kernels of `Kernels` compiled by numba, for the CPU; needs the extra `fast`.

Each runs on one thread and frees the interpreter; channels lie next to each other in memory, so the
innermost loops become vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from torch import Tensor

from metaloom_metalearn.learners.batched.kernels import Window

compiled: Callable[[Any], Any] = njit(
    nogil=True, cache=True, fastmath={"contract", "nsz"}, error_model="numpy"
)


def windows(x: Tensor, window: Window, out: Tensor) -> None:
    _windows(x.numpy(), *window.kernel, *window.stride, *window.padding, out.numpy())


def gather(rows: Tensor, window: Window, out: Tensor) -> None:
    _gather(rows.numpy(), *window.kernel, *window.stride, *window.padding, out.numpy())


def norm(
    z: Tensor,
    scale: Tensor,
    shift: Tensor,
    eps: float,
    rectify: bool,
    mean: Tensor,
    variance: Tensor,
    inverse: Tensor,
    y: Tensor,
) -> None:
    _norm(
        z.numpy(),
        scale.numpy(),
        shift.numpy(),
        eps,
        rectify,
        mean.numpy(),
        variance.numpy(),
        inverse.numpy(),
        y.numpy(),
    )


def norm_backward(
    dy: Tensor,
    y: Tensor | None,
    normal: Tensor,
    inverse: Tensor,
    scale: Tensor,
    dz: Tensor,
    dscale: Tensor,
    dshift: Tensor,
) -> None:
    _norm_backward(
        dy.numpy(),
        y is not None,
        (dy if y is None else y).numpy(),
        normal.numpy(),
        inverse.numpy(),
        scale.numpy(),
        dz.numpy(),
        dscale.numpy(),
        dshift.numpy(),
    )


def norm_tangent(
    rz: Tensor,
    y: Tensor | None,
    normal: Tensor,
    inverse: Tensor,
    scale: Tensor,
    vscale: Tensor,
    vshift: Tensor,
    rinverse: Tensor,
    ry: Tensor,
) -> None:
    _norm_tangent(
        rz.numpy(),
        y is not None,
        (ry if y is None else y).numpy(),
        normal.numpy(),
        inverse.numpy(),
        scale.numpy(),
        vscale.numpy(),
        vshift.numpy(),
        rinverse.numpy(),
        ry.numpy(),
    )


def norm_tangent_backward(
    dy: Tensor,
    rdy: Tensor,
    y: Tensor | None,
    normal: Tensor,
    rnormal: Tensor,
    inverse: Tensor,
    rinverse: Tensor,
    scale: Tensor,
    vscale: Tensor,
    rdscale: Tensor,
    rdshift: Tensor,
) -> None:
    _norm_tangent_backward(
        dy.numpy(),
        rdy.numpy(),
        y is not None,
        (dy if y is None else y).numpy(),
        normal.numpy(),
        rnormal.numpy(),
        inverse.numpy(),
        rinverse.numpy(),
        scale.numpy(),
        vscale.numpy(),
        rdscale.numpy(),
        rdshift.numpy(),
    )


def maximum(x: Tensor, window: Window, y: Tensor, place: Tensor) -> None:
    _maximum(x.numpy(), *window.kernel, y.numpy(), place.numpy())


def choose(x: Tensor, window: Window, place: Tensor, out: Tensor) -> None:
    _choose(x.numpy(), *window.kernel, place.numpy(), out.numpy())


def scatter(dy: Tensor, window: Window, place: Tensor, out: Tensor) -> None:
    _scatter(dy.numpy(), *window.kernel, place.numpy(), out.numpy())


@compiled
def _windows(x: Any, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, out: Any) -> None:
    tasks, n, height, width, channels = x.shape
    oh, ow = (height + 2 * ph - kh) // sh + 1, (width + 2 * pw - kw) // sw + 1
    for t in range(tasks):
        for i in range(n):
            for oy in range(oh):
                for ox in range(ow):
                    row = (i * oh + oy) * ow + ox
                    for ky in range(kh):
                        iy = oy * sh + ky - ph
                        for kx in range(kw):
                            ix = ox * sw + kx - pw
                            first = (ky * kw + kx) * channels
                            if 0 <= iy < height and 0 <= ix < width:
                                for c in range(channels):
                                    out[t, row, first + c] = x[t, i, iy, ix, c]
                            else:
                                for c in range(channels):
                                    out[t, row, first + c] = 0


@compiled
def _gather(rows: Any, kh: int, kw: int, sh: int, sw: int, ph: int, pw: int, out: Any) -> None:
    tasks, n, height, width, channels = out.shape
    oh, ow = (height + 2 * ph - kh) // sh + 1, (width + 2 * pw - kw) // sw + 1
    for t in range(tasks):
        for i in range(n):
            for iy in range(height):
                for ix in range(width):
                    for c in range(channels):
                        out[t, i, iy, ix, c] = 0
            for oy in range(oh):
                for ox in range(ow):
                    row = (i * oh + oy) * ow + ox
                    for ky in range(kh):
                        iy = oy * sh + ky - ph
                        if 0 <= iy < height:
                            for kx in range(kw):
                                ix = ox * sw + kx - pw
                                if 0 <= ix < width:
                                    first = (ky * kw + kx) * channels
                                    for c in range(channels):
                                        out[t, i, iy, ix, c] += rows[t, row, first + c]


@compiled
def _norm(
    z: Any,
    scale: Any,
    shift: Any,
    eps: float,
    rectify: bool,
    mean: Any,
    variance: Any,
    inverse: Any,
    y: Any,
) -> None:
    tasks, rows, channels = z.shape
    zero = z.dtype.type(0)
    for t in range(tasks):
        m, v = np.zeros(channels, z.dtype), np.zeros(channels, z.dtype)
        for i in range(rows):
            for c in range(channels):
                m[c] += z[t, i, c]
        for c in range(channels):
            m[c] /= rows
        for i in range(rows):
            for c in range(channels):
                apart = z[t, i, c] - m[c]
                v[c] += apart * apart
        for c in range(channels):
            mean[t, c], variance[t, c] = m[c], v[c] / rows
            inverse[t, c] = 1 / np.sqrt(v[c] / rows + eps)
            v[c] = inverse[t, c]
        for i in range(rows):
            for c in range(channels):
                normal = (z[t, i, c] - m[c]) * v[c]
                z[t, i, c] = normal
                value = scale[t, c] * normal + shift[t, c]
                y[t, i, c] = zero if rectify and not value > zero else value


@compiled
def _norm_backward(
    dy: Any,
    rectified: bool,
    y: Any,
    normal: Any,
    inverse: Any,
    scale: Any,
    dz: Any,
    dscale: Any,
    dshift: Any,
) -> None:
    tasks, rows, channels = dy.shape
    zero = dy.dtype.type(0)
    for t in range(tasks):
        mean, slope = np.zeros(channels, dy.dtype), np.zeros(channels, dy.dtype)
        factor = np.empty(channels, dy.dtype)
        for i in range(rows):
            for c in range(channels):
                d = dy[t, i, c]
                if rectified:
                    d = d if y[t, i, c] > zero else zero
                    dy[t, i, c] = d
                mean[c] += d
                slope[c] += d * normal[t, i, c]
        for c in range(channels):
            dshift[t, c], dscale[t, c] = mean[c], slope[c]
            mean[c] /= rows
            slope[c] /= rows
            factor[c] = scale[t, c] * inverse[t, c]
        for i in range(rows):
            for c in range(channels):
                apart = dy[t, i, c] - mean[c] - normal[t, i, c] * slope[c]
                dz[t, i, c] = factor[c] * apart


@compiled
def _norm_tangent(
    rz: Any,
    rectified: bool,
    y: Any,
    normal: Any,
    inverse: Any,
    scale: Any,
    vscale: Any,
    vshift: Any,
    rinverse: Any,
    ry: Any,
) -> None:
    tasks, rows, channels = rz.shape
    zero = rz.dtype.type(0)
    for t in range(tasks):
        mean, slope = np.zeros(channels, rz.dtype), np.zeros(channels, rz.dtype)
        for i in range(rows):
            for c in range(channels):
                mean[c] += rz[t, i, c]
                slope[c] += rz[t, i, c] * normal[t, i, c]
        for c in range(channels):
            mean[c] /= rows
            slope[c] /= rows
            rinverse[t, c] = -inverse[t, c] * inverse[t, c] * slope[c]
        for i in range(rows):
            for c in range(channels):
                x = normal[t, i, c]
                change = inverse[t, c] * (rz[t, i, c] - mean[c] - x * slope[c])
                rz[t, i, c] = change
                value = vscale[t, c] * x + scale[t, c] * change + vshift[t, c]
                if rectified:
                    value = value if y[t, i, c] > zero else zero
                ry[t, i, c] = value


@compiled
def _norm_tangent_backward(
    dy: Any,
    rdy: Any,
    rectified: bool,
    y: Any,
    normal: Any,
    rnormal: Any,
    inverse: Any,
    rinverse: Any,
    scale: Any,
    vscale: Any,
    rdscale: Any,
    rdshift: Any,
) -> None:
    tasks, rows, channels = dy.shape
    zero = dy.dtype.type(0)
    for t in range(tasks):
        mean, slope = np.zeros(channels, dy.dtype), np.zeros(channels, dy.dtype)
        rmean, rslope = np.zeros(channels, dy.dtype), np.zeros(channels, dy.dtype)
        factor, rfactor = np.empty(channels, dy.dtype), np.empty(channels, dy.dtype)
        for i in range(rows):
            for c in range(channels):
                d, r = dy[t, i, c], rdy[t, i, c]
                if rectified:
                    r = r if y[t, i, c] > zero else zero
                    rdy[t, i, c] = r
                mean[c] += d
                slope[c] += d * normal[t, i, c]
                rmean[c] += r
                rslope[c] += r * normal[t, i, c] + d * rnormal[t, i, c]
        for c in range(channels):
            rdshift[t, c], rdscale[t, c] = rmean[c], rslope[c]
            mean[c] /= rows
            slope[c] /= rows
            rmean[c] /= rows
            rslope[c] /= rows
            factor[c] = scale[t, c] * inverse[t, c]
            rfactor[c] = vscale[t, c] * inverse[t, c] + scale[t, c] * rinverse[t, c]
        for i in range(rows):
            for c in range(channels):
                x = normal[t, i, c]
                still = dy[t, i, c] - mean[c] - x * slope[c]
                moving = rdy[t, i, c] - rmean[c] - x * rslope[c] - rnormal[t, i, c] * slope[c]
                rdy[t, i, c] = rfactor[c] * still + factor[c] * moving


@compiled
def _maximum(x: Any, kh: int, kw: int, y: Any, place: Any) -> None:
    tasks, n, oh, ow, channels = y.shape
    for t in range(tasks):
        for i in range(n):
            for oy in range(oh):
                for ox in range(ow):
                    for c in range(channels):
                        y[t, i, oy, ox, c] = x[t, i, oy * kh, ox * kw, c]
                        place[t, i, oy, ox, c] = 0
                    for k in range(1, kh * kw):
                        iy, ix = oy * kh + k // kw, ox * kw + k % kw
                        for c in range(channels):
                            larger = not x[t, i, iy, ix, c] <= y[t, i, oy, ox, c]
                            if larger:
                                y[t, i, oy, ox, c] = x[t, i, iy, ix, c]
                            place[t, i, oy, ox, c] = k if larger else place[t, i, oy, ox, c]


@compiled
def _choose(x: Any, kh: int, kw: int, place: Any, out: Any) -> None:
    tasks, n, oh, ow, channels = out.shape
    for t in range(tasks):
        for i in range(n):
            for oy in range(oh):
                for ox in range(ow):
                    for c in range(channels):
                        k = np.int64(place[t, i, oy, ox, c])
                        out[t, i, oy, ox, c] = x[t, i, oy * kh + k // kw, ox * kw + k % kw, c]


@compiled
def _scatter(dy: Any, kh: int, kw: int, place: Any, out: Any) -> None:
    tasks, n, oh, ow, channels = dy.shape
    height, width = out.shape[2], out.shape[3]
    for t in range(tasks):
        for i in range(n):
            for iy in range(height):
                for ix in range(width):
                    oy, ox = iy // kh, ix // kw
                    if oy < oh and ox < ow:
                        k = (iy - oy * kh) * kw + ix - ox * kw
                        for c in range(channels):
                            here = place[t, i, oy, ox, c] == k
                            out[t, i, iy, ix, c] = dy[t, i, oy, ox, c] if here else 0
                    else:
                        for c in range(channels):
                            out[t, i, iy, ix, c] = 0
