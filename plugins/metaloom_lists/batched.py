"""Integers, truth values and pairs, a whole batch at once: tensors of one value a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from metaloom_lists.numbers import HIGHEST, LOWEST, is_prime, is_square
from metaloom_metalearn import BatchedValue, put, take
from metaloom_registry import EvaluationError


def _no_overflow(wrong: Tensor) -> None:
    if bool(wrong.any()):
        raise EvaluationError("an integer overflows 64 bits")


def add(x: Tensor, y: Tensor) -> Tensor:
    total = x + y
    _no_overflow(((x ^ total) & (y ^ total)) < 0)
    return total


def subtract(x: Tensor, y: Tensor) -> Tensor:
    difference = x - y
    _no_overflow(((x ^ y) & (x ^ difference)) < 0)
    return difference


def multiply(x: Tensor, y: Tensor) -> Tensor:
    product = x * y
    divisor = torch.where((x == 0) | (x == -1), 1, x)  # LOWEST // -1 would end the process
    wrong = (x != 0) & (x != -1) & (torch.div(product, divisor, rounding_mode="trunc") != y)
    _no_overflow(wrong | ((x == -1) & (y == LOWEST)))
    return product


def divide(x: Tensor, y: Tensor) -> Tensor:
    _not_by_zero(y)
    _no_overflow((x == LOWEST) & (y == -1))
    return torch.div(x, y, rounding_mode="floor")


def modulo(x: Tensor, y: Tensor) -> Tensor:
    _not_by_zero(y)
    return torch.where(y == -1, 0, torch.remainder(x, torch.where(y == -1, 1, y)))


def _not_by_zero(y: Tensor) -> None:
    if bool((y == 0).any()):
        raise EvaluationError("an integer is divided by zero")


def negate(x: Tensor) -> Tensor:
    _no_overflow(x == LOWEST)
    return -x


def absolute(x: Tensor) -> Tensor:
    _no_overflow(x == LOWEST)
    return x.abs()


def smaller(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(x, y)


def larger(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(x, y)


def equal(x: Tensor, y: Tensor) -> Tensor:
    return x == y


def less(x: Tensor, y: Tensor) -> Tensor:
    return x < y


def greater(x: Tensor, y: Tensor) -> Tensor:
    return x > y


def even(x: Tensor) -> Tensor:
    return x & 1 == 0


def odd(x: Tensor) -> Tensor:
    return x & 1 == 1


def prime(x: Tensor) -> Tensor:
    return _each(is_prime, x)


def square(x: Tensor) -> Tensor:
    return _each(is_square, x)


def _each(function: Callable[[int], bool], x: Tensor) -> Tensor:
    return torch.tensor([function(value) for value in x.tolist()], device=x.device).bool()


def conditional(condition: Tensor, then: BatchedValue, otherwise: BatchedValue) -> BatchedValue:
    """Row by row; both branches have been computed for all rows."""
    rows = condition.nonzero()[:, 0]
    return put(otherwise, rows, take(then, rows))


def both(p: Tensor, q: Tensor) -> Tensor:
    return p & q


def either(p: Tensor, q: Tensor) -> Tensor:
    return p | q


def negation(p: Tensor) -> Tensor:
    return ~p


def pair(x: BatchedValue, y: BatchedValue) -> tuple[Any, Any]:
    return x, y


def first(two: tuple[Any, Any]) -> Any:
    return two[0]


def second(two: tuple[Any, Any]) -> Any:
    return two[1]


def row_sums(values: Tensor, owners: Tensor, rows: int) -> Tensor:
    """int64 [rows]: the sums of the values by owner; the halves of 32 bits are summed apart."""
    zeros = torch.zeros(rows, dtype=torch.int64, device=values.device)
    low = zeros.index_add(0, owners, values & 0xFFFFFFFF)
    high = zeros.index_add(0, owners, values >> 32) + (low >> 32)
    _no_overflow((high < LOWEST >> 32) | (high > HIGHEST >> 32))
    return (high << 32) | (low & 0xFFFFFFFF)
