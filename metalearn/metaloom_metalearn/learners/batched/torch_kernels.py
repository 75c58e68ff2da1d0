"""The kernels of `Kernels` in plain torch, for any device."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_metalearn.learners.batched.kernels import Window


def windows(x: Tensor, window: Window, out: Tensor) -> None:
    (kh, kw), (sh, sw), (ph, pw) = window.kernel, window.stride, window.padding
    padded = functional.pad(x, (0, 0, pw, pw, ph, ph))
    found = padded.unfold(2, kh, sh).unfold(3, kw, sw).permute(0, 1, 2, 3, 5, 6, 4)
    out.view(found.shape).copy_(found)


def gather(rows: Tensor, window: Window, out: Tensor) -> None:
    (kh, kw), (sh, sw), (ph, pw) = window.kernel, window.stride, window.padding
    tasks, n, height, width, channels = out.shape
    oh, ow = window.size(height, width)
    parts = rows.view(tasks, n, oh, ow, kh, kw, channels)
    padded = out.new_zeros(tasks, n, height + 2 * ph, width + 2 * pw, channels)
    for i in range(kh):
        for j in range(kw):
            place = padded[:, :, i : i + sh * (oh - 1) + 1 : sh, j : j + sw * (ow - 1) + 1 : sw]
            place += parts[:, :, :, :, i, j]
    out.copy_(padded[:, :, ph : ph + height, pw : pw + width])


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
    torch.mean(z, 1, out=mean)
    z -= mean[:, None]
    torch.mean(z * z, 1, out=variance)
    torch.rsqrt(variance + eps, out=inverse)
    z *= inverse[:, None]
    torch.addcmul(shift[:, None], z, scale[:, None], out=y)
    if rectify:
        y.relu_()


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
    _mask(dy, y)
    rows = dy.shape[1]
    torch.sum(dy, 1, out=dshift)
    torch.sum(dy * normal, 1, out=dscale)
    _centred(dy, normal, dshift / rows, dscale / rows, dz)
    dz *= (scale * inverse)[:, None]


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
    slope = (rz * normal).mean(1)
    torch.mul(-inverse * inverse, slope, out=rinverse)
    _centred(rz, normal, rz.mean(1), slope, rz)
    rz *= inverse[:, None]
    torch.addcmul(vshift[:, None], rz, scale[:, None], out=ry)
    ry.addcmul_(normal, vscale[:, None])
    _mask(ry, y)


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
    _mask(rdy, y)
    rows = dy.shape[1]
    slope = (dy * normal).mean(1)
    torch.sum(rdy, 1, out=rdshift)
    torch.sum(rdy * normal + dy * rnormal, 1, out=rdscale)
    _centred(rdy, normal, rdshift / rows, rdscale / rows, rdy)
    rdy.addcmul_(rnormal, slope[:, None], value=-1)
    rdy *= (scale * inverse)[:, None]
    still = torch.empty_like(dy)
    _centred(dy, normal, dy.mean(1), slope, still)
    rdy.addcmul_(still, (vscale * inverse + scale * rinverse)[:, None])


def maximum(x: Tensor, window: Window, y: Tensor, place: Tensor) -> None:
    found = _disjoint(x, window).max(4)
    y.copy_(found.values)
    place.copy_(found.indices)


def choose(x: Tensor, window: Window, place: Tensor, out: Tensor) -> None:
    parts = _disjoint(x, window)
    out.copy_(parts.gather(4, place.long().unsqueeze(4)).squeeze(4))


def scatter(dy: Tensor, window: Window, place: Tensor, out: Tensor) -> None:
    kh, kw = window.kernel
    tasks, n, oh, ow, channels = dy.shape
    parts = dy.new_zeros(tasks, n, oh, ow, kh * kw, channels)
    parts.scatter_(4, place.long().unsqueeze(4), dy.unsqueeze(4))
    apart = parts.view(tasks, n, oh, ow, kh, kw, channels).transpose(3, 4)
    together = apart.reshape(tasks, n, oh * kh, ow * kw, channels)
    out.zero_()
    out[:, :, : oh * kh, : ow * kw] = together


def _disjoint(x: Tensor, window: Window) -> Tensor:
    """Disjoint windows [tasks, n, oh, ow, kh kw, c]; what is left at the far border is dropped."""
    kh, kw = window.kernel
    oh, ow = window.size(*x.shape[2:4])
    tasks, n, channels = x.shape[0], x.shape[1], x.shape[4]
    inner = x[:, :, : oh * kh, : ow * kw].reshape(tasks, n, oh, kh, ow, kw, channels)
    return inner.transpose(3, 4).flatten(4, 5)


def _centred(x: Tensor, normal: Tensor, mean: Tensor, slope: Tensor, out: Tensor) -> None:
    """x less its mean and its part along `normal`."""
    torch.sub(x, mean[:, None], out=out)
    out.addcmul_(normal, slope[:, None], value=-1)


def _mask(x: Tensor, y: Tensor | None) -> None:
    if y is not None:
        x.mul_(y > 0)
