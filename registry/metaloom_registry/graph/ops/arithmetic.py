"""Arithmetic on elements: with two tensors, with a tensor and a number, with one tensor."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Choice, DType, Extended, Float, Maybe, Scalar
from metaloom_registry.graph.values import FLOATS, REAL, Spec, broadcast, holds, promoted, wanted

_DTYPES = {
    name: getattr(torch, name)
    for name in (
        "bool", "uint8", "int8", "int16", "int32", "int64",
        "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
    )
}  # fmt: skip

_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": torch.eq, "ne": torch.ne, "lt": torch.lt,
    "le": torch.le, "gt": torch.gt, "ge": torch.ge,
}  # fmt: skip


def _both(a: Spec, b: Spec) -> Spec:
    dtype = promoted(a, b)
    wanted(dtype != "bool", "two boolean tensors; cast one of them to a number")
    return Spec(dtype, broadcast(a.shape, b.shape))


def _difference(a: Spec, b: Spec) -> Spec:
    wanted("bool" not in (a.dtype, b.dtype), f"{a} minus {b}; cast booleans to numbers")
    return _both(a, b)


def _power(a: Spec, b: Spec) -> Spec:
    found = _both(a, b)
    wanted(found.inexact, f"{a} to the power {b}; cast one of them to a float")
    return found


def _floats(a: Spec, b: Spec) -> Spec:
    dtype = promoted(a, b)
    return Spec(
        dtype if dtype in FLOATS or dtype in REAL else "float32", broadcast(a.shape, b.shape)
    )


def _ordered(a: Spec, b: Spec) -> Spec:
    wanted(not (a.complex or b.complex), f"{a} and {b}; complex numbers have no order")
    return _both(a, b)


def _relation(a: Spec, b: Spec, *, relation: str) -> Spec:
    _comparable(relation, a, b)
    return Spec("bool", broadcast(a.shape, b.shape))


def _run_relation(a: Tensor, b: Tensor, *, relation: str) -> Tensor:
    return _RELATIONS[relation](a, b)  # type: ignore[no-any-return]


def _comparable(relation: str, *specs: Spec) -> None:
    wanted(
        relation in ("eq", "ne") or not any(x.complex for x in specs),
        f"{relation} of complex numbers, which have no order",
    )


def _relation_scalar(x: Spec, *, relation: str, value: int | float) -> Spec:
    _comparable(relation, x)
    return x.like(x.shape, "bool")


def _run_relation_scalar(x: Tensor, *, relation: str, value: int | float) -> Tensor:
    return _RELATIONS[relation](x, value)  # type: ignore[no-any-return]


def _with_scalar(x: Spec, *, value: int | float) -> Spec:
    wanted(x.dtype != "bool", "a boolean tensor; cast it to a number")
    return x if x.inexact or isinstance(value, int) else x.like(x.shape, "float32")


def _div_scalar(x: Spec, *, value: int | float) -> Spec:
    return x if x.inexact else x.like(x.shape, "float32")


def _pow_scalar(x: Spec, *, value: int | float) -> Spec:
    wanted(x.inexact or (isinstance(value, int) and value >= 0), f"{x} to the power {value}")
    holds(x.dtype, value)
    return _with_scalar(x, value=value)


def _exponential(x: Spec, *, value: float) -> Spec:
    wanted(x.floating, f"{x} where a float dtype is wanted")
    return x


def _run_exponential(x: Tensor, *, value: float) -> Tensor:
    return torch.pow(value, x)


def _one(x: Spec) -> Spec:
    wanted(x.dtype != "bool", "a boolean tensor; cast it to a number")
    return x


def _any(x: Spec) -> Spec:
    return x


def _float(x: Spec) -> Spec:
    wanted(x.floating, f"{x} where a float dtype is wanted; put a cast before it")
    return x


def _inexact(x: Spec) -> Spec:
    wanted(x.inexact, f"{x} where a float dtype is wanted; put a cast before it")
    return x


def _absolute(x: Spec) -> Spec:
    return x.like(x.shape, REAL[x.dtype]) if x.complex else _one(x)


def _clamp(x: Spec, *, low: float | None, high: float | None) -> Spec:
    wanted(x.floating, f"{x} where a float dtype is wanted")
    wanted(low is not None or high is not None, "neither a low nor a high bound")
    holds(x.dtype, low, high)
    return x


def _run_clamp(x: Tensor, *, low: float | None, high: float | None) -> Tensor:
    return torch.clamp(x, low, high)


def _cast(x: Spec, *, dtype: str) -> Spec:
    wanted(not x.complex or dtype in REAL, f"{x} as {dtype}; take its real part first")
    return x.like(x.shape, dtype)


def _run_cast(x: Tensor, *, dtype: str) -> Tensor:
    return x.to(_DTYPES[dtype])


def _cast_like(x: Spec, like: Spec) -> Spec:
    return _cast(x, dtype=like.dtype)


def _run_cast_like(x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


def _where(condition: Spec, a: Spec, b: Spec) -> Spec:
    wanted(condition.dtype == "bool", f"the condition is {condition}")
    wanted(a.dtype == b.dtype, f"{a} or {b}")
    return a.like(broadcast(condition.shape, a.shape, b.shape))


def _fill(x: Spec, mask: Spec, *, value: float) -> Spec:
    wanted(mask.dtype == "bool", f"the mask is {mask}")
    wanted(x.floating, f"{x} where a float dtype is wanted")
    holds(x.dtype, value)
    return x.like(broadcast(x.shape, mask.shape))


def _run_fill(x: Tensor, mask: Tensor, *, value: float) -> Tensor:
    return x.masked_fill(mask, value)


def _not(x: Spec) -> Spec:
    wanted(x.dtype == "bool", f"{x} where booleans are wanted")
    return x


def _logical(a: Spec, b: Spec) -> Spec:
    wanted(a.dtype == b.dtype == "bool", f"{a} and {b} where booleans are wanted")
    return a.like(broadcast(a.shape, b.shape))


def _binary(name: str, doc: str, run: Any, infer: Any = _both) -> Op:
    return Op(name, 1, doc + " Shapes broadcast.", ("a", "b"), infer, run)


def _scalar(name: str, doc: str, run: Any, infer: Any = _with_scalar) -> Op:
    def apply(x: Tensor, *, value: int | float) -> Any:
        return run(x, value)

    return Op(name, 1, doc, ("x",), infer, apply, {"value": Scalar()})


def _unary(name: str, doc: str, run: Any, infer: Any = _float) -> Op:
    return Op(name, 1, doc, ("x",), infer, run)


_RELATION = Choice(tuple(_RELATIONS))

OPS = (
    _binary("add", "a + b.", torch.add),
    _binary("subtract", "a - b.", torch.sub, _difference),
    _binary("multiply", "a * b.", torch.mul),
    _binary("divide", "a / b, in floats.", torch.div, _floats),
    _binary("power", "a to the power b, in floats.", torch.pow, _power),
    _binary("maximum", "The larger of a and b.", torch.maximum, _ordered),
    _binary("minimum", "The smaller of a and b.", torch.minimum, _ordered),
    Op(
        "compare",
        1,
        "Whether a stands in the relation to b. Shapes broadcast.",
        ("a", "b"),
        _relation,
        _run_relation,
        {"relation": _RELATION},
    ),
    Op(
        "compare_scalar",
        1,
        "Whether x stands in the relation to a number.",
        ("x",),
        _relation_scalar,
        _run_relation_scalar,
        {"relation": _RELATION, "value": Scalar()},
    ),
    _scalar("add_scalar", "x + value.", torch.add),
    _scalar("multiply_scalar", "x * value.", torch.mul),
    _scalar("divide_scalar", "x / value, in floats.", torch.div, _div_scalar),
    _scalar("power_scalar", "x to the power value.", torch.pow, _pow_scalar),
    Op(
        "exponential",
        1,
        "value to the power x.",
        ("x",),
        _exponential,
        _run_exponential,
        {"value": Float(0.0)},
    ),
    _unary("negative", "-x.", operator.neg, _one),
    _unary("absolute", "The absolute value; of complex numbers a float.", torch.abs, _absolute),
    _unary("exp", "e to the power x.", torch.exp, _inexact),
    _unary("log", "The natural logarithm.", torch.log, _inexact),
    _unary("log1p", "log(1 + x).", torch.log1p),
    _unary("stop_gradient", "x, through which no gradient flows.", torch.detach, _any),
    _unary("sqrt", "The square root.", torch.sqrt, _inexact),
    _unary("rsqrt", "1 / sqrt(x).", torch.rsqrt),
    _unary("reciprocal", "1 / x.", torch.reciprocal, _inexact),
    _unary("sin", "The sine.", torch.sin, _inexact),
    _unary("cos", "The cosine.", torch.cos, _inexact),
    _unary("erf", "The error function.", torch.erf),
    Op(
        "clamp",
        1,
        "min(max(x, low), high); a null bound is none.",
        ("x",),
        _clamp,
        _run_clamp,
        {"low": Maybe(Float()), "high": Maybe(Float())},
    ),
    Op("cast", 1, "x in another dtype.", ("x",), _cast, _run_cast, {"dtype": DType()}),
    Op(
        "cast_like",
        1,
        "x in the dtype of like; so it follows a module that is moved to another dtype.",
        ("x", "like"),
        _cast_like,
        _run_cast_like,
        since=2,
    ),
    Op(
        "where",
        1,
        "a where the condition holds, b elsewhere. Shapes broadcast.",
        ("condition", "a", "b"),
        _where,
        torch.where,
    ),
    Op(
        "masked_fill",
        1,
        "value where the mask holds, x elsewhere. Shapes broadcast.",
        ("x", "mask"),
        _fill,
        _run_fill,
        {"value": Extended()},
    ),
    _unary("not", "Whether x is false.", torch.logical_not, _not),
    _binary("and", "Whether both hold.", torch.logical_and, _logical),
    _binary("or", "Whether one holds.", torch.logical_or, _logical),
)
