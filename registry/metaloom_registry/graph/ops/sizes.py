"""Integers that are sizes: read from a tensor, added, multiplied, divided; always bounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Int, Size
from metaloom_registry.graph.values import MAX_INTEGER, MAX_RANK, Spec, axis, wanted


def _size(x: Spec, *, dim: int) -> int:
    return x.shape[axis(dim, x.rank)]


def _run_size(x: Tensor, *, dim: int) -> int:
    return x.shape[dim]


def _bounded(value: int) -> int:
    wanted(abs(value) <= MAX_INTEGER, f"the size {value} is beyond {MAX_INTEGER}")
    return value


def _add(*, a: int, b: int) -> int:
    return a + b


def _subtract(*, a: int, b: int) -> int:
    return a - b


def _multiply(*, a: int, b: int) -> int:
    return a * b


def _divide(*, a: int, b: int) -> int:
    return a // b


def _modulo(*, a: int, b: int) -> int:
    return a % b


def _arithmetic(name: str, doc: str, run: Callable[..., int], *, divides: bool = False) -> Op:
    def infer(*, a: int, b: int) -> int:
        wanted(b != 0 or not divides, f"{a} divided by 0")
        return _bounded(run(a=a, b=b))

    return Op(name, 1, doc, (), infer, run, {"a": Size(), "b": Size()}, flops=_none)


def _none(*_: Any) -> int:
    return 0


OPS = (
    Op(
        "size",
        1,
        "The size of a dimension, as an integer value.",
        ("x",),
        _size,
        _run_size,
        {"dim": Int(-MAX_RANK, MAX_RANK - 1)},
        flops=_none,
    ),
    _arithmetic("size_add", "a + b.", _add),
    _arithmetic("size_subtract", "a - b.", _subtract),
    _arithmetic("size_multiply", "a * b.", _multiply),
    _arithmetic("size_divide", "a / b rounded down.", _divide, divides=True),
    _arithmetic("size_modulo", "a - b * floor(a / b).", _modulo, divides=True),
)
