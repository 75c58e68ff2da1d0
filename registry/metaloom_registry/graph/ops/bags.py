"""Bags of rows: what an index looks up in a table, summed, averaged or maximised."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Choice, Int, Maybe
from metaloom_registry.graph.transforms import transforming
from metaloom_registry.graph.values import Spec, wanted


def _bag(index: Spec, weight: Spec, scale: Spec | None, *, mode: str, padding: int | None) -> Spec:
    wanted(weight.rank == 2 and weight.floating, f"the weight is {weight}")
    wanted(index.dtype in ("int32", "int64") and index.rank == 2, f"the index is {index}")
    wanted(weight.shape[0] > 0, f"the weight {weight} has no rows")
    wanted(padding is None or padding < weight.shape[0], f"the padding {padding} of {weight}")
    wanted(
        scale is None or (scale == Spec(weight.dtype, index.shape) and mode == "sum"),
        f"a scale {scale} of bags of {index} and mode {mode}",
    )
    return weight.like((index.shape[0], weight.shape[1]))


def _run_bag(
    index: Tensor, weight: Tensor, scale: Tensor | None, *, mode: str, padding: int | None
) -> Tensor:
    if not torch.is_grad_enabled() and not transforming():
        return functional.embedding_bag(
            index, weight, mode=mode, per_sample_weights=scale, padding_idx=padding
        )
    rows = functional.embedding(index, weight)
    if scale is not None:
        rows = rows * scale.unsqueeze(-1)
    if mode == "max":
        if not index.shape[1]:
            return rows.sum(1)
        if padding is None:
            return rows.max(1).values
        rows = rows.masked_fill((index == padding).unsqueeze(-1), -torch.inf)
        found = rows.max(1).values
        return found.masked_fill(found == -torch.inf, 0.0)
    if padding is not None:
        rows = rows.masked_fill((index == padding).unsqueeze(-1), 0.0)
    if mode == "sum":
        return rows.sum(1)
    if padding is None:
        return rows.sum(1) / max(index.shape[1], 1)
    return rows.sum(1) / (index != padding).sum(1, keepdim=True).clamp(min=1)


def _flops(inputs: Any, outputs: Any, _: Any) -> int:
    return int(outputs[0].elements * max(inputs[0].shape[1], 1))


def _scratch(inputs: Any, outputs: Any, _: Any) -> int:
    return int(2 * outputs[0].bytes * inputs[0].shape[1])


OPS = (
    Op(
        "embedding_bag",
        1,
        "For each row of index [B, L] the rows it names of weight [N, D], summed, averaged or "
        "maximised (the first of equal maxima has the gradient). What names the row padding "
        "does not count; a bag of nothing is 0. With sum the rows are first multiplied by scale "
        "[B, L].",
        ("index", "weight", "scale?"),
        _bag,
        _run_bag,
        {"mode": Choice(("sum", "mean", "max")), "padding": Maybe(Int(0))},
        flops=_flops,
        scratch=_scratch,
        since=2,
    ),
)
