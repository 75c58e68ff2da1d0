"""ATen's attention, contraction, resizing and indexing in our ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_registry.errors import Refused
from metaloom_registry.graph.draft import Arguments, Draft, Handle

Translation = Callable[[Draft, Arguments], Any]


def _attention(g: Draft, a: Arguments) -> Any:
    if a["enable_gqa"]:
        raise Refused("attention with enable_gqa; repeat keys and values instead")
    p = float(a["dropout_p"])
    return g.node(
        "attention/1",
        [a["query"], a["key"], a["value"], a["attn_mask"]],
        p=p,
        train=p > 0,
        causal=a["is_causal"],
        scale=None if a["scale"] is None else float(a["scale"]),
    )


def _einsum(g: Draft, a: Arguments) -> Any:
    equation = a["equation"].replace(" ", "")
    if "." in equation:
        raise Refused("an einsum with '...'; name every index")
    if "->" not in equation:
        letters = sorted(set(equation) - {","})
        equation += "->" + "".join(letter for letter in letters if equation.count(letter) == 1)
    return g.node("einsum/1", list(a["tensors"]), equation=equation)


def _resize(mode: str) -> Translation:
    def translate(g: Draft, a: Arguments) -> Any:
        factors = a["scale_factors"]
        return g.node(
            "resize/1",
            [a["input"]],
            sizes=a["output_size"] if factors is None else None,
            factors=None if factors is None else [float(f) for f in factors],
            mode=mode,
            align_corners=bool(a.get("align_corners", False)),
        )

    return translate


def _roll(g: Draft, a: Arguments) -> Any:
    x: Handle = a["self"]
    if not a["dims"]:
        raise Refused("roll without dims; name them")
    return g.node("roll/1", [x], shifts=a["shifts"], dims=a["dims"])


def _indexed(op: str) -> Translation:
    return lambda g, a: g.node(op, [a["self"], a["index"]], dim=a["dim"])


def _triangle(op: str) -> Translation:
    return lambda g, a: g.node(op, [a["self"]], diagonal=a["diagonal"])


def _baddbmm(g: Draft, a: Arguments) -> Any:
    product = g.node("matmul/1", [a["batch1"], a["batch2"]])
    added = a["self"]
    if a["alpha"] != 1:
        product = g.node("multiply_scalar/1", [product], value=a["alpha"])
    if a["beta"] != 1:
        added = g.node("multiply_scalar/1", [added], value=a["beta"])
    return g.node("add/1", [added, product])


BLOCKS: dict[str, Translation] = {
    "aten.scaled_dot_product_attention.default": _attention,
    "aten.einsum.default": _einsum,
    "aten.upsample_nearest1d.vec": _resize("nearest"),
    "aten.upsample_nearest2d.vec": _resize("nearest"),
    "aten.upsample_nearest3d.vec": _resize("nearest"),
    "aten.upsample_linear1d.vec": _resize("linear"),
    "aten.upsample_bilinear2d.vec": _resize("linear"),
    "aten.upsample_trilinear3d.vec": _resize("linear"),
    "aten.upsample_bicubic2d.vec": _resize("cubic"),
    "aten.roll.default": _roll,
    "aten.gather.default": _indexed("gather/1"),
    "aten.index_select.default": _indexed("index_select/1"),
    "aten.tril.default": _triangle("lower_triangle/1"),
    "aten.triu.default": _triangle("upper_triangle/1"),
    "aten.baddbmm.default": _baddbmm,
}
