"""Elements picked by position: gathered, selected, rolled, or kept in a triangle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Int, Many
from metaloom_registry.graph.values import MAX_RANK, Spec, axes, axis, wanted


def _gather(x: Spec, index: Spec, *, dim: int) -> Spec:
    at = axis(dim, x.rank)
    wanted(index.dtype == "int64" and index.rank == x.rank, f"an index {index} into {x}")
    wanted(
        all(i <= s for d, (i, s) in enumerate(zip(index.shape, x.shape, strict=True)) if d != at),
        f"an index {index} larger than {x}",
    )
    wanted(x.shape[at] > 0 or not index.elements, f"{x} has nothing along {dim}")
    return x.like(index.shape)


def _run_gather(x: Tensor, index: Tensor, *, dim: int) -> Tensor:
    return torch.gather(x, dim, index)


def _index_select(x: Spec, index: Spec, *, dim: int) -> Spec:
    at = axis(dim, x.rank)
    wanted(index.dtype in ("int32", "int64") and index.rank == 1, f"an index {index}")
    wanted(x.shape[at] > 0, f"{x} has nothing along {dim}")
    return x.like((*x.shape[:at], index.shape[0], *x.shape[at + 1 :]))


def _run_index_select(x: Tensor, index: Tensor, *, dim: int) -> Tensor:
    return torch.index_select(x, dim, index)


def _roll(x: Spec, *, shifts: Sequence[int], dims: Sequence[int]) -> Spec:
    wanted(len(shifts) == len(dims), f"{len(shifts)} shifts of {len(dims)} dimensions")
    axes(dims, x.rank)
    return x


def _triangle(x: Spec, *, diagonal: int) -> Spec:
    wanted(x.rank >= 2, f"{x} where a matrix is wanted")
    return x


def _none(*_: Any) -> int:
    return 0


_DIM = Int(-MAX_RANK, MAX_RANK - 1)
_DIMS = Many(_DIM, 1, MAX_RANK)

OPS = (
    Op(
        "gather",
        1,
        "y at a position is x at that position with its dim-th index taken from index, which is "
        "nowhere larger than x but along dim; an index outside x is an error.",
        ("x", "index"),
        _gather,
        _run_gather,
        {"dim": _DIM},
        flops=_none,
    ),
    Op(
        "index_select",
        1,
        "The positions of a dimension that index [N] lists; one outside x is an error.",
        ("x", "index"),
        _index_select,
        _run_index_select,
        {"dim": _DIM},
        flops=_none,
    ),
    Op(
        "roll",
        1,
        "Each dimension shifted; what leaves at its end comes in at its beginning.",
        ("x",),
        _roll,
        torch.roll,
        {"shifts": Many(Int(), 1, MAX_RANK), "dims": _DIMS},
        flops=_none,
    ),
    Op(
        "lower_triangle",
        1,
        "x where column - row <= diagonal in the last two dimensions, 0 elsewhere.",
        ("x",),
        _triangle,
        torch.tril,
        {"diagonal": Int()},
        flops=_none,
    ),
    Op(
        "upper_triangle",
        1,
        "x where column - row >= diagonal in the last two dimensions, 0 elsewhere.",
        ("x",),
        _triangle,
        torch.triu,
        {"diagonal": Int()},
        flops=_none,
    ),
)
