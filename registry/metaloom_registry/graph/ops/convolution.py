"""Convolutions over one, two and three dimensions, and their transposes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Int, Many
from metaloom_registry.graph.values import Spec, promoted, wanted

MAX_WINDOW = 1 << 16
MAX_SPREAD = 256
"""The largest stride of a transpose: with thousands torch's kernels take minutes or crash."""


def _checked(x: Spec, weight: Spec, bias: Spec | None, channels_out: int, spatial: int) -> None:
    wanted(
        x.rank == weight.rank == spatial + 2,
        f"an input of rank {x.rank} and a weight of rank {weight.rank} "
        f"where both have rank {spatial + 2}",
    )
    wanted(x.floating and x.dtype == weight.dtype, f"x is {x.dtype}, the weight {weight.dtype}")
    wanted(0 not in weight.shape and 0 not in x.shape[1:], f"{x} with the weight {weight}")
    if bias is not None:
        wanted(
            bias == Spec(x.dtype, (channels_out,)),
            f"the bias is {bias} where {x.dtype}[{channels_out}] is wanted",
        )


def _convolve(spatial: int) -> Callable[..., Spec]:
    def infer(
        x: Spec,
        weight: Spec,
        bias: Spec | None,
        *,
        stride: Sequence[int],
        padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Spec:
        _checked(x, weight, bias, weight.shape[0] if weight.rank else 0, spatial)
        wanted(
            x.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0,
            f"{x.shape[1]} input channels and a weight {weight} do not fit {groups} groups",
        )
        sizes = []
        for size, kernel, s, p, d in zip(
            x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True
        ):
            out = (size + 2 * p - d * (kernel - 1) - 1) // s + 1
            wanted(out >= 1, f"a window of {d * (kernel - 1) + 1} over {size} + 2 * {p}")
            sizes.append(out)
        return x.like((x.shape[0], weight.shape[0], *sizes), promoted(x))

    return infer


def _transpose(spatial: int) -> Callable[..., Spec]:
    def infer(
        x: Spec,
        weight: Spec,
        bias: Spec | None,
        *,
        stride: Sequence[int],
        padding: Sequence[int],
        output_padding: Sequence[int],
        dilation: Sequence[int],
        groups: int,
    ) -> Spec:
        channels = weight.shape[1] * groups if weight.rank > 1 else 0
        _checked(x, weight, bias, channels, spatial)
        wanted(
            x.shape[1] == weight.shape[0] and weight.shape[0] % groups == 0,
            f"{x.shape[1]} input channels and a weight {weight} do not fit {groups} groups",
        )
        sizes = []
        for size, kernel, s, p, o, d in zip(
            x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation, strict=True
        ):
            wanted(o < max(s, d), f"an output padding of {o} with stride {s} and dilation {d}")
            out = (size - 1) * s - 2 * p + d * (kernel - 1) + o + 1
            wanted(out >= 1, f"a padding of {p} leaves nothing of {size}")
            sizes.append(out)
        return x.like((x.shape[0], channels, *sizes))

    return infer


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], arguments: Mapping[str, Any]) -> int:
    """Every output element sums over the kernel and the channels of its group."""
    _, weight, _ = inputs
    return int(2 * outputs[0].elements * prod(weight.shape[1:]))


def _flops_transposed(
    inputs: Sequence[Any], outputs: Sequence[Any], arguments: Mapping[str, Any]
) -> int:
    x, weight, _ = inputs
    return int(2 * x.elements * prod(weight.shape[1:]))


def _ops(spatial: int) -> tuple[Op, Op]:
    window = Many(Int(1, MAX_WINDOW), spatial, spatial)
    margin = Many(Int(0, MAX_WINDOW), spatial, spatial)
    groups = Int(1, 1 << 20)
    convolve = getattr(torch, f"conv{spatial}d")
    transpose = getattr(torch, f"conv_transpose{spatial}d")
    return (
        Op(
            f"conv{spatial}d",
            1,
            f"Cross-correlation of x [B, C, {spatial} sizes] with weight [O, C / groups, "
            f"{spatial} sizes], zeros beyond the border, plus bias [O]. A size S becomes "
            "(S + 2 padding - dilation (K - 1) - 1) // stride + 1.",
            ("x", "weight", "bias?"),
            _convolve(spatial),
            convolve,
            {"stride": window, "padding": margin, "dilation": window, "groups": groups},
            flops=_flops,
        ),
        Op(
            f"conv_transpose{spatial}d",
            1,
            f"The transpose (the gradient in x) of conv{spatial}d with weight [C, O / groups, "
            f"{spatial} sizes], plus bias [O]. A size S becomes (S - 1) stride - 2 padding + "
            "dilation (K - 1) + output_padding + 1.",
            ("x", "weight", "bias?"),
            _transpose(spatial),
            transpose,
            {
                "stride": Many(Int(1, MAX_SPREAD), spatial, spatial),
                "padding": margin,
                "output_padding": margin,
                "dilation": window,
                "groups": groups,
            },
            flops=_flops_transposed,
        ),
    )


OPS = (*_ops(1), *_ops(2), *_ops(3))
