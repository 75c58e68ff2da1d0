"""Distances between the rows of two matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Extended
from metaloom_registry.graph.transforms import transforming
from metaloom_registry.graph.values import Spec, broadcast, wanted


def _distance(a: Spec, b: Spec, *, order: float) -> Spec:
    wanted(min(a.rank, b.rank) >= 2 and a.shape[-1] == b.shape[-1], f"rows of {a} and {b}")
    wanted(
        a.dtype in ("float32", "float64") and a.dtype == b.dtype,
        f"{a} and {b} where both are float32, or both float64",
    )
    wanted(order > 0, f"the order {order}; it is positive")
    return a.like((*broadcast(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-2]))


def _run_distance(a: Tensor, b: Tensor, *, order: float) -> Tensor:
    if not torch.is_grad_enabled() and not transforming():
        return torch.cdist(a, b, order)
    gaps = a.unsqueeze(-2) - b.unsqueeze(-3)
    if order == 1:
        return gaps.abs().sum(-1)
    if order == inf:
        return gaps.abs().amax(-1)
    powers = gaps.square().sum(-1) if order == 2 else gaps.abs().pow(order).sum(-1)
    apart = powers > 0
    roots = torch.where(apart, powers, 1.0).pow(1 / order)
    return torch.where(apart, roots, 0.0)


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    return int(3 * outputs[0].elements * inputs[0].shape[-1])


def _scratch(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    return int(3 * outputs[0].bytes * inputs[0].shape[-1])


OPS = (
    Op(
        "distance",
        1,
        "y[..., i, j] = (sum over d of |a[..., i, d] - b[..., j, d]|^order)^(1 / order); the "
        'dimensions before broadcast. The order "inf" is the largest difference. The gradient of a '
        "distance 0 is 0.",
        ("a", "b"),
        _distance,
        _run_distance,
        {"order": Extended()},
        flops=_flops,
        scratch=_scratch,
        since=2,
    ),
)
