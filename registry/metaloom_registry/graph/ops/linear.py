"""Products with matrices: affine maps, matrix products, table look-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.transforms import transforming
from metaloom_registry.graph.values import Spec, broadcast, wanted


def _linear(x: Spec, weight: Spec, bias: Spec | None) -> Spec:
    wanted(weight.rank == 2, f"the weight is {weight} where a matrix is wanted")
    wanted(x.rank >= 1 and x.shape[-1] == weight.shape[1], f"{x} times the weight {weight}")
    wanted(x.inexact and x.dtype == weight.dtype, f"x is {x.dtype}, the weight {weight.dtype}")
    if bias is not None:
        wanted(
            bias == Spec(x.dtype, weight.shape[:1]),
            f"the bias is {bias} where {x.dtype}[{weight.shape[0]}] is wanted",
        )
    return x.like((*x.shape[:-1], weight.shape[0]))


def _linear_flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    return int(2 * outputs[0].elements * inputs[1].shape[1])


def _bilinear(a: Spec, b: Spec, weight: Spec, bias: Spec | None) -> Spec:
    wanted(weight.rank == 3, f"the weight is {weight} where rank 3 is wanted")
    wanted(
        min(a.rank, b.rank) >= 1
        and a.shape[:-1] == b.shape[:-1]
        and (a.shape[-1], b.shape[-1]) == weight.shape[1:],
        f"{a} and {b} with the weight {weight}",
    )
    wanted(a.floating and a.dtype == b.dtype == weight.dtype, "a, b and weight of one dtype")
    wanted(0 not in weight.shape, f"the weight {weight} is empty")
    if bias is not None:
        wanted(bias == Spec(a.dtype, weight.shape[:1]), f"the bias is {bias}")
    return a.like((*a.shape[:-1], weight.shape[0]))


def _run_bilinear(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """torch's kernel, or matrix products inside a transform, for which it has no rule."""
    if not transforming():
        return torch.bilinear(a, b, weight, bias)
    outputs, left, right = weight.shape
    table = weight.permute(1, 0, 2).reshape(left, outputs * right)
    mixed = torch.matmul(a, table).reshape(*a.shape[:-1], outputs, right)
    y = torch.matmul(mixed, b.unsqueeze(-1)).squeeze(-1)
    return y if bias is None else y + bias


def _bilinear_flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    weight = inputs[2]
    return int(2 * outputs[0].elements * weight.shape[1] * (weight.shape[2] + 1))


def _matmul(a: Spec, b: Spec) -> Spec:
    wanted(a.rank >= 1 and b.rank >= 1, f"{a} times {b}")
    wanted(a.inexact and a.dtype == b.dtype, f"{a.dtype} times {b.dtype}")
    left = a.shape if a.rank > 1 else (1, *a.shape)
    right = b.shape if b.rank > 1 else (*b.shape, 1)
    wanted(left[-1] == right[-2], f"{a} times {b}")
    shape = broadcast(left[:-2], right[:-2])
    rows = left[-2:-1] if a.rank > 1 else ()
    columns = right[-1:] if b.rank > 1 else ()
    return a.like((*shape, *rows, *columns))


def _matmul_flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    return int(2 * outputs[0].elements * inputs[0].shape[-1])


def _embedding(index: Spec, weight: Spec) -> Spec:
    wanted(weight.rank == 2, f"the weight is {weight} where a matrix is wanted")
    wanted(index.dtype in ("int32", "int64"), f"the index is {index.dtype}")
    wanted(weight.shape[0] > 0, f"the weight {weight} has no rows")
    return weight.like((*index.shape, weight.shape[1]))


def _look_up(index: Tensor, weight: Tensor) -> Tensor:
    return functional.embedding(index, weight)


OPS = (
    Op(
        "linear",
        1,
        "x [..., I] times the transpose of weight [O, I], plus bias [O].",
        ("x", "weight", "bias?"),
        _linear,
        torch._C._nn.linear,
        flops=_linear_flops,
    ),
    Op(
        "bilinear",
        1,
        "y[..., o] = a[..., i] weight[o, i, j] b[..., j] summed over i and j, plus bias[o].",
        ("a", "b", "weight", "bias?"),
        _bilinear,
        _run_bilinear,
        flops=_bilinear_flops,
    ),
    Op(
        "matmul",
        1,
        "Matrix product over the last two dimensions; those before broadcast. A vector on the "
        "left is a row, on the right a column, and its added dimension is dropped.",
        ("a", "b"),
        _matmul,
        torch.matmul,
        flops=_matmul_flops,
    ),
    Op(
        "embedding",
        1,
        "Row index of weight [N, D] for every element of index; an index outside 0..N-1 is an "
        "error.",
        ("index", "weight"),
        _embedding,
        _look_up,
    ),
)
