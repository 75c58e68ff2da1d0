"""ATen's functions of one element in our ops: activations, arithmetic, comparison, casts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_registry.errors import Refused
from metaloom_registry.graph.draft import Arguments, Draft, Handle, dtype_name, tensor_like

Translation = Callable[[Draft, Arguments], Any]


def _same(op: str, **arguments: str) -> Translation:
    """An op of the one tensor `self`; ours -> their name of each argument."""

    def translate(g: Draft, a: Arguments) -> Any:
        return g.node(op, [a["self"]], **{ours: a[theirs] for ours, theirs in arguments.items()})

    return translate


def _fixed(op: str, **arguments: Any) -> Translation:
    return lambda g, a: g.node(op, [a["self"]], **arguments)


def _two(op: str, first: str = "self", second: str = "other") -> Translation:
    return lambda g, a: g.node(op, [a[first], a[second]])


def _along(op: str) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        y = g.node(op, [a["self"]], dim=a["dim"])
        return y if a["dtype"] is None else g.node("cast/1", [y], dtype=dtype_name(a["dtype"]))

    return translate


def _arithmetic(tensor: str, scalar: str) -> Translation:
    """`self` with `other`, which is a tensor, a number or a size, times `alpha`."""

    def translate(g: Draft, a: Arguments) -> Any:
        one, other, alpha = a["self"], a["other"], a.get("alpha", 1)
        if not tensor_like(other):
            if alpha != 1:
                other = other * alpha
            return g.node(scalar, [one], value=other)
        if alpha != 1:
            other = g.node("multiply_scalar/1", [other], value=alpha)
        return g.node(tensor, [one, other])

    return translate


def _subtract(g: Draft, a: Arguments) -> Any:
    other, alpha = a["other"], a.get("alpha", 1)
    if tensor_like(other):
        return _arithmetic("subtract/1", "add_scalar/1")(g, a)
    if isinstance(other, Handle):
        other = g.node("size_multiply/1", [], a=other, b=-alpha)
    else:
        other = -other * alpha
    return g.node("add_scalar/1", [a["self"]], value=other)


def _reversed_subtract(g: Draft, a: Arguments) -> Any:
    minus = g.node("negative/1", [a["self"]])
    return _arithmetic("add/1", "add_scalar/1")(g, {**a, "self": minus})


def _divide(g: Draft, a: Arguments) -> Any:
    if a.get("rounding_mode") is not None:
        raise Refused("a division with rounding_mode; its gradient is zero")
    return _arithmetic("divide/1", "divide_scalar/1")(g, a)


def _power(g: Draft, a: Arguments) -> Any:
    exponent = a["exponent"]
    if tensor_like(exponent):
        return g.node("power/1", [a["self"], exponent])
    return g.node("power_scalar/1", [a["self"]], value=exponent)


def _compare(relation: str) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        if tensor_like(a["other"]):
            return g.node("compare/1", [a["self"], a["other"]], relation=relation)
        return g.node("compare_scalar/1", [a["self"]], relation=relation, value=a["other"])

    return translate


def _elu(g: Draft, a: Arguments) -> Any:
    return g.node(
        "elu/1",
        [a["self"]],
        alpha=float(a["alpha"]),
        scale=float(a["scale"]),
        input_scale=float(a["input_scale"]),
    )


def _selu(g: Draft, a: Arguments) -> Any:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return g.node("elu/1", [a["self"]], alpha=alpha, scale=scale, input_scale=1.0)


def _celu(g: Draft, a: Arguments) -> Any:
    alpha = float(a["alpha"])
    return g.node("elu/1", [a["self"]], alpha=alpha, scale=1.0, input_scale=1.0 / alpha)


def _clamp(low: str | None, high: str | None) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        return g.node(
            "clamp/1",
            [a["self"]],
            low=None if low is None or a[low] is None else float(a[low]),
            high=None if high is None or a[high] is None else float(a[high]),
        )

    return translate


def _cast(g: Draft, a: Arguments) -> Any:
    dtype = a["other"].fake.dtype if "other" in a else a.get("dtype")
    x = a["self"]
    if dtype is None or dtype == x.fake.dtype:
        return x
    if "other" in a:
        return g.node("cast_like/1", [x, a["other"]])
    like = g.floating()
    if like is not None and like.fake.dtype == dtype:
        return g.node("cast_like/1", [x, like])
    return g.node("cast/1", [x], dtype=dtype_name(dtype))


def _itself(g: Draft, a: Arguments) -> Any:
    return a["self"]


def _stop_gradient(g: Draft, a: Arguments) -> Any:
    x = a["self"]
    return x if x.origin[0] == "state" else g.node("stop_gradient/1", [x])


def _where(g: Draft, a: Arguments) -> Any:
    one, other = a["self"], a["other"]
    if not tensor_like(one) and not tensor_like(other):
        raise Refused("torch.where of two numbers; give a tensor")
    if not tensor_like(other):
        mask = g.node("not/1", [a["condition"]])
        return g.node("masked_fill/1", [one, mask], value=float(other))
    if not tensor_like(one):
        return g.node("masked_fill/1", [other, a["condition"]], value=float(one))
    return g.node("where/1", [a["condition"], one, other])


def _masked_fill(g: Draft, a: Arguments) -> Any:
    return g.node("masked_fill/1", [a["self"], a["mask"]], value=float(a["value"]))


def _leaky_relu(g: Draft, a: Arguments) -> Any:
    slope = float(a["negative_slope"])
    return g.node("leaky_relu/1", [a["self"]], negative_slope=slope)


def _hardtanh(g: Draft, a: Arguments) -> Any:
    low, high = float(a["min_val"]), float(a["max_val"])
    return g.node("hardtanh/1", [a["self"]], min_val=low, max_val=high)


def _softplus(g: Draft, a: Arguments) -> Any:
    beta, threshold = float(a["beta"]), float(a["threshold"])
    return g.node("softplus/1", [a["self"]], beta=beta, threshold=threshold)


_UNARY = {
    "relu": "relu/1", "silu": "silu/1", "mish": "mish/1", "sigmoid": "sigmoid/1",
    "log_sigmoid": "log_sigmoid/1", "tanh": "tanh/1", "hardswish": "hardswish/1",
    "hardsigmoid": "hardsigmoid/1", "neg": "negative/1", "abs": "absolute/1", "exp": "exp/1",
    "log": "log/1", "log1p": "log1p/1", "sqrt": "sqrt/1", "rsqrt": "rsqrt/1",
    "reciprocal": "reciprocal/1", "sin": "sin/1", "cos": "cos/1", "erf": "erf/1",
    "logical_not": "not/1", "bitwise_not": "not/1",
}  # fmt: skip

_BOTH = {
    "add": _arithmetic("add/1", "add_scalar/1"),
    "sub": _subtract,
    "mul": _arithmetic("multiply/1", "multiply_scalar/1"),
    "div": _divide,
    **{name: _compare(name) for name in ("eq", "ne", "lt", "le", "gt", "ge")},
}

ELEMENTWISE: dict[str, Translation] = {
    **{f"aten.{name}.default": _same(op) for name, op in _UNARY.items()},
    **{f"aten.{name}.Tensor": translation for name, translation in _BOTH.items()},
    **{f"aten.{name}.Scalar": translation for name, translation in _BOTH.items()},
    "aten.rsub.Scalar": _reversed_subtract,
    "aten.rsub.Tensor": _reversed_subtract,
    "aten.pow.Tensor_Scalar": _power,
    "aten.pow.Tensor_Tensor": _power,
    "aten.pow.Scalar": lambda g, a: g.node(
        "exponential/1", [a["exponent"]], value=float(a["self"])
    ),
    "aten.square.default": _fixed("power_scalar/1", value=2),
    "aten.maximum.default": _two("maximum/1"),
    "aten.minimum.default": _two("minimum/1"),
    "aten.logical_and.default": _two("and/1"),
    "aten.logical_or.default": _two("or/1"),
    "aten.bitwise_and.Tensor": _two("and/1"),
    "aten.bitwise_or.Tensor": _two("or/1"),
    "aten.leaky_relu.default": _leaky_relu,
    "aten.elu.default": _elu,
    "aten.selu.default": _selu,
    "aten.celu.default": _celu,
    "aten.gelu.default": _same("gelu/1", approximate="approximate"),
    "aten.hardtanh.default": _hardtanh,
    "aten.relu6.default": _fixed("hardtanh/1", min_val=0.0, max_val=6.0),
    "aten.softplus.default": _softplus,
    "aten.prelu.default": _two("prelu/1", "self", "weight"),
    "aten.softmax.int": _along("softmax/1"),
    "aten.log_softmax.int": _along("log_softmax/1"),
    "aten.clamp.default": _clamp("min", "max"),
    "aten.clamp_min.default": _clamp("min", None),
    "aten.clamp_max.default": _clamp(None, "max"),
    "aten.where.self": _where,
    "aten.where.ScalarOther": _where,
    "aten.where.ScalarSelf": _where,
    "aten.masked_fill.Scalar": _masked_fill,
    "aten.to.dtype": _cast,
    "aten.to.dtype_layout": _cast,
    "aten.to.device": _cast,
    "aten.to.other": _cast,
    "aten._to_copy.default": _cast,
    "aten.type_as.default": _cast,
    "aten.detach.default": _stop_gradient,
    **{
        f"aten.{name}.default": _itself
        for name in ("clone", "contiguous", "lift_fresh_copy", "alias", "positive")
    },
}
