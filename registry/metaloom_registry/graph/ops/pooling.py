"""Pooling: the maximum or mean of windows, fixed or adaptive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Flag, Int, Many, Maybe
from metaloom_registry.graph.values import Spec, wanted

MAX_WINDOW = 1 << 16


def _pooled(
    x: Spec,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Spec:
    wanted(x.rank == len(kernel) + 2, f"{x} where rank {len(kernel) + 2} is wanted")
    wanted(x.floating and 0 not in x.shape[1:], f"{x} cannot be pooled")
    sizes = []
    for size, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation, strict=True):
        wanted(p <= k // 2, f"a padding of {p} is more than half of the window {k}")
        span = size + 2 * p - d * (k - 1) - 1
        out = (span + s - 1 if ceil_mode else span) // s + 1
        if ceil_mode and (out - 1) * s >= size + p:
            out -= 1
        wanted(out >= 1, f"a window of {d * (k - 1) + 1} over {size} + 2 * {p}")
        sizes.append(out)
    return x.like((*x.shape[:2], *sizes))


def _maximum(
    x: Spec,
    *,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Spec:
    return _pooled(x, kernel_size, stride, padding, dilation, ceil_mode)


def _mean(
    x: Spec,
    *,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
) -> Spec:
    if len(kernel_size) == 3:  # torch wants each window of these to fit without the padding
        fits = all(k <= s for k, s in zip(kernel_size, x.shape[2:], strict=False))
        wanted(fits, f"windows of {list(kernel_size)} in {x}")
    return _pooled(x, kernel_size, stride, padding, (1,) * len(kernel_size), ceil_mode)


def _adaptive(x: Spec, *, output_size: Sequence[int | None]) -> Spec:
    wanted(x.rank == len(output_size) + 2, f"{x} where rank {len(output_size) + 2} is wanted")
    wanted(x.floating and 0 not in x.shape[1:], f"{x} cannot be pooled")
    sizes = (s if o is None else o for s, o in zip(x.shape[2:], output_size, strict=True))
    return x.like((*x.shape[:2], *sizes))


def _keeping(pool: Callable[..., Any]) -> Callable[..., Any]:
    """The function with sizes of null kept; torch's own in one dimension takes none."""

    def run(x: Tensor, *, output_size: Sequence[int | None]) -> Any:
        return pool(x, [x.shape[2 + i] if o is None else o for i, o in enumerate(output_size)])

    return run


def _window_flops(inputs: Sequence[Any], outputs: Sequence[Any], a: Mapping[str, Any]) -> int:
    return int(outputs[0].elements * prod(a["kernel_size"]))


def _adaptive_flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    (x,), (y,) = inputs, outputs
    window = prod(ceil(s / o) + 1 for s, o in zip(x.shape[2:], y.shape[2:], strict=True))
    return int(y.elements * window)


def _ops(spatial: int) -> tuple[Op, ...]:
    window = Many(Int(1, MAX_WINDOW), spatial, spatial)
    margin = Many(Int(0, MAX_WINDOW), spatial, spatial)
    target = Many(Maybe(Int(1, MAX_WINDOW)), spatial, spatial)
    average: Callable[..., Any] = getattr(functional, f"avg_pool{spatial}d")
    adaptive_average: Callable[..., Any] = getattr(functional, f"adaptive_avg_pool{spatial}d")
    adaptive_maximum: Callable[..., Any] = getattr(functional, f"adaptive_max_pool{spatial}d")
    adaptive_average, adaptive_maximum = _keeping(adaptive_average), _keeping(adaptive_maximum)
    windows = {"kernel_size": window, "stride": window, "padding": margin}
    return (
        Op(
            f"max_pool{spatial}d",
            1,
            "The maximum of each window; positions beyond the border count as minus infinity. "
            "Sizes as for a convolution; with ceil_mode rounded up, without windows that begin "
            "beyond the border.",
            ("x",),
            _maximum,
            getattr(torch, f"max_pool{spatial}d"),
            {**windows, "dilation": window, "ceil_mode": Flag()},
            flops=_window_flops,
        ),
        Op(
            f"avg_pool{spatial}d",
            1,
            "The mean of each window; with count_include_pad the zeros beyond the border count. "
            f"Sizes as for max_pool{spatial}d.",
            ("x",),
            _mean,
            average,
            {**windows, "ceil_mode": Flag(), "count_include_pad": Flag()},
            flops=_window_flops,
        ),
        Op(
            f"adaptive_avg_pool{spatial}d",
            1,
            "The mean of O windows that cover a size S: window i is from floor(i S / O) to "
            "ceil((i + 1) S / O). A null keeps the size.",
            ("x",),
            _adaptive,
            adaptive_average,
            {"output_size": target},
            flops=_adaptive_flops,
        ),
        Op(
            f"adaptive_max_pool{spatial}d",
            1,
            f"The maximum of the windows of adaptive_avg_pool{spatial}d.",
            ("x",),
            _adaptive,
            adaptive_maximum,
            {"output_size": target},
            flops=_adaptive_flops,
        ),
    )


OPS = (*_ops(1), *_ops(2), *_ops(3))
