"""Reductions: a sum, mean, extreme or norm over some dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Flag, Float, Int, Many, Rule
from metaloom_registry.graph.values import MAX_RANK, Spec, axes, axis, wanted


def _reduced(x: Spec, dims: Sequence[int], keep: bool, dtype: str | None = None) -> Spec:
    gone = axes(dims, x.rank)
    if keep:
        return x.like([1 if d in gone else s for d, s in enumerate(x.shape)], dtype)
    return x.like([s for d, s in enumerate(x.shape) if d not in gone], dtype)


def _sum(x: Spec, *, dims: Sequence[int], keep: bool) -> Spec:
    return _reduced(x, dims, keep, None if x.inexact else "int64")


def _floats(x: Spec, *, dims: Sequence[int], keep: bool, **_: Any) -> Spec:
    wanted(x.floating, f"{x} where a float dtype is wanted; put a cast before it")
    return _reduced(x, dims, keep)


def _mean(x: Spec, *, dims: Sequence[int], keep: bool) -> Spec:
    wanted(x.inexact, f"{x} where a float dtype is wanted; put a cast before it")
    return _reduced(x, dims, keep)


def _extreme(x: Spec, *, dims: Sequence[int], keep: bool) -> Spec:
    gone = axes(dims, x.rank)
    wanted(not x.complex, f"{x}; complex numbers have no order")
    wanted(all(x.shape[d] > 0 for d in gone), f"{x} has no extreme along {list(dims)}")
    return _reduced(x, dims, keep)


def _index(x: Spec, *, dim: int, keep: bool) -> Spec:
    wanted(not x.complex, f"{x}; complex numbers have no order")
    wanted(x.shape[axis(dim, x.rank)] > 0, f"{x} has no extreme along {dim}")
    return _reduced(x, (dim,), keep, "int64")


def _position(x: Spec, *, dim: int, keep: bool) -> Spec:
    wanted(x.dtype != "bool", f"the extreme of {x}; cast it to a number")
    return _index(x, dim=dim, keep=keep)


def _along(x: Spec, *, dim: int) -> Spec:
    axis(dim, x.rank)
    return x if x.inexact else x.like(x.shape, "int64")


def _run_sum(x: Tensor, *, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.sum(x, dims, keepdim=keep)


def _run_mean(x: Tensor, *, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.mean(x, dims, keepdim=keep)


def _run_amax(x: Tensor, *, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.amax(x, dims, keepdim=keep)


def _run_amin(x: Tensor, *, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.amin(x, dims, keepdim=keep)


def _run_variance(x: Tensor, *, dims: tuple[int, ...], keep: bool, correction: float) -> Tensor:
    return torch.var(x, dims, correction=correction, keepdim=keep)


def _run_norm(x: Tensor, *, dims: tuple[int, ...], keep: bool, order: float) -> Tensor:
    return torch.linalg.vector_norm(x, order, dims, keep)  # type: ignore[no-any-return]


def _run_logsumexp(x: Tensor, *, dims: tuple[int, ...], keep: bool) -> Tensor:
    return torch.logsumexp(x, dims, keep)


def _extreme_along(x: Spec, *, dim: int, keep: bool) -> tuple[Spec, Spec]:
    index = _index(x, dim=dim, keep=keep)
    return (index.like(index.shape, x.dtype), index)


def _run_max_along(x: Tensor, *, dim: int, keep: bool) -> tuple[Tensor, Tensor]:
    values, index = torch.max(x, dim, keep)
    return values, index


def _run_min_along(x: Tensor, *, dim: int, keep: bool) -> tuple[Tensor, Tensor]:
    values, index = torch.min(x, dim, keep)
    return values, index


def _run_argmax(x: Tensor, *, dim: int, keep: bool) -> Tensor:
    return torch.argmax(x, dim, keep)


def _run_argmin(x: Tensor, *, dim: int, keep: bool) -> Tensor:
    return torch.argmin(x, dim, keep)


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], _: Mapping[str, Any]) -> int:
    return int(inputs[0].elements)


_DIM = Int(-MAX_RANK, MAX_RANK - 1)
_OVER: dict[str, Rule] = {"dims": Many(_DIM, 1, MAX_RANK), "keep": Flag()}


def _op(name: str, doc: str, infer: Any, run: Any, **more: Any) -> Op:
    doc = f"{doc} With keep the reduced dimensions stay with size 1."
    return Op(name, 1, doc, ("x",), infer, run, {**_OVER, **more}, flops=_flops)


OPS = (
    _op("sum", "The sum over dimensions; of integers and booleans in int64.", _sum, _run_sum),
    _op("mean", "The mean over dimensions.", _mean, _run_mean),
    _op(
        "amax", "The maximum over dimensions; equal maxima share the gradient.", _extreme, _run_amax
    ),
    _op(
        "amin", "The minimum over dimensions; equal minima share the gradient.", _extreme, _run_amin
    ),
    _op(
        "variance",
        "The sum of squared deviations from the mean over (count - correction).",
        _floats,
        _run_variance,
        correction=Float(0.0, 1e6),
    ),
    _op(
        "norm",
        "(sum of |x|^order)^(1 / order) over dimensions.",
        _floats,
        _run_norm,
        order=Float(1.0, 1e6),
    ),
    _op("logsumexp", "log(sum(exp(x))) over dimensions.", _floats, _run_logsumexp),
    Op(
        "argmax",
        1,
        "The position of the maximum along a dimension, int64.",
        ("x",),
        _position,
        _run_argmax,
        {"dim": _DIM, "keep": Flag()},
        flops=_flops,
    ),
    Op(
        "argmin",
        1,
        "The position of the minimum along a dimension, int64.",
        ("x",),
        _position,
        _run_argmin,
        {"dim": _DIM, "keep": Flag()},
        flops=_flops,
    ),
    Op(
        "max_along",
        1,
        "The maximum along a dimension and its position, int64; only that position has a gradient.",
        ("x",),
        _extreme_along,
        _run_max_along,
        {"dim": _DIM, "keep": Flag()},
        ("y", "index"),
        _flops,
    ),
    Op(
        "min_along",
        1,
        "The minimum along a dimension and its position, int64; only that position has a gradient.",
        ("x",),
        _extreme_along,
        _run_min_along,
        {"dim": _DIM, "keep": Flag()},
        ("y", "index"),
        _flops,
    ),
    Op(
        "cumulative_sum",
        1,
        "The sum of all elements up to and with each along a dimension.",
        ("x",),
        _along,
        torch.cumsum,
        {"dim": _DIM},
        flops=_flops,
    ),
)
