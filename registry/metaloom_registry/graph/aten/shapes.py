"""ATen's views, joins, sizes, factories and reductions in our ops."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from metaloom_registry.errors import Refused
from metaloom_registry.graph.draft import Arguments, Draft, Handle, dtype_name, static

Translation = Callable[[Draft, Arguments], Any]

_END = 1 << 31


def _sizes(op: str, name: str, argument: str = "sizes") -> Translation:
    return lambda g, a: g.node(op, [a["self"]], **{argument: a[name]})


def _transpose(g: Draft, a: Arguments) -> Any:
    rank = a["self"].rank
    dims = list(range(rank))
    one, other = a["dim0"] % rank, a["dim1"] % rank
    dims[one], dims[other] = other, one
    return g.node("permute/1", [a["self"]], dims=dims)


def _t(g: Draft, a: Arguments) -> Any:
    return g.node("permute/1", [a["self"]], dims=list(range(a["self"].rank))[::-1])


def _squeeze(g: Draft, a: Arguments) -> Any:
    x = a["self"]
    shape = x.fake.shape
    named = a.get("dim")
    if named is None:
        dims = list(range(x.rank))
    else:
        dims = [d % x.rank for d in ((named,) if isinstance(named, int) else named)]
    ones = [d for d in dims if isinstance(shape[d], int) and shape[d] == 1]
    return g.node("squeeze/1", [x], dims=ones) if ones else x


def _unflatten(g: Draft, a: Arguments) -> Any:
    x = a["self"]
    at = a["dim"] % x.rank
    before = [_size(g, x, d) for d in range(at)]
    after = [_size(g, x, d) for d in range(at + 1, x.rank)]
    return g.node("reshape/1", [x], sizes=[*before, *a["sizes"], *after])


def _size(g: Draft, x: Handle, dim: int) -> Any:
    """A size of a tensor: the number where it is fixed, else a size value."""
    size = x.fake.shape[dim]
    return size if isinstance(size, int) else g.node("size/1", [x], dim=dim)


def _view_as(g: Draft, a: Arguments) -> Any:
    other = a["other"]
    sizes = [_size(g, other, d) for d in range(other.rank)]
    return g.node("reshape/1", [a["self"]], sizes=sizes)


def _expand_as(g: Draft, a: Arguments) -> Any:
    other = a["other"]
    sizes = [_size(g, other, d) for d in range(other.rank)]
    return g.node("expand/1", [a["self"]], sizes=sizes)


def _slice(g: Draft, a: Arguments) -> Any:
    stop = a["end"]
    if isinstance(stop, int) and stop >= _END:
        stop = None
    start = 0 if a["start"] is None else a["start"]
    if start == 0 and stop is None and a["step"] == 1:
        return a["self"]
    return g.node("slice/1", [a["self"]], dim=a["dim"], start=start, stop=stop, step=a["step"])


def _narrow(g: Draft, a: Arguments) -> Any:
    start = static(a["start"], "the start of narrow")
    stop = start + static(a["length"], "the length of narrow")
    return g.node("slice/1", [a["self"]], dim=a["dim"], start=start, stop=stop, step=1)


def _select(g: Draft, a: Arguments) -> Any:
    return g.node("select/1", [a["self"]], dim=a["dim"], index=a["index"])


def _unbind(g: Draft, a: Arguments) -> Any:
    size = static(a["self"].fake.shape[a["dim"]], "the dimension unbind takes apart")
    return tuple(g.node("select/1", [a["self"]], dim=a["dim"], index=i) for i in range(size))


def _pieces(g: Draft, x: Handle, dim: int, sizes: list[int]) -> Any:
    found, start = [], 0
    for size in sizes:
        found.append(g.node("slice/1", [x], dim=dim, start=start, stop=start + size, step=1))
        start += size
    return tuple(found)


def _split(g: Draft, a: Arguments) -> Any:
    whole = static(a["self"].fake.shape[a["dim"]], "the dimension split takes apart")
    sizes = a["split_sizes"] if "split_sizes" in a else a["split_size"]
    if isinstance(sizes, int):
        sizes = [min(sizes, whole - start) for start in range(0, whole, sizes)]
    return _pieces(g, a["self"], a["dim"], list(sizes))


def _chunk(g: Draft, a: Arguments) -> Any:
    whole = static(a["self"].fake.shape[a["dim"]], "the dimension chunk takes apart")
    size = -(-whole // a["chunks"])
    sizes = [min(size, whole - start) for start in range(0, whole, size)]
    return _pieces(g, a["self"], a["dim"], sizes)


def _join(op: str) -> Translation:
    return lambda g, a: g.node(op, list(a["tensors"]), dim=a["dim"])


def _pad(g: Draft, a: Arguments) -> Any:
    mode = a.get("mode", "constant")
    value = 0.0 if a.get("value") is None else float(a["value"])
    amounts = [static(n, "an amount of padding") for n in a["pad"]]
    if mode != "constant":
        value = 0.0
    return g.node("pad/1", [a["self"]], amounts=amounts, mode=mode, value=value)


def _over(op: str, **more: str) -> Translation:
    """A reduction; all dimensions where none is named."""

    def translate(g: Draft, a: Arguments) -> Any:
        x, dims = a["self"], a.get("dim")
        if isinstance(dims, int):
            dims = [dims]
        if not dims:
            dims = list(range(x.rank))
        if a.get("dtype") is not None and a["dtype"] != x.fake.dtype:
            x = g.node("cast/1", [x], dtype=dtype_name(a["dtype"]))
        extra = {ours: float(a[theirs]) for ours, theirs in more.items()}
        return g.node(op, [x], dims=dims, keep=a.get("keepdim", False), **extra)

    return translate


def _variance(g: Draft, a: Arguments) -> Any:
    correction = a.get("correction")
    if "unbiased" in a:
        correction = 1.0 if a["unbiased"] else 0.0
    a = {**a, "correction": 1.0 if correction is None else correction}
    return _over("variance/1", correction="correction")(g, a)


def _deviation(g: Draft, a: Arguments) -> Any:
    return g.node("sqrt/1", [_variance(g, a)])


def _norm(g: Draft, a: Arguments) -> Any:
    order = a["ord"] if "ord" in a else a["p"]
    return _over("norm/1", order="order")(g, {**a, "order": 2.0 if order is None else order})


def _position(op: str) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        x, dim = a["self"], a["dim"]
        if dim is None:
            x, dim = g.node("reshape/1", [x], sizes=[-1]), 0
        return g.node(op, [x], dim=dim, keep=a["keepdim"])

    return translate


def _extreme(op: str) -> Translation:
    """`torch.max(x, dim)`: the extreme and its position."""
    return lambda g, a: g.node(op, [a["self"]], dim=a["dim"], keep=a["keepdim"])


def _filled(value: float | None) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        number = float(a["fill_value"]) if value is None else value
        if "self" in a:
            x = a["self"]
            sizes = [_size(g, x, d) for d in range(x.rank)]
            if "size" in a:
                sizes = a["size"]
            if a["dtype"] is None or a["dtype"] == x.fake.dtype:
                return g.node("full_like/1", [x], sizes=sizes, value=number)
            dtype = a["dtype"]
            return g.node("full/1", [x], sizes=sizes, value=number, dtype=dtype_name(dtype))
        dtype, like = a["dtype"] or torch.get_default_dtype(), g.floating()
        if like is not None and like.fake.dtype == a["dtype"]:
            return g.node("full_like/1", [like], sizes=a["size"], value=number)
        return g.node(
            "full/1", [g.inputs[0]], sizes=a["size"], value=number, dtype=dtype_name(dtype)
        )

    return translate


def _range(g: Draft, a: Arguments) -> Any:
    start, stop, step = a.get("start", 0), a["end"], a.get("step", 1)
    whole = all(not isinstance(n, float) for n in (start, stop, step))
    dtype = a["dtype"] or (torch.int64 if whole else torch.get_default_dtype())
    return g.node(
        "range/1", [g.inputs[0]], start=start, stop=stop, step=step, dtype=dtype_name(dtype)
    )


def _sym_size(g: Draft, a: Arguments) -> Any:
    return g.node("size/1", [a["self"]], dim=a["dim"])


def _sym_numel(g: Draft, a: Arguments) -> Any:
    sizes = [_size(g, a["self"], d) for d in range(a["self"].rank)]
    count: Any = 1
    for size in sizes:
        count = integer_call(g, operator.mul, (count, size)) if count != 1 else size
    return count


def _repeat(g: Draft, a: Arguments) -> Any:
    return g.node("repeat/1", [a["self"]], repeats=a["repeats"])


def _flip(g: Draft, a: Arguments) -> Any:
    return g.node("flip/1", [a["self"]], dims=a["dims"])


def _nothing(g: Draft, a: Arguments) -> Any:
    return None


def integer_call(g: Draft, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """A Python operator on sizes. Raises Refused where we have none such."""
    if not any(isinstance(a, Handle) for a in arguments):
        return function(*arguments)
    op = _INTEGER.get(function)
    if op is None:
        name = getattr(function, "__name__", str(function))
        raise Refused(f"{name} on sizes; only + - * // % of sizes can be stored")
    one, other = arguments
    return g.node(op, [], a=one, b=other)


_INTEGER: dict[Any, str] = {
    operator.add: "size_add/1",
    operator.sub: "size_subtract/1",
    operator.mul: "size_multiply/1",
    operator.floordiv: "size_divide/1",
    operator.mod: "size_modulo/1",
}

SHAPES: dict[str, Translation] = {
    "aten.view.default": _sizes("reshape/1", "size"),
    "aten.reshape.default": _sizes("reshape/1", "shape"),
    "aten._unsafe_view.default": _sizes("reshape/1", "size"),
    "aten.view_as.default": _view_as,
    "aten.unflatten.int": _unflatten,
    "aten.flatten.using_ints": lambda g, a: g.node(
        "flatten/1", [a["self"]], start=a["start_dim"], end=a["end_dim"]
    ),
    "aten.permute.default": _sizes("permute/1", "dims", "dims"),
    "aten.transpose.int": _transpose,
    "aten.t.default": _t,
    "aten.numpy_T.default": _t,
    "aten.unsqueeze.default": lambda g, a: g.node("unsqueeze/1", [a["self"]], dim=a["dim"]),
    "aten.squeeze.default": _squeeze,
    "aten.squeeze.dim": _squeeze,
    "aten.squeeze.dims": _squeeze,
    "aten.expand.default": _sizes("expand/1", "size"),
    "aten.expand_as.default": _expand_as,
    "aten.slice.Tensor": _slice,
    "aten.narrow.default": _narrow,
    "aten.select.int": _select,
    "aten.unbind.int": _unbind,
    "aten.split.Tensor": _split,
    "aten.split.sizes": _split,
    "aten.split_with_sizes.default": _split,
    "aten.chunk.default": _chunk,
    "aten.cat.default": _join("concatenate/1"),
    "aten.stack.default": _join("stack/1"),
    "aten.pad.default": _pad,
    "aten.constant_pad_nd.default": _pad,
    "aten.repeat.default": _repeat,
    "aten.flip.default": _flip,
    "aten.pixel_shuffle.default": lambda g, a: g.node(
        "pixel_shuffle/1", [a["self"]], factor=a["upscale_factor"]
    ),
    "aten.pixel_unshuffle.default": lambda g, a: g.node(
        "pixel_unshuffle/1", [a["self"]], factor=a["downscale_factor"]
    ),
    "aten.sum.default": _over("sum/1"),
    "aten.sum.dim_IntList": _over("sum/1"),
    "aten.mean.default": _over("mean/1"),
    "aten.mean.dim": _over("mean/1"),
    "aten.amax.default": _over("amax/1"),
    "aten.amin.default": _over("amin/1"),
    "aten.logsumexp.default": _over("logsumexp/1"),
    "aten.var.default": _variance,
    "aten.var.dim": _variance,
    "aten.var.correction": _variance,
    "aten.std.default": _deviation,
    "aten.std.dim": _deviation,
    "aten.std.correction": _deviation,
    "aten.linalg_vector_norm.default": _norm,
    "aten.norm.ScalarOpt_dim": _norm,
    "aten.argmax.default": _position("argmax/1"),
    "aten.argmin.default": _position("argmin/1"),
    "aten.max.dim": _extreme("max_along/1"),
    "aten.min.dim": _extreme("min_along/1"),
    "aten.cumsum.default": lambda g, a: g.node("cumulative_sum/1", [a["self"]], dim=a["dim"]),
    "aten.zeros.default": _filled(0.0),
    "aten.ones.default": _filled(1.0),
    "aten.full.default": _filled(None),
    "aten.zeros_like.default": _filled(0.0),
    "aten.ones_like.default": _filled(1.0),
    "aten.full_like.default": _filled(None),
    "aten.new_zeros.default": _filled(0.0),
    "aten.new_ones.default": _filled(1.0),
    "aten.new_full.default": _filled(None),
    "aten.arange.default": _range,
    "aten.arange.start": _range,
    "aten.arange.start_step": _range,
    "aten.sym_size.int": _sym_size,
    "aten.sym_numel.default": _sym_numel,
    "aten._assert_tensor_metadata.default": _nothing,
    "aten._assert_scalar.default": _nothing,
    "aten._assert_async.msg": _nothing,
    "aten.sym_constrain_range_for_size.default": _nothing,
}
