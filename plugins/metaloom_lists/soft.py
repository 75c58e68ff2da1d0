"""Integers and truth values as distributions: the differentiable forms of arithmetic and choice.

Two distributions that meet are taken to be independent: the sum of two integers is the convolution
of theirs.  A value that is certain counts as a distribution of one point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from metaloom_lists.ragged import fold, mapped
from metaloom_metalearn import BatchedValue, Ragged, SoftBool, SoftInt, SoftLabel
from metaloom_registry import TypeMismatch

Value = BatchedValue


def _points(x: SoftInt) -> Tensor:
    """int64 [range]: the values that x can take."""
    return torch.arange(x.low, x.high + 1, device=x.device())


def _gathered(values: Tensor, weights: Tensor) -> SoftInt:
    """The distribution in which `values` int64 [m] have the probabilities `weights` [rows, m]."""
    low, high = int(values.min()), int(values.max())
    zeros = weights.new_zeros((weights.shape[0], high - low + 1))
    return SoftInt(zeros.index_add(1, values - low, weights), low)


def _combined(x: Value, y: Value, f: Callable[[Tensor, Tensor], Tensor]) -> SoftInt:
    one, other = SoftInt.of(x), SoftInt.of(y)
    values = f(_points(one)[:, None], _points(other)[None, :])
    return _gathered(values.flatten(), _product(one, other).flatten(1))


def _product(x: SoftInt, y: SoftInt) -> Tensor:
    """[rows, range of x, range of y]: the probability of each pair of values."""
    return x.probabilities[:, :, None] * y.probabilities[:, None, :]


def _compared(x: Value, y: Value, f: Callable[[Tensor, Tensor], Tensor]) -> SoftBool:
    one, other = SoftInt.of(x), SoftInt.of(y)
    true = f(_points(one)[:, None], _points(other)[None, :])
    return SoftBool((_product(one, other) * true).sum((1, 2)))


def add(x: Value, y: Value) -> SoftInt:
    """The convolution of the two distributions."""
    return _combined(x, y, torch.add)


def subtract(x: Value, y: Value) -> SoftInt:
    return _combined(x, y, torch.sub)


def multiply(x: Value, y: Value) -> SoftInt:
    return _combined(x, y, torch.mul)


def smaller(x: Value, y: Value) -> SoftInt:
    return _combined(x, y, torch.minimum)


def larger(x: Value, y: Value) -> SoftInt:
    return _combined(x, y, torch.maximum)


def negate(x: Value) -> SoftInt:
    soft = SoftInt.of(x)
    return _gathered(-_points(soft), soft.probabilities)


def absolute(x: Value) -> SoftInt:
    soft = SoftInt.of(x)
    return _gathered(_points(soft).abs(), soft.probabilities)


def equal(x: Value, y: Value) -> SoftBool:
    return _compared(x, y, torch.eq)


def less(x: Value, y: Value) -> SoftBool:
    return _compared(x, y, torch.lt)


def greater(x: Value, y: Value) -> SoftBool:
    return _compared(x, y, torch.gt)


def even(x: Value) -> SoftBool:
    soft = SoftInt.of(x)
    return SoftBool((soft.probabilities * (_points(soft) & 1 == 0)).sum(1))


def odd(x: Value) -> SoftBool:
    return SoftBool(1 - even(x).probability)


def both(p: Value, q: Value) -> SoftBool:
    return SoftBool(SoftBool.of(p).probability * SoftBool.of(q).probability)


def either(p: Value, q: Value) -> SoftBool:
    return SoftBool(1 - both(negation(p), negation(q)).probability)


def negation(p: Value) -> SoftBool:
    return SoftBool(1 - SoftBool.of(p).probability)


def conditional(condition: Value, then: Value, otherwise: Value) -> Value:
    """The mixture of the two branches, weighted by the probability of the condition."""
    return _mixed(SoftBool.of(condition).probability, then, otherwise)


def _mixed(p: Tensor, x: Value, y: Value) -> Value:
    if isinstance(x, tuple):
        return tuple(_mixed(p, one, other) for one, other in zip(x, y, strict=True))
    if isinstance(x, SoftLabel) and isinstance(y, SoftLabel):
        mixture = p[:, None] * x.probabilities() + (1 - p[:, None]) * y.probabilities()
        return SoftLabel(mixture.clamp(min=torch.finfo(mixture.dtype).tiny).log())
    if isinstance(x, SoftBool) or isinstance(y, SoftBool) or _is(x, torch.bool):
        one, other = SoftBool.of(x).probability, SoftBool.of(y).probability
        return SoftBool(p * one + (1 - p) * other)
    if isinstance(x, SoftInt) or isinstance(y, SoftInt) or _is(x, torch.int64):
        a, b = SoftInt.of(x), SoftInt.of(y)
        low, high = min(a.low, b.low), max(a.high, b.high)
        weight = p[:, None]
        return SoftInt(weight * a.widened(low, high) + (1 - weight) * b.widened(low, high), low)
    if isinstance(x, Tensor):
        weight = p.reshape(-1, *(1,) * (x.dim() - 1)).to(x.dtype)
        return weight * x + (1 - weight) * y
    raise TypeMismatch(
        f"a choice between two values of the form {type(x).__name__} has no soft form"
    )


def _is(x: Any, dtype: torch.dtype) -> bool:
    return isinstance(x, Tensor) and x.dtype == dtype


def total(xs: Ragged) -> SoftInt:
    nothing = SoftInt.of(torch.zeros_like(xs.lengths))
    return SoftInt.of(fold(lambda x: lambda y: add(x, y), nothing, xs))


def number(p: Callable[[Any], Any], xs: Ragged) -> SoftInt:
    """The Poisson binomial distribution of how many items `p` holds of."""
    truths = mapped(p, xs)
    if truths.items is None:
        return SoftInt.of(xs.lengths)
    chance = SoftBool.of(truths.items).probability
    return total(Ragged(SoftInt(torch.stack([1 - chance, chance], dim=1)), xs.lengths))
