"""Normalisation: by batch, instance, layer, group and root mean square.

Inside a `torch.func` transform the affine map is written out after the normalisation, because the
batching rules of the fused kernels give wrong second derivatives of scale and shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Float, Int, Many, Maybe, Mode
from metaloom_registry.graph.transforms import transforming
from metaloom_registry.graph.values import Spec, wanted


def _affine(y: Tensor, weight: Tensor | None, bias: Tensor | None, channel: int) -> Tensor:
    """Scale and shift along one dimension, or along all from there on if it is negative."""
    for value, apply in ((weight, torch.mul), (bias, torch.add)):
        if value is not None:
            if channel >= 0:
                value = value.reshape([-1 if d == channel else 1 for d in range(y.dim())])
            y = apply(y, value)
    return y


def _per_channel(x: Spec, specs: Sequence[Spec | None]) -> None:
    wanted(x.rank >= 2 and x.floating, f"{x} where floats of rank 2 or more are wanted")
    wanted(0 not in x.shape[1:], f"the empty {x} has no mean")
    for spec in specs:
        wanted(
            spec is None or spec.shape == (x.shape[1],),
            f"{spec} where {x.dtype}[{x.shape[1]}] is wanted",
        )
    _one_dtype(x, specs)


def _one_dtype(x: Spec, specs: Sequence[Spec | None]) -> None:
    """Scales, shifts and statistics are all of the dtype of x, or all float32 beside a half x."""
    dtypes = {spec.dtype for spec in specs if spec is not None}
    half = x.dtype in ("float16", "bfloat16")
    wanted(
        dtypes <= {x.dtype} or (half and dtypes == {"float32"}),
        f"scales and statistics of {', '.join(sorted(dtypes))} for {x}",
    )


def _batch_norm(
    x: Spec,
    weight: Spec | None,
    bias: Spec | None,
    mean: Spec,
    variance: Spec,
    *,
    momentum: float,
    eps: float,
    train: bool,
) -> tuple[Spec, Spec, Spec]:
    _per_channel(x, (weight, bias, mean, variance))
    wanted(eps > 0 or train is False, "an eps of 0 in training")
    return (x, mean, variance)


def _run_batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    *,
    momentum: float,
    eps: float,
    train: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    if not transforming():
        if train:
            mean, variance = mean.clone(), variance.clone()
        y = functional.batch_norm(x, mean, variance, weight, bias, train, momentum, eps)
        return y, mean, variance
    if not train:
        y = functional.batch_norm(x, mean, variance, None, None, False, momentum, eps)
        return _affine(y, weight, bias, 1), mean, variance
    y = functional.batch_norm(x, None, None, None, None, True, momentum, eps)
    seen = x.detach()
    others = [d for d in range(x.dim()) if d != 1]
    mean = (1 - momentum) * mean + momentum * seen.mean(others)
    variance = (1 - momentum) * variance + momentum * seen.var(others)
    return _affine(y, weight, bias, 1), mean, variance


def _alone(x: Spec, weight: Spec | None, bias: Spec | None, *, eps: float) -> Spec:
    _per_channel(x, (weight, bias))
    wanted(eps > 0, "an eps of 0")
    return x


def _run_batch_norm_alone(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, eps: float
) -> Tensor:
    if not transforming():
        return _from_batch(x, weight, bias, eps)
    return _affine(_from_batch(x, None, None, eps), weight, bias, 1)


def _from_batch(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Normalised by its own statistics; unlike torch's function, also where one value has none."""
    flags = torch.backends.cudnn.enabled
    return torch.batch_norm(x, weight, bias, None, None, True, 0.0, eps, flags)


def _instance_norm(x: Spec, weight: Spec | None, bias: Spec | None, *, eps: float) -> Spec:
    wanted(x.rank >= 3 and x.shape[0] > 0, f"{x} where rank 3 or more is wanted")
    wanted(prod(x.shape[2:]) > 1, f"{x}, whose single elements have no variance")
    return _alone(x, weight, bias, eps=eps)


def _run_instance_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, eps: float
) -> Tensor:
    if not transforming():
        return functional.instance_norm(x, weight=weight, bias=bias, eps=eps)
    return _affine(functional.instance_norm(x, eps=eps), weight, bias, 1)


def _group_norm(
    x: Spec, weight: Spec | None, bias: Spec | None, *, groups: int, eps: float
) -> Spec:
    _per_channel(x, (weight, bias))
    wanted(x.shape[1] % groups == 0, f"{x.shape[1]} channels do not split into {groups} groups")
    return x


def _run_group_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, groups: int, eps: float
) -> Tensor:
    if not transforming():
        return torch.group_norm(x, groups, weight, bias, eps)
    return _affine(torch.group_norm(x, groups, None, None, eps), weight, bias, 1)


def _trailing(x: Spec, shape: Sequence[int], specs: Sequence[Spec | None]) -> None:
    wanted(
        x.floating and x.shape[-len(shape) :] == tuple(shape) and 0 not in shape,
        f"{x} does not end in {list(shape)}",
    )
    for spec in specs:
        wanted(
            spec is None or spec.shape == tuple(shape),
            f"{spec} where {x.dtype}{list(shape)} is wanted",
        )
    _one_dtype(x, specs)


def _layer_norm(
    x: Spec, weight: Spec | None, bias: Spec | None, *, shape: Sequence[int], eps: float
) -> Spec:
    _trailing(x, shape, (weight, bias))
    return x


def _run_layer_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *, shape: Sequence[int], eps: float
) -> Tensor:
    if not transforming():
        return torch.layer_norm(x, shape, weight, bias, eps)
    return _affine(torch.layer_norm(x, shape, None, None, eps), weight, bias, -1)


def _rms_norm(x: Spec, weight: Spec | None, *, shape: Sequence[int], eps: float | None) -> Spec:
    _trailing(x, shape, (weight,))
    return x


def _run_rms_norm(
    x: Tensor, weight: Tensor | None, *, shape: Sequence[int], eps: float | None
) -> Tensor:
    return functional.rms_norm(x, list(shape), weight, eps)


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    """Mean, variance, subtraction, division, scale and shift: about 8 per element."""
    return int(8 * outputs[0].elements)


_EPS = Float(0.0, 1e6)
_SHAPE = Many(Int(1), 1, 7)
_SCALED = ("x", "weight?", "bias?")

OPS = (
    Op(
        "batch_norm",
        1,
        "(x - m) / sqrt(v + eps) * weight + bias per channel (dimension 1). In training m and v "
        "are mean and biased variance of x over all other dimensions, and the new mean and "
        "variance are (1 - momentum) * old + momentum * that of x (the variance unbiased, "
        "without gradient). Otherwise m and v are the given mean and variance, which are "
        "returned as they are.",
        ("x", "weight?", "bias?", "mean", "variance"),
        _batch_norm,
        _run_batch_norm,
        {"momentum": Float(0.0, 1.0), "eps": _EPS, "train": Mode()},
        ("y", "mean", "variance"),
        _flops,
    ),
    Op(
        "batch_norm_alone",
        1,
        "batch_norm in training, without running statistics.",
        _SCALED,
        _alone,
        _run_batch_norm_alone,
        {"eps": _EPS},
        flops=_flops,
    ),
    Op(
        "instance_norm",
        1,
        "(x - m) / sqrt(v + eps) * weight + bias with mean and biased variance over the "
        "dimensions after the channel, for each item and channel.",
        _SCALED,
        _instance_norm,
        _run_instance_norm,
        {"eps": _EPS},
        flops=_flops,
    ),
    Op(
        "group_norm",
        1,
        "(x - m) / sqrt(v + eps) with mean and biased variance over groups of consecutive "
        "channels and all dimensions after them, for each item; then weight and bias per channel.",
        _SCALED,
        _group_norm,
        _run_group_norm,
        {"groups": Int(1, 1 << 20), "eps": _EPS},
        flops=_flops,
    ),
    Op(
        "layer_norm",
        1,
        "(x - m) / sqrt(v + eps) * weight + bias with mean and biased variance over the last "
        "dimensions, whose sizes are shape.",
        _SCALED,
        _layer_norm,
        _run_layer_norm,
        {"shape": _SHAPE, "eps": _EPS},
        flops=_flops,
    ),
    Op(
        "rms_norm",
        1,
        "x / sqrt(mean(x^2) + eps) * weight over the last dimensions, whose sizes are shape; a "
        "null eps is the machine epsilon of the dtype.",
        ("x", "weight?"),
        _rms_norm,
        _run_rms_norm,
        {"shape": _SHAPE, "eps": Maybe(_EPS)},
        flops=_flops,
    ),
)
