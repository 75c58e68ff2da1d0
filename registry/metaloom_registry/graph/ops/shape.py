"""Shape: views, slices, joins and padding; no element is computed."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Choice, Extended, Int, Many, Maybe, Size
from metaloom_registry.graph.values import (
    MAX_INTEGER,
    MAX_RANK,
    Spec,
    axes,
    axis,
    holds,
    promoted,
    wanted,
)


def _no_flops(*_: Any) -> int:
    return 0


def _reshape(x: Spec, *, sizes: Sequence[int]) -> Spec:
    wanted(sizes.count(-1) <= 1, f"-1 more than once in {list(sizes)}")
    wanted(all(-1 <= s <= MAX_INTEGER for s in sizes), f"a size out of range in {list(sizes)}")
    known = prod(s for s in sizes if s != -1)
    if -1 in sizes:
        wanted(known > 0 and x.elements % known == 0, f"{x} as {list(sizes)}")
        return x.like([x.elements // known if s == -1 else s for s in sizes])
    wanted(known == x.elements, f"{x} has {x.elements} elements, {list(sizes)} has {known}")
    return x.like(sizes)


def _run_reshape(x: Tensor, *, sizes: Sequence[int]) -> Tensor:
    return x.reshape(sizes)


def _flatten(x: Spec, *, start: int, end: int) -> Spec:
    wanted(x.rank >= 1, "a tensor without dimensions")
    start, end = axis(start, x.rank), axis(end, x.rank)
    wanted(start <= end, f"from dimension {start} to {end}")
    return x.like((*x.shape[:start], prod(x.shape[start : end + 1]), *x.shape[end + 1 :]))


def _run_flatten(x: Tensor, *, start: int, end: int) -> Tensor:
    return torch.flatten(x, start, end)


def _permute(x: Spec, *, dims: Sequence[int]) -> Spec:
    order = axes(dims, x.rank)
    wanted(len(order) == x.rank, f"{list(dims)} does not order the {x.rank} dimensions")
    return x.like([x.shape[d] for d in order])


def _unsqueeze(x: Spec, *, dim: int) -> Spec:
    at = axis(dim, x.rank + 1)
    return x.like((*x.shape[:at], 1, *x.shape[at:]))


def _squeeze(x: Spec, *, dims: Sequence[int]) -> Spec:
    gone = axes(dims, x.rank)
    wanted(all(x.shape[d] == 1 for d in gone), f"{x} has a size other than 1 in {list(dims)}")
    return x.like([size for d, size in enumerate(x.shape) if d not in gone])


def _expand(x: Spec, *, sizes: Sequence[int]) -> Spec:
    wanted(x.rank <= len(sizes), f"{x} as {list(sizes)}")
    own = (1,) * (len(sizes) - x.rank) + x.shape
    wanted(
        all(o in (1, s) or s == -1 for o, s in zip(own, sizes, strict=True))
        and all(-1 <= s <= MAX_INTEGER for s in sizes)
        and -1 not in sizes[: len(sizes) - x.rank],
        f"{x} does not expand to {list(sizes)}",
    )
    return x.like([o if s == -1 else s for o, s in zip(own, sizes, strict=True)])


def _run_expand(x: Tensor, *, sizes: Sequence[int]) -> Tensor:
    return x.expand(sizes)


def _slice(x: Spec, *, dim: int, start: int, stop: int | None, step: int) -> Spec:
    at = axis(dim, x.rank)
    size = len(range(*slice(start, stop, step).indices(x.shape[at])))
    return x.like((*x.shape[:at], size, *x.shape[at + 1 :]))


def _run_slice(x: Tensor, *, dim: int, start: int, stop: int | None, step: int) -> Tensor:
    at = dim % x.dim()
    return x[(slice(None),) * at + (slice(start, stop, step),)]


def _select(x: Spec, *, dim: int, index: int) -> Spec:
    at = axis(dim, x.rank)
    wanted(-x.shape[at] <= index < x.shape[at], f"index {index} of dimension {dim} of {x}")
    return x.like((*x.shape[:at], *x.shape[at + 1 :]))


def _run_select(x: Tensor, *, dim: int, index: int) -> Tensor:
    return x.select(dim, index)


def _concatenate(*xs: Spec, dim: int) -> Spec:
    first = xs[0]
    at = axis(dim, first.rank)
    for x in xs:
        wanted(
            x.rank == first.rank
            and x.shape[:at] == first.shape[:at]
            and x.shape[at + 1 :] == first.shape[at + 1 :],
            f"{first} and {x} do not join along dimension {dim}",
        )
    joined = sum(x.shape[at] for x in xs)
    return Spec(promoted(*xs), (*first.shape[:at], joined, *first.shape[at + 1 :]))


def _run_concatenate(*xs: Tensor, dim: int) -> Tensor:
    return torch.cat(xs, dim)


def _stack(*xs: Spec, dim: int) -> Spec:
    first = xs[0]
    at = axis(dim, first.rank + 1)
    wanted(all(x.shape == first.shape for x in xs), "tensors of several shapes")
    wanted(all(x.dtype == first.dtype for x in xs), "tensors of several dtypes")
    return first.like((*first.shape[:at], len(xs), *first.shape[at:]))


def _run_stack(*xs: Tensor, dim: int) -> Tensor:
    return torch.stack(xs, dim)


def _pad(x: Spec, *, amounts: Sequence[int], mode: str, value: float) -> Spec:
    wanted(len(amounts) % 2 == 0 and len(amounts) // 2 <= x.rank, f"{list(amounts)} for {x}")
    if mode == "constant":
        holds(x.dtype, value)
    else:
        wanted(0 not in x.shape[1:], f"nothing to repeat in {x}")
        wanted(
            x.floating and len(amounts) // 2 == x.rank - 2 and x.rank <= 5 and min(amounts) >= 0,
            f"mode {mode} pads all dimensions after the channel of floats, not {x}",
        )
    sizes = list(x.shape)
    for pair in range(len(amounts) // 2):
        before, after = amounts[2 * pair], amounts[2 * pair + 1]
        at = x.rank - 1 - pair
        if mode == "reflect":
            wanted(max(before, after) < sizes[at], f"a reflection of {max(before, after)} in {x}")
        if mode == "circular":
            wanted(max(before, after) <= sizes[at], f"a wrap of {max(before, after)} in {x}")
        cut = min(before, 0) + min(after, 0)
        wanted(sizes[at] + cut >= 0, f"a padding of {before} and {after} leaves nothing of {x}")
        sizes[at] += before + after
        wanted(mode == "constant" or sizes[at] > 0, f"nothing to repeat in {x}")
    return x.like(sizes)


def _run_pad(x: Tensor, *, amounts: Sequence[int], mode: str, value: float) -> Tensor:
    if mode == "constant":
        return functional.pad(x, list(amounts), mode, value)
    return functional.pad(x, list(amounts), mode)


def _repeat(x: Spec, *, repeats: Sequence[int]) -> Spec:
    wanted(len(repeats) >= x.rank, f"{x} repeated {list(repeats)}")
    own = (1,) * (len(repeats) - x.rank) + x.shape
    return x.like([o * r for o, r in zip(own, repeats, strict=True)])


def _run_repeat(x: Tensor, *, repeats: Sequence[int]) -> Tensor:
    return x.repeat(repeats)


def _flip(x: Spec, *, dims: Sequence[int]) -> Spec:
    axes(dims, x.rank)
    return x


def _pixel_shuffle(x: Spec, *, factor: int) -> Spec:
    wanted(
        x.rank >= 3 and x.shape[-3] % factor**2 == 0 and x.elements > 0,
        f"{x} with the factor {factor}",
    )
    *lead, channels, height, width = x.shape
    return x.like((*lead, channels // factor**2, height * factor, width * factor))


def _pixel_unshuffle(x: Spec, *, factor: int) -> Spec:
    wanted(
        x.rank >= 3 and x.shape[-1] % factor == 0 and x.shape[-2] % factor == 0 and x.elements > 0,
        f"{x} with the factor {factor}",
    )
    *lead, channels, height, width = x.shape
    return x.like((*lead, channels * factor**2, height // factor, width // factor))


def _run_pixel_shuffle(x: Tensor, *, factor: int) -> Tensor:
    return torch.pixel_shuffle(x, factor)


def _run_pixel_unshuffle(x: Tensor, *, factor: int) -> Tensor:
    return torch.pixel_unshuffle(x, factor)


_DIM = Int(-MAX_RANK, MAX_RANK)
_DIMS = Many(Int(-MAX_RANK, MAX_RANK), 0, MAX_RANK)
_SIZES = Many(Size(-1), 0, MAX_RANK)


def _op(name: str, doc: str, infer: Any, run: Any, **arguments: Any) -> Op:
    return Op(name, 1, doc, ("x",), infer, run, arguments, flops=_no_flops)


OPS = (
    _op(
        "reshape",
        "The elements in order in another shape; one size may be -1, which is inferred.",
        _reshape,
        _run_reshape,
        sizes=_SIZES,
    ),
    _op(
        "flatten",
        "The dimensions from start to end, both included, become one.",
        _flatten,
        _run_flatten,
        start=_DIM,
        end=_DIM,
    ),
    _op(
        "permute",
        "Dimension i of the result is dimension dims[i] of x.",
        _permute,
        torch.permute,
        dims=_DIMS,
    ),
    _op(
        "unsqueeze",
        "A dimension of size 1 put in at dim.",
        _unsqueeze,
        torch.unsqueeze,
        dim=_DIM,
    ),
    _op(
        "squeeze",
        "The named dimensions, each of size 1, left out.",
        _squeeze,
        lambda x, *, dims: torch.squeeze(x, dims),
        dims=_DIMS,
    ),
    _op(
        "expand",
        "Dimensions of size 1 repeated to the size given, new ones in front; -1 keeps a size.",
        _expand,
        _run_expand,
        sizes=_SIZES,
    ),
    _op(
        "slice",
        "Every step-th position of a dimension from start up to and without stop; negative "
        "positions count from the end, null is the end, positions beyond it are cut off.",
        _slice,
        _run_slice,
        dim=_DIM,
        start=Size(),
        stop=Maybe(Size()),
        step=Int(1),
    ),
    _op(
        "select",
        "One position of a dimension, which is dropped.",
        _select,
        _run_select,
        dim=_DIM,
        index=Size(),
    ),
    Op(
        "concatenate",
        1,
        "Tensors joined along a dimension.",
        ("x*",),
        _concatenate,
        _run_concatenate,
        {"dim": _DIM},
        flops=_no_flops,
    ),
    Op(
        "stack",
        1,
        "Tensors of one shape joined along a new dimension.",
        ("x*",),
        _stack,
        _run_stack,
        {"dim": _DIM},
        flops=_no_flops,
    ),
    _op(
        "pad",
        "amounts are before and after of the last dimension, then of the one before it, and so "
        "on; constant fills with value, the other modes with what the name says and only for all "
        "dimensions after the channel. Negative amounts of constant cut off.",
        _pad,
        _run_pad,
        amounts=Many(Int(-(1 << 16), 1 << 16), 2, 2 * MAX_RANK),
        mode=Choice(("constant", "reflect", "replicate", "circular")),
        value=Extended(),
    ),
    _op(
        "repeat",
        "Each dimension laid out repeats times, new dimensions in front.",
        _repeat,
        _run_repeat,
        repeats=Many(Size(0), 0, MAX_RANK),
    ),
    _op("flip", "The order of each named dimension reversed.", _flip, torch.flip, dims=_DIMS),
    _op(
        "pixel_shuffle",
        "[..., C f f, H, W] becomes [..., C, H f, W f].",
        _pixel_shuffle,
        _run_pixel_shuffle,
        factor=Int(1, 1 << 10),
    ),
    _op(
        "pixel_unshuffle",
        "[..., C, H f, W f] becomes [..., C f f, H, W].",
        _pixel_unshuffle,
        _run_pixel_unshuffle,
        factor=Int(1, 1 << 10),
    ),
)
