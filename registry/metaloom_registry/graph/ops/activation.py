"""Activations: functions of one element, the soft maximum, and dropout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Choice, Float, Int, Mode, Rule
from metaloom_registry.graph.values import Spec, axis, holds, wanted


def _same(x: Spec, **_: Any) -> Spec:
    wanted(x.floating, f"{x} where a float dtype is wanted; put a cast before it")
    return x


def _same_within(x: Spec, **numbers: float) -> Spec:
    """Numbers are used in float32, but for elements of float64."""
    if x.dtype != "float64":
        holds("float32", *numbers.values())
    return _same(x)


def _hardtanh(x: Spec, *, min_val: float, max_val: float) -> Spec:
    wanted(min_val <= max_val, f"from {min_val} to {max_val}")
    holds(x.dtype, min_val, max_val)
    return _same(x)


def _along(x: Spec, *, dim: int) -> Spec:
    wanted(x.floating, f"{x} where a float dtype is wanted; put a cast before it")
    axis(dim, x.rank)
    return x


def _prelu(x: Spec, weight: Spec) -> Spec:
    channels = x.shape[1] if x.rank >= 2 else 1
    wanted(x.floating and x.dtype == weight.dtype, f"x is {x.dtype}, the weight {weight.dtype}")
    wanted(weight.shape in ((1,), (channels,)), f"{weight} for {channels} channels")
    return x


def _dropout_channels(x: Spec, **_: Any) -> Spec:
    wanted(x.rank >= 3, f"{x} where rank 3 or more is wanted")
    return _same(x)


def _run_elu(x: Tensor, *, alpha: float, scale: float, input_scale: float) -> Tensor:
    return torch._C._nn.elu(x, alpha, scale, input_scale)


def _run_dropout(x: Tensor, *, p: float, train: bool) -> Tensor:
    return torch.dropout(x, p, train)


def _run_dropout_channels(x: Tensor, *, p: float, train: bool) -> Tensor:
    return torch.feature_dropout(x, p, train)


def _times(factor: int) -> Callable[[Sequence[Any], Sequence[Any], Mapping[str, Any]], int]:
    return lambda inputs, outputs, _: int(factor * outputs[0].elements)


def _elementwise(
    name: str,
    doc: str,
    run: Callable[..., Any],
    flops: int = 4,
    infer: Callable[..., Spec] = _same_within,
    **arguments: Rule,
) -> Op:
    return Op(name, 1, doc, ("x",), infer, run, arguments, flops=_times(flops))


_DIM = Int(-8, 7)
_PROBABILITY = Float(0.0, 1.0)

OPS = (
    _elementwise("relu", "max(x, 0).", torch.relu, 1),
    _elementwise(
        "leaky_relu",
        "x where x > 0, slope * x elsewhere.",
        functional.leaky_relu,
        2,
        negative_slope=Float(),
    ),
    _elementwise(
        "elu",
        "scale * x where x > 0, scale * alpha * (exp(input_scale * x) - 1) elsewhere.",
        _run_elu,
        alpha=Float(),
        scale=Float(),
        input_scale=Float(),
    ),
    _elementwise(
        "gelu",
        "x times the normal distribution function of x; with tanh, 0.5 x (1 + tanh(sqrt(2 / pi) "
        "(x + 0.044715 x^3))).",
        functional.gelu,
        8,
        approximate=Choice(("none", "tanh")),
        infer=_same,
    ),
    _elementwise("silu", "x * sigmoid(x).", functional.silu),
    _elementwise("mish", "x * tanh(log(1 + exp(x))).", functional.mish, 8),
    _elementwise("sigmoid", "1 / (1 + exp(-x)).", torch.sigmoid),
    _elementwise("log_sigmoid", "log(1 / (1 + exp(-x))).", functional.logsigmoid),
    _elementwise("tanh", "The hyperbolic tangent.", torch.tanh),
    _elementwise("hardswish", "x * min(max(x + 3, 0), 6) / 6.", functional.hardswish),
    _elementwise("hardsigmoid", "min(max(x + 3, 0), 6) / 6.", functional.hardsigmoid),
    _elementwise(
        "hardtanh",
        "min(max(x, low), high).",
        functional.hardtanh,
        2,
        _hardtanh,
        min_val=Float(),
        max_val=Float(),
    ),
    _elementwise(
        "softplus",
        "log(1 + exp(beta * x)) / beta, and x where beta * x > threshold.",
        functional.softplus,
        beta=Float(),
        threshold=Float(),
    ),
    Op(
        "prelu",
        1,
        "x where x > 0, weight * x elsewhere; weight has one element or one per channel "
        "(dimension 1).",
        ("x", "weight"),
        _prelu,
        torch.prelu,
        flops=_times(2),
    ),
    Op(
        "softmax",
        1,
        "exp(x) over its sum along a dimension.",
        ("x",),
        _along,
        torch.softmax,
        {"dim": _DIM},
        flops=_times(5),
    ),
    Op(
        "log_softmax",
        1,
        "x - log(sum(exp(x))) along a dimension.",
        ("x",),
        _along,
        torch.log_softmax,
        {"dim": _DIM},
        flops=_times(5),
    ),
    Op(
        "dropout",
        1,
        "In training each element is 0 with probability p and x / (1 - p) otherwise, drawn from "
        "torch's generator; else x.",
        ("x",),
        _same,
        _run_dropout,
        {"p": _PROBABILITY, "train": Mode()},
    ),
    Op(
        "dropout_channels",
        1,
        "dropout that draws once for all dimensions after the channel (dimension 1).",
        ("x",),
        _dropout_channels,
        _run_dropout_channels,
        {"p": _PROBABILITY, "train": Mode()},
    ),
)
