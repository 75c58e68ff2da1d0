"""Tensors made from sizes and numbers, on the device of another tensor."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import DType, Extended, Many, Scalar, Size
from metaloom_registry.graph.values import FLOATS, MAX_INTEGER, MAX_RANK, REAL, Spec, holds, wanted


def _full(like: Spec, *, sizes: Sequence[int], value: float, dtype: str) -> Spec:
    wanted(all(0 <= s <= MAX_INTEGER for s in sizes), f"a size out of range in {list(sizes)}")
    holds(dtype, value)
    return Spec(dtype, tuple(sizes))


def _run_full(like: Tensor, *, sizes: Sequence[int], value: float, dtype: str) -> Tensor:
    return torch.full(sizes, value, dtype=getattr(torch, dtype), device=like.device)


def _full_like(like: Spec, *, sizes: Sequence[int], value: float) -> Spec:
    return _full(like, sizes=sizes, value=value, dtype=like.dtype)


def _run_full_like(like: Tensor, *, sizes: Sequence[int], value: float) -> Tensor:
    return torch.full(sizes, value, dtype=like.dtype, device=like.device)


def _range(like: Spec, *, start: Any, stop: Any, step: Any, dtype: str) -> Spec:
    wanted(dtype not in REAL and dtype != "bool", f"{dtype} numbers in order")
    wanted(step != 0 and (stop - start) * step >= 0, f"from {start} to {stop} by {step}")
    floats = any(isinstance(number, float) for number in (start, stop, step))
    wanted(not floats or dtype in FLOATS, f"{dtype} numbers from {start} to {stop} by {step}")
    holds("float64" if dtype == "float64" else "float32", start, stop, step)
    steps = (stop - start) / step if floats else -((start - stop) // step)
    wanted(0 <= steps <= MAX_INTEGER, f"{steps} numbers from {start} to {stop} by {step}")
    count = ceil(steps)
    return Spec(dtype, (count,))


def _run_range(like: Tensor, *, start: Any, stop: Any, step: Any, dtype: str) -> Tensor:
    return torch.arange(start, stop, step, dtype=getattr(torch, dtype), device=like.device)


def _none(*_: Any) -> int:
    return 0


OPS = (
    Op(
        "full",
        1,
        "A tensor of the given sizes with value everywhere, on the device of like.",
        ("like",),
        _full,
        _run_full,
        {"sizes": Many(Size(0), 0, MAX_RANK), "value": Extended(), "dtype": DType()},
        flops=_none,
    ),
    Op(
        "full_like",
        1,
        "A tensor of the given sizes with value everywhere, of the dtype and on the device of "
        "like; so it follows a module that is moved to another dtype.",
        ("like",),
        _full_like,
        _run_full_like,
        {"sizes": Many(Size(0), 0, MAX_RANK), "value": Extended()},
        flops=_none,
        since=2,
    ),
    Op(
        "range",
        1,
        "start, start + step, ... before stop, on the device of like.",
        ("like",),
        _range,
        _run_range,
        {"start": Scalar(), "stop": Scalar(), "step": Scalar(), "dtype": DType()},
        flops=_none,
    ),
)
