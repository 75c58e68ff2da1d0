"""Every operation: its shape rule says what it gives, without touching memory."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch

from metaloom_registry.errors import Refused
from metaloom_registry.graph.ops import FAMILIES, TABLE
from metaloom_registry.graph.values import Spec

F = "float32"
C = "complex64"
W1, W2, W3 = [1], [1, 1], [1, 1, 1]
Z1, Z2, Z3 = [0], [0, 0], [0, 0, 0]


def conv(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "stride": [1] * n, "padding": [0] * n, "dilation": [1] * n, "groups": 1, **changes,
    }  # fmt: skip


def window(n: int, kind: str, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "kernel_size": [2] * n, "stride": [2] * n, "padding": [0] * n, "ceil_mode": False,
    }  # fmt: skip
    extra = {"dilation": [1] * n} if kind == "max" else {"count_include_pad": True}
    return {**base, **extra, **changes}


def norm(channels: int, *, running: bool = False) -> list[Any]:
    vector = (F, (channels,))
    return [vector] * (4 if running else 2)


IMAGE, SERIES, VOLUME, VECTOR = (F, (2, 4, 6, 7)), (F, (2, 4, 9)), (F, (2, 4, 5, 6, 7)), (F, (2, 5))

SAMPLES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("linear/1", [(F, (2, 3, 5)), (F, (4, 5)), (F, (4,))], {}),
    ("linear/1", [(F, (2, 5)), (F, (4, 5)), None], {}),
    ("bilinear/1", [(F, (2, 3)), (F, (2, 5)), (F, (4, 3, 5)), (F, (4,))], {}),
    ("matmul/1", [(F, (2, 1, 3, 4)), (F, (5, 4, 6))], {}),
    ("matmul/1", [(F, (4,)), (F, (2, 4, 6))], {}),
    ("matmul/1", [(F, (2, 3, 4)), (F, (4,))], {}),
    ("matmul/1", [(F, (4,)), (F, (4,))], {}),
    ("embedding/1", [("int64", (2, 3)), (F, (7, 4))], {}),
    ("conv1d/1", [SERIES, (F, (6, 2, 3)), (F, (6,))], conv(1, groups=2, stride=[2])),
    ("conv2d/1", [IMAGE, (F, (3, 4, 3, 2)), None], conv(2, padding=[1, 2], dilation=[2, 1])),
    ("conv3d/1", [VOLUME, (F, (3, 4, 3, 2, 1)), (F, (3,))], conv(3)),
    ("conv_transpose1d/1", [SERIES, (F, (4, 3, 3)), None],
     conv(1, stride=[3], output_padding=[2])),
    ("conv_transpose2d/1", [IMAGE, (F, (4, 2, 3, 3)), (F, (4,))],
     conv(2, groups=2, stride=[2, 1], padding=[1, 0], output_padding=[1, 0])),
    ("conv_transpose3d/1", [VOLUME, (F, (4, 2, 1, 2, 3)), None], conv(3, output_padding=Z3)),
    ("batch_norm/1", [IMAGE, *norm(4, running=True)],
     {"momentum": 0.1, "eps": 1e-5, "train": True}),
    ("batch_norm/1", [IMAGE, None, None, *norm(4)],
     {"momentum": 0.1, "eps": 1e-5, "train": False}),
    ("batch_norm_alone/1", [VECTOR, *norm(5)], {"eps": 1e-5}),
    ("instance_norm/1", [IMAGE, *norm(4)], {"eps": 1e-5}),
    ("group_norm/1", [IMAGE, *norm(4)], {"groups": 2, "eps": 1e-5}),
    ("layer_norm/1", [IMAGE, (F, (6, 7)), None], {"shape": [6, 7], "eps": 1e-5}),
    ("rms_norm/1", [VECTOR, (F, (5,))], {"shape": [5], "eps": None}),
    ("max_pool1d/1", [SERIES], window(1, "max")),
    ("max_pool2d/1", [IMAGE], window(2, "max", ceil_mode=True, padding=[1, 0])),
    ("max_pool2d/1", [IMAGE], window(2, "max", kernel_size=[3, 3], ceil_mode=True, padding=W2)),
    ("max_pool3d/1", [VOLUME], window(3, "max")),
    ("avg_pool1d/1", [SERIES], window(1, "avg", padding=W1)),
    ("avg_pool2d/1", [IMAGE], window(2, "avg", ceil_mode=True, count_include_pad=False)),
    ("avg_pool3d/1", [VOLUME], window(3, "avg", stride=W3)),
    ("adaptive_avg_pool1d/1", [SERIES], {"output_size": [4]}),
    ("adaptive_avg_pool2d/1", [IMAGE], {"output_size": [None, 3]}),
    ("adaptive_avg_pool3d/1", [VOLUME], {"output_size": [1, 2, 9]}),
    ("adaptive_max_pool1d/1", [SERIES], {"output_size": [4]}),
    ("adaptive_max_pool2d/1", [IMAGE], {"output_size": [2, 3]}),
    ("adaptive_max_pool3d/1", [VOLUME], {"output_size": [1, 2, 9]}),
    *[(f"{name}/1", [IMAGE], {}) for name in (
        "relu", "silu", "mish", "sigmoid", "log_sigmoid", "tanh", "hardswish", "hardsigmoid",
        "negative", "absolute", "exp", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "sin",
        "cos", "erf", "stop_gradient",
    )],
    ("leaky_relu/1", [VECTOR], {"negative_slope": 0.1}),
    ("elu/1", [VECTOR], {"alpha": 1.5, "scale": 1.0, "input_scale": 0.5}),
    ("gelu/1", [VECTOR], {"approximate": "tanh"}),
    ("hardtanh/1", [VECTOR], {"min_val": -1.0, "max_val": 2.0}),
    ("softplus/1", [VECTOR], {"beta": 2.0, "threshold": 20.0}),
    ("prelu/1", [IMAGE, (F, (4,))], {}),
    ("softmax/1", [IMAGE], {"dim": 1}),
    ("log_softmax/1", [IMAGE], {"dim": -1}),
    ("dropout/1", [IMAGE], {"p": 0.5, "train": True}),
    ("dropout_channels/1", [IMAGE], {"p": 0.5, "train": True}),
    ("reshape/1", [IMAGE], {"sizes": [2, -1, 3]}),
    ("flatten/1", [IMAGE], {"start": 1, "end": -2}),
    ("permute/1", [IMAGE], {"dims": [0, 3, 1, 2]}),
    ("unsqueeze/1", [VECTOR], {"dim": -1}),
    ("squeeze/1", [(F, (2, 1, 3, 1))], {"dims": [1, -1]}),
    ("expand/1", [(F, (2, 1, 3))], {"sizes": [4, -1, 5, 3]}),
    ("slice/1", [IMAGE], {"dim": -1, "start": -5, "stop": None, "step": 2}),
    ("slice/1", [IMAGE], {"dim": 1, "start": 1, "stop": 99, "step": 1}),
    ("select/1", [IMAGE], {"dim": 2, "index": -1}),
    ("concatenate/1", [IMAGE, IMAGE, (F, (2, 1, 6, 7))], {"dim": 1}),
    ("stack/1", [IMAGE, IMAGE], {"dim": -1}),
    ("pad/1", [IMAGE], {"amounts": [1, -2, 0, 3], "mode": "constant", "value": 1.0}),
    ("pad/1", [IMAGE], {"amounts": [1, 2, 0, 3], "mode": "reflect", "value": 0.0}),
    ("pad/1", [IMAGE], {"amounts": [1, 2, 0, 3], "mode": "circular", "value": 0.0}),
    ("pad/1", [SERIES], {"amounts": [1, 20], "mode": "replicate", "value": 0.0}),
    ("repeat/1", [VECTOR], {"repeats": [3, 1, 2]}),
    ("flip/1", [IMAGE], {"dims": [1, -1]}),
    ("pixel_shuffle/1", [IMAGE], {"factor": 2}),
    ("pixel_unshuffle/1", [(F, (2, 4, 6, 8))], {"factor": 2}),
    *[(f"{name}/1", [(F, (2, 1, 3)), (F, (4, 1))], {}) for name in (
        "add", "subtract", "multiply", "divide", "power", "maximum", "minimum",
    )],
    ("add/1", [("int64", (2,)), (F, ())], {}),
    ("add/1", [("float16", (2,)), (F, ())], {}),
    ("add/1", [("float16", (2,)), ("bfloat16", (2,))], {}),
    ("divide/1", [("int64", (2,)), ("int64", (2,))], {}),
    ("compare/1", [(F, (2, 3)), (F, (3,))], {"relation": "lt"}),
    ("compare_scalar/1", [VECTOR], {"relation": "ge", "value": 0}),
    ("add_scalar/1", [("int64", ())], {"value": 1}),
    ("add_scalar/1", [("int64", (2,))], {"value": 1.5}),
    ("multiply_scalar/1", [VECTOR], {"value": 2}),
    ("divide_scalar/1", [("int64", (3,))], {"value": 2}),
    ("power_scalar/1", [VECTOR], {"value": 3}),
    ("exponential/1", [VECTOR], {"value": 2.0}),
    ("clamp/1", [VECTOR], {"low": None, "high": 0.5}),
    ("cast/1", [VECTOR], {"dtype": "bfloat16"}),
    ("where/1", [("bool", (2, 1)), (F, (3,)), (F, (2, 3))], {}),
    ("masked_fill/1", [(F, (2, 3)), ("bool", (3,))], {"value": "-inf"}),
    ("not/1", [("bool", (2, 3))], {}),
    ("and/1", [("bool", (2, 3)), ("bool", (3,))], {}),
    ("or/1", [("bool", (2, 3)), ("bool", (3,))], {}),
    *[(f"{name}/1", [IMAGE], {"dims": [1, -1], "keep": keep})
      for name in ("sum", "mean", "amax", "amin", "logsumexp") for keep in (True, False)],
    ("sum/1", [("bool", (2, 3))], {"dims": [0], "keep": False}),
    ("variance/1", [IMAGE], {"dims": [2, 3], "keep": True, "correction": 1.0}),
    ("norm/1", [VECTOR], {"dims": [1], "keep": False, "order": 2.0}),
    ("argmax/1", [IMAGE], {"dim": 1, "keep": False}),
    ("argmin/1", [IMAGE], {"dim": -1, "keep": True}),
    ("max_along/1", [IMAGE], {"dim": 1, "keep": False}),
    ("min_along/1", [IMAGE], {"dim": 1, "keep": True}),
    ("cumulative_sum/1", [IMAGE], {"dim": 1}),
    ("cumulative_sum/1", [("bool", (2, 3))], {"dim": 1}),
    ("full/1", [VECTOR], {"sizes": [2, 3], "value": "inf", "dtype": "float64"}),
    ("range/1", [VECTOR], {"start": 1, "stop": 8, "step": 3, "dtype": "int64"}),
    ("range/1", [VECTOR], {"start": 0.0, "stop": 1.0, "step": 0.25, "dtype": F}),
    ("attention/1", [(F, (2, 3, 5, 4)), (F, (2, 3, 6, 4)), (F, (2, 3, 6, 7)), None],
     {"p": 0.5, "train": True, "causal": True, "scale": None}),
    ("attention/1", [(F, (2, 1, 5, 4)), (F, (3, 6, 4)), (F, (6, 7)), ("bool", (5, 6))],
     {"p": 0.0, "train": False, "causal": False, "scale": 0.3}),
    ("einsum/1", [(F, (2, 3, 4)), (F, (4, 5)), (F, (3, 6))], {"equation": "bij,jk,il->lbk"}),
    ("resize/1", [IMAGE], {"sizes": [3, 9], "factors": None, "mode": "cubic",
     "align_corners": True}),
    ("resize/1", [SERIES], {"sizes": None, "factors": [1.7], "mode": "linear",
     "align_corners": False}),
    ("resize/1", [VOLUME], {"sizes": None, "factors": [0.5, 2, 1.3], "mode": "nearest",
     "align_corners": False}),
    ("gather/1", [IMAGE, ("int64", (2, 3, 1, 7))], {"dim": 1}),
    ("index_select/1", [IMAGE, ("int64", (9,))], {"dim": -1}),
    ("roll/1", [IMAGE], {"shifts": [1, -2], "dims": [1, 2]}),
    ("lower_triangle/1", [IMAGE], {"diagonal": -1}),
    ("upper_triangle/1", [IMAGE], {"diagonal": 1}),
    ("size/1", [IMAGE], {"dim": -1}),
    ("size_add/1", [], {"a": 5, "b": -2}),
    ("size_subtract/1", [], {"a": 5, "b": 7}),
    ("size_multiply/1", [], {"a": 5, "b": 7}),
    ("size_divide/1", [], {"a": -7, "b": 2}),
    ("size_modulo/1", [], {"a": -7, "b": 2}),
    ("full_like/1", [("float16", (2,))], {"sizes": [2, 3], "value": 1.0}),
    ("cast_like/1", [("int64", (2, 3)), ("float64", ())], {}),
    ("embedding_bag/1", [("int64", (2, 3)), (F, (9, 4)), None], {"mode": "mean", "padding": 1}),
    ("embedding_bag/1", [("int64", (2, 3)), (F, (9, 4)), (F, (2, 3))],
     {"mode": "sum", "padding": None}),
    ("embedding_bag/1", [("int32", (2, 3)), (F, (9, 4)), None], {"mode": "max", "padding": 0}),
    ("distance/1", [(F, (3, 1, 4, 5)), (F, (2, 6, 5))], {"order": 2.0}),
    ("distance/1", [(F, (4, 5)), (F, (6, 5))], {"order": "inf"}),
    ("complex/1", [VECTOR, VECTOR], {}),
    ("real/1", [(C, (2, 3))], {}),
    ("imaginary/1", [(C, (2, 3))], {}),
    ("conjugate/1", [(C, (2, 3))], {}),
    ("complex_to_pair/1", [(C, (2, 3))], {}),
    ("pair_to_complex/1", [(F, (2, 3, 2))], {}),
    ("fourier/1", [VECTOR], {"sizes": None, "dims": [-1], "norm": "ortho"}),
    ("fourier/1", [(C, (2, 3, 4))], {"sizes": [5, 2], "dims": [0, 2], "norm": "forward"}),
    ("inverse_fourier/1", [(C, (2, 3))], {"sizes": None, "dims": [1], "norm": "backward"}),
    ("real_fourier/1", [IMAGE], {"sizes": None, "dims": [2, 3], "norm": "backward"}),
    ("inverse_real_fourier/1", [(C, (2, 5))], {"sizes": None, "dims": [-1], "norm": "backward"}),
    ("inverse_real_fourier/1", [(C, (2, 5))], {"sizes": [9], "dims": [-1], "norm": "backward"}),
    ("add/1", [("float64", (2,)), (C, (2,))], {}),
    ("add/1", [("float64", (2,)), (C, ())], {}),
    ("add/1", [(C, (2,)), ("float64", ())], {}),
    ("multiply/1", [("int64", (2,)), (C, ())], {}),
    ("divide/1", [(C, (2,)), ("int64", (2,))], {}),
    ("absolute/1", [(C, (2,))], {}),
    ("sum/1", [(C, (2, 3))], {"dims": [0], "keep": False}),
    ("mean/1", [(C, (2, 3))], {"dims": [0], "keep": False}),
    ("exp/1", [(C, (2,))], {}),
    ("matmul/1", [(C, (2, 3)), (C, (3, 2))], {}),
    ("einsum/1", [(C, (2, 3)), (C, (3, 2))], {"equation": "ij,jk->ki"}),
]  # fmt: skip


COMPLEX_MISFITS = [
    ("maximum/1", [(C, (2,)), (C, (2,))], {}),
    ("compare/1", [(C, (2,)), (C, (2,))], {"relation": "lt"}),
    ("compare_scalar/1", [(C, (2,))], {"relation": "ge", "value": 0}),
    ("amax/1", [(C, (2,))], {"dims": [0], "keep": False}),
    ("argmax/1", [(C, (2,))], {"dim": 0, "keep": False}),
    ("cast/1", [(C, (2,))], {"dtype": "float32"}),
    ("range/1", [VECTOR], {"start": 0, "stop": 3, "step": 1, "dtype": C}),
    ("relu/1", [(C, (2,))], {}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "inputs", "arguments"), COMPLEX_MISFITS)
def test_complex_numbers_have_no_order_and_are_no_floats(key, inputs, arguments):
    with pytest.raises(Refused):
        TABLE[key].specs([Spec(*spec) for spec in inputs], read(key, arguments))


def read(key: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments as the rules of the op read them."""
    assert set(arguments) == set(TABLE[key].arguments)
    return {name: rule.read(arguments[name]) for name, rule in TABLE[key].arguments.items()}


def tensor(spec: Any) -> torch.Tensor | None:
    if spec is None:
        return None
    dtype = getattr(torch, spec[0])
    return (torch.rand(spec[1]) + 0.5).to(dtype)


@pytest.mark.parametrize(("key", "inputs", "arguments"), SAMPLES)
def test_a_shape_rule_gives_what_the_operation_gives(key, inputs, arguments):
    op, given = TABLE[key], read(key, arguments)
    specs = [None if spec is None else Spec(*spec) for spec in inputs]
    promised = op.specs(specs, given)
    computed = op.run(*[tensor(spec) for spec in inputs], **given)
    computed = computed if isinstance(computed, tuple) else (computed,)
    assert len(promised) == len(computed) == len(op.outputs)
    for spec, value in zip(promised, computed, strict=True):
        if isinstance(value, int):
            assert spec == value
        else:
            assert spec == Spec(str(value.dtype).removeprefix("torch."), tuple(value.shape))
    assert op.count(specs, promised, given) >= 0


@pytest.mark.parametrize(("key", "inputs", "arguments"), SAMPLES)
def test_tensors_of_no_dimensions_never_crash_a_shape_rule(key, inputs, arguments):
    op, given = TABLE[key], read(key, arguments)
    for shape in ((), (0,), (0, 0, 0, 0)):
        specs = [None if spec is None else Spec(spec[0], shape) for spec in inputs]
        with suppress(Refused):
            assert len(op.specs(specs, given)) == len(op.outputs)


def test_every_operation_has_a_sample():
    in_a_file_of_its_own = {"scan/1"}
    assert {key for key, _, _ in SAMPLES} == set(TABLE) - in_a_file_of_its_own


def test_every_operation_is_documented_and_named_once():
    count = sum(len(family) for family in FAMILIES.values())
    assert count == len(TABLE)
    for key, op in TABLE.items():
        assert op.doc.endswith("."), key


def test_convolutions_count_a_multiplication_and_an_addition_per_weight():
    op = TABLE["conv2d/1"]
    x, weight = Spec(F, (1, 3, 8, 8)), Spec(F, (5, 3, 3, 3))
    arguments = read("conv2d/1", conv(2, padding=W2))
    assert op.count([x, weight, None], op.specs([x, weight, None], arguments), arguments) == (
        2 * 5 * 8 * 8 * 27
    )


@pytest.mark.parametrize(
    ("key", "inputs", "arguments", "message"),
    [
        ("linear/1", [VECTOR, (F, (4, 6)), None], {}, r"float32\[2,5\] times the weight"),
        ("conv2d/1", [IMAGE, (F, (3, 3, 3, 3)), None], conv(2), "4 input channels"),
        ("conv2d/1", [IMAGE, (F, (3, 4, 9, 9)), None], conv(2), "a window of 9 over 6"),
        ("matmul/1", [VECTOR, VECTOR], {}, "times"),
        ("add/1", [(F, (2,)), (F, (3,))], {}, "do not broadcast"),
        ("add/1", [("bool", (2,)), ("bool", (2,))], {}, "two boolean tensors"),
        ("reshape/1", [VECTOR], {"sizes": [3, -1]}, "as"),
        ("reshape/1", [VECTOR], {"sizes": [-1, -1]}, "more than once"),
        ("permute/1", [VECTOR], {"dims": [0, 0]}, "a dimension twice"),
        ("select/1", [VECTOR], {"dim": 1, "index": 5}, "index 5"),
        ("softmax/1", [VECTOR], {"dim": 2}, "dimension 2 of a tensor of rank 2"),
        ("relu/1", [("int64", (2,))], {}, "put a cast before it"),
        ("group_norm/1", [IMAGE, None, None], {"groups": 3, "eps": 0.0}, "do not split"),
        ("pixel_shuffle/1", [IMAGE], {"factor": 3}, "with the factor 3"),
        (
            "pad/1",
            [IMAGE],
            {"amounts": [7, 0, 0, 0], "mode": "reflect", "value": 0.0},
            "reflection",
        ),
        ("max_pool2d/1", [IMAGE], window(2, "max", padding=[2, 2]), "more than half"),
        ("size_divide/1", [], {"a": 1, "b": 0}, "divided by 0"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_wanted(key, inputs, arguments, message):
    specs = [None if spec is None else Spec(*spec) for spec in inputs]
    with pytest.raises(Refused, match=message):
        TABLE[key].specs(specs, read(key, arguments))
