"""Attention, written out: torch's fused kernels have no second derivative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Flag, Float, Maybe, Mode
from metaloom_registry.graph.transforms import transforming
from metaloom_registry.graph.values import Spec, broadcast, wanted


def _attention(query: Spec, key: Spec, value: Spec, mask: Spec | None, **arguments: Any) -> Spec:
    wanted(min(query.rank, key.rank, value.rank) >= 2, f"{query}, {key} and {value}")
    wanted(
        query.floating and query.dtype == key.dtype == value.dtype,
        f"{query}, {key} and {value} of one float dtype",
    )
    wanted(
        query.shape[-1] == key.shape[-1]
        and key.shape[-2] == value.shape[-2]
        and query.shape[-1] > 0,
        f"queries {query}, keys {key} and values {value}",
    )
    wanted(mask is None or not arguments["causal"], "a mask and causal at once")
    lead = broadcast(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    if mask is not None:
        scores = (*lead, query.shape[-2], key.shape[-2])
        wanted(mask.rank >= 2, f"a mask {mask} where rank 2 or more is wanted")
        wanted(mask.dtype in ("bool", query.dtype), f"a mask {mask} for {query.dtype}")
        wanted(broadcast(mask.shape, scores) == scores, f"a mask {mask} for scores {list(scores)}")
    return query.like((*lead, query.shape[-2], value.shape[-1]))


def _run_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    p: float,
    train: bool,
    causal: bool,
    scale: float | None,
) -> Tensor:
    if not train and not torch.is_grad_enabled() and not transforming():
        return functional.scaled_dot_product_attention(
            query, key, value, mask, is_causal=causal, scale=scale
        )
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))
    if causal:
        rows = torch.arange(query.shape[-2], device=query.device)
        columns = torch.arange(key.shape[-2], device=query.device)
        mask = columns <= rows[:, None]
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, -torch.inf)
    elif mask is not None:
        scores = scores + mask
    return torch.matmul(torch.dropout(torch.softmax(scores, -1), p, train), value)


def _scores(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """How many scores there are: one per query and key."""
    (y,) = outputs
    return int(y.elements // max(y.shape[-1], 1) * inputs[1].shape[-2])


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    query, _, value, _ = inputs
    return int(2 * _scores(inputs, outputs) * (query.shape[-1] + value.shape[-1] + 4))


def _scratch(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    return 3 * _scores(inputs, outputs) * 8


OPS = (
    Op(
        "attention",
        1,
        "softmax(query key^T * scale + mask) value over the last two dimensions [L, E], [S, E], "
        "[S, V]; those before broadcast. A null scale is 1 / sqrt(E). A boolean mask keeps where "
        "it is true; causal keeps column j of row i where j <= i. In training the softmax is "
        "dropped out with probability p.",
        ("query", "key", "value", "mask?"),
        _attention,
        _run_attention,
        {"p": Float(0.0, 1.0), "train": Mode(), "causal": Flag(), "scale": Maybe(Float())},
        flops=_flops,
        scratch=_scratch,
    ),
)
