"""ATen's layers in our ops: affine maps, convolutions, pooling, normalisation, dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_registry.errors import Refused
from metaloom_registry.graph.draft import Arguments, Draft, Handle, static

Translation = Callable[[Draft, Arguments], Any]


def _linear(g: Draft, a: Arguments) -> Handle:
    return g.node("linear/1", [a["input"], a["weight"], a["bias"]])  # type: ignore[no-any-return]


def _addmm(g: Draft, a: Arguments) -> Handle:
    product = g.node("matmul/1", [a["mat1"], a["mat2"]])
    if a["alpha"] != 1:
        product = g.node("multiply_scalar/1", [product], value=a["alpha"])
    added = a["self"]
    if a["beta"] != 1:
        added = g.node("multiply_scalar/1", [added], value=a["beta"])
    return g.node("add/1", [added, product])  # type: ignore[no-any-return]


def _matmul(first: str, second: str) -> Translation:
    return lambda g, a: g.node("matmul/1", [a[first], a[second]])


def _bilinear(g: Draft, a: Arguments) -> Any:
    return g.node("bilinear/1", [a["input1"], a["input2"], a["weight"], a["bias"]])


def _embedding(g: Draft, a: Arguments) -> Any:
    if a["scale_grad_by_freq"] or a["sparse"]:
        raise Refused("an embedding with scale_grad_by_freq or sparse gradients; turn both off")
    return g.node("embedding/1", [a["indices"], a["weight"]])


def _spread(value: Any, count: int) -> tuple[int, ...]:
    """One number for all dimensions, or one for each."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values


def _convolution(spatial: int) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        x, dilation = a["input"], _spread(a["dilation"], spatial)
        padding = a["padding"]
        if padding == "same":
            kernel = a["weight"].fake.shape[2:]
            totals = [d * (int(k) - 1) for d, k in zip(dilation, kernel, strict=True)]
            padding = [total // 2 for total in totals]
            if any(total % 2 for total in totals):
                amounts = [n for total in reversed(totals) for n in (0, total % 2)]
                x = g.node("pad/1", [x], amounts=amounts, mode="constant", value=0.0)
        elif padding == "valid":
            padding = 0
        return g.node(
            f"conv{spatial}d/1",
            [x, a["weight"], a["bias"]],
            stride=_spread(a["stride"], spatial),
            padding=_spread(padding, spatial),
            dilation=dilation,
            groups=a["groups"],
        )

    return translate


def _transposed(spatial: int) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        return g.node(
            f"conv_transpose{spatial}d/1",
            [a["input"], a["weight"], a["bias"]],
            stride=_spread(a["stride"], spatial),
            padding=_spread(a["padding"], spatial),
            output_padding=_spread(a["output_padding"], spatial),
            dilation=_spread(a["dilation"], spatial),
            groups=a["groups"],
        )

    return translate


def _max_pool(spatial: int) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        kernel = _spread(a["kernel_size"], spatial)
        return g.node(
            f"max_pool{spatial}d/1",
            [a["self"]],
            kernel_size=kernel,
            stride=_spread(a["stride"], spatial) if a["stride"] else kernel,
            padding=_spread(a["padding"], spatial),
            dilation=_spread(a["dilation"], spatial),
            ceil_mode=a["ceil_mode"],
        )

    return translate


def _avg_pool(spatial: int) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        if a.get("divisor_override") is not None:
            raise Refused("average pooling with divisor_override; multiply the result instead")
        kernel = _spread(a["kernel_size"], spatial)
        return g.node(
            f"avg_pool{spatial}d/1",
            [a["self"]],
            kernel_size=kernel,
            stride=_spread(a["stride"], spatial) if a["stride"] else kernel,
            padding=_spread(a["padding"], spatial),
            ceil_mode=a["ceil_mode"],
            count_include_pad=a["count_include_pad"],
        )

    return translate


def _adaptive(name: str, spatial: int, *, first: bool = False) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        sizes = [
            None if isinstance(size, Handle) else size
            for size in _spread(a["output_size"], spatial)
        ]
        pooled = g.node(f"{name}{spatial}d/1", [a["self"]], output_size=sizes)
        return (pooled, None) if first else pooled

    return translate


def _batch_norm(g: Draft, a: Arguments) -> Any:
    x, weight, bias = a["input"], a["weight"], a["bias"]
    mean, variance, train = a["running_mean"], a["running_var"], a["training"]
    if mean is None:
        if not train:
            raise Refused("batch norm in eval mode without running statistics")
        return g.node("batch_norm_alone/1", [x, weight, bias], eps=a["eps"])
    y, new_mean, new_variance = g.node(
        "batch_norm/1",
        [x, weight, bias, g.current(mean), g.current(variance)],
        momentum=a["momentum"],
        eps=a["eps"],
        train=train,
    )
    if train:
        g.change(g.current(mean), new_mean, "batch norm")
        g.change(g.current(variance), new_variance, "batch norm")
    return y


def _instance_norm(g: Draft, a: Arguments) -> Any:
    if a["running_mean"] is not None or not a["use_input_stats"]:
        raise Refused("instance norm with running statistics; set track_running_stats=False")
    return g.node("instance_norm/1", [a["input"], a["weight"], a["bias"]], eps=a["eps"])


def _group_norm(g: Draft, a: Arguments) -> Any:
    return g.node(
        "group_norm/1",
        [a["input"], a["weight"], a["bias"]],
        groups=a["num_groups"],
        eps=a["eps"],
    )


def _layer_norm(g: Draft, a: Arguments) -> Any:
    return g.node(
        "layer_norm/1",
        [a["input"], a["weight"], a["bias"]],
        shape=[static(size, "the shape of layer norm") for size in a["normalized_shape"]],
        eps=a["eps"],
    )


def _rms_norm(g: Draft, a: Arguments) -> Any:
    shape = [static(size, "the shape of rms norm") for size in a["normalized_shape"]]
    return g.node("rms_norm/1", [a["input"], a["weight"]], shape=shape, eps=a["eps"])


def _dropout(name: str) -> Translation:
    return lambda g, a: g.node(f"{name}/1", [a["input"]], p=a["p"], train=a["train"])


def _per_dimension(name: str, make: Callable[[int], Translation]) -> dict[str, Translation]:
    return {f"aten.{name}{n}d.default": make(n) for n in (1, 2, 3)}


LAYERS: dict[str, Translation] = {
    "aten.linear.default": _linear,
    "aten.addmm.default": _addmm,
    "aten.matmul.default": _matmul("self", "other"),
    "aten.mm.default": _matmul("self", "mat2"),
    "aten.bmm.default": _matmul("self", "mat2"),
    "aten.mv.default": _matmul("self", "vec"),
    "aten.bilinear.default": _bilinear,
    "aten.embedding.default": _embedding,
    **_per_dimension("conv", _convolution),
    **{f"aten.conv{n}d.padding": _convolution(n) for n in (1, 2, 3)},
    "aten.conv_transpose1d.default": _transposed(1),
    "aten.conv_transpose2d.input": _transposed(2),
    "aten.conv_transpose3d.input": _transposed(3),
    **_per_dimension("max_pool", _max_pool),
    **_per_dimension("avg_pool", _avg_pool),
    **_per_dimension("adaptive_avg_pool", lambda n: _adaptive("adaptive_avg_pool", n)),
    **_per_dimension("adaptive_max_pool", lambda n: _adaptive("adaptive_max_pool", n, first=True)),
    "aten.batch_norm.default": _batch_norm,
    "aten.instance_norm.default": _instance_norm,
    "aten.group_norm.default": _group_norm,
    "aten.layer_norm.default": _layer_norm,
    "aten.rms_norm.default": _rms_norm,
    "aten.dropout.default": _dropout("dropout"),
    "aten.feature_dropout.default": _dropout("dropout_channels"),
}
