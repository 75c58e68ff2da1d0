"""Images made larger or smaller by interpolation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from typing import Any

from torch import Tensor
from torch.nn import functional

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Choice, Flag, Float, Many, Maybe, Size
from metaloom_registry.graph.values import MAX_INTEGER, Spec, wanted

_MODES = {
    ("nearest", 1): "nearest", ("nearest", 2): "nearest", ("nearest", 3): "nearest",
    ("linear", 1): "linear", ("linear", 2): "bilinear", ("linear", 3): "trilinear",
    ("cubic", 2): "bicubic",
}  # fmt: skip


def _resize(
    x: Spec,
    *,
    sizes: Sequence[int] | None,
    factors: Sequence[float] | None,
    mode: str,
    align_corners: bool,
) -> Spec:
    spatial = x.rank - 2
    wanted(x.floating and (mode, spatial) in _MODES, f"{x} resized by {mode}")
    wanted((sizes is None) != (factors is None), "sizes or factors, and not both")
    wanted(mode != "nearest" or not align_corners, "align_corners with nearest")
    wanted(0 not in x.shape[1:], f"the empty {x}")
    found = sizes
    if factors is not None:
        wanted(len(factors) == spatial, f"{len(factors)} factors for {x}")
        found = [floor(size * f) for size, f in zip(x.shape[2:], factors, strict=True)]
    wanted(found is not None and len(found) == spatial, f"{found} for {x}")
    assert found is not None
    wanted(all(1 <= size <= MAX_INTEGER for size in found), f"sizes {list(found)}")
    return x.like((*x.shape[:2], *found))


def _run_resize(
    x: Tensor,
    *,
    sizes: Sequence[int] | None,
    factors: Sequence[float] | None,
    mode: str,
    align_corners: bool,
) -> Tensor:
    return functional.interpolate(
        x,
        None if sizes is None else list(sizes),
        None if factors is None else list(factors),
        _MODES[mode, x.dim() - 2],
        None if mode == "nearest" else align_corners,
    )


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], a: Mapping[str, Any]) -> int:
    taps = {"nearest": 0, "linear": 2, "cubic": 4}[a["mode"]]
    return int(2 * outputs[0].elements * taps ** (inputs[0].rank - 2))


OPS = (
    Op(
        "resize",
        1,
        "x [B, C, 1 to 3 sizes] at other sizes, or at floor(size * factor). Position i of O reads "
        "position (i + 1/2) S / O - 1/2 of S (with factors, (i + 1/2) / factor - 1/2), cut off at "
        "the border; with align_corners i (S - 1) / (O - 1). nearest reads floor(i S / O) (with "
        "factors, floor(i / factor)); linear and cubic (two sizes only, a = -3/4) interpolate "
        "along each dimension.",
        ("x",),
        _resize,
        _run_resize,
        {
            "sizes": Maybe(Many(Size(1), 1, 3)),
            "factors": Maybe(Many(Float(1e-6, 1e6), 1, 3)),
            "mode": Choice(("nearest", "linear", "cubic")),
            "align_corners": Flag(),
        },
        flops=_flops,
    ),
)
