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


def _distance(g: Draft, a: Arguments) -> Any:
    return g.node("distance/1", [a["x1"], a["x2"]], order=float(a["p"]))


def _pairwise_distance(g: Draft, a: Arguments) -> Any:
    gap = g.node("subtract/1", [a["x1"], a["x2"]])
    if a["eps"]:
        gap = g.node("add_scalar/1", [gap], value=float(a["eps"]))
    return g.node("norm/1", [gap], dims=[-1], keep=a["keepdim"], order=float(a["p"]))


def _cosine_similarity(g: Draft, a: Arguments) -> Any:
    """torch divides each by its norm, which is at least eps."""

    def unit(x: Handle) -> Any:
        length = g.node("norm/1", [x], dims=[a["dim"]], keep=True, order=2.0)
        length = g.node("clamp/1", [length], low=float(a["eps"]), high=None)
        return g.node("divide/1", [x, length])

    product = g.node("multiply/1", [unit(a["x1"]), unit(a["x2"])])
    return g.node("sum/1", [product], dims=[a["dim"]], keep=False)


def _embedding_bag(g: Draft, a: Arguments) -> Any:
    """torch flattens bags [B, L] and names where each begins; the bags are what was flattened."""
    if a["scale_grad_by_freq"] or a["sparse"] or a["include_last_offset"]:
        raise Refused(
            "an embedding bag with scale_grad_by_freq, sparse or include_last_offset; turn it off"
        )
    offsets = g.maker(a["offsets"])
    if offsets is None or offsets.op != "range/1":
        raise Refused("an embedding bag with offsets; give it the bags as a matrix [B, L]")
    padding = a.get("padding_idx", -1)
    bags = g.node(
        "embedding_bag/1",
        [
            _before_flattening(g, a["indices"]),
            a["weight"],
            None if a["per_sample_weights"] is None
            else _before_flattening(g, a["per_sample_weights"]),
        ],
        mode=("sum", "mean", "max")[a["mode"]],
        padding=None if padding is None or padding < 0 else padding,
    )  # fmt: skip
    return (bags, None, None, None)


def _before_flattening(g: Draft, handle: Handle) -> Handle:
    node = g.maker(handle)
    whole = node is not None and node.op == "reshape/1" and node.arguments["sizes"] == (-1,)
    if node is None or not whole or node.inputs[0] is None or node.inputs[0].rank != 2:
        raise Refused("an embedding bag with offsets; give it the bags as a matrix [B, L]")
    return node.inputs[0]


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
    "aten.cdist.default": _distance,
    "aten.pairwise_distance.default": _pairwise_distance,
    "aten.cosine_similarity.default": _cosine_similarity,
    "aten.embedding_bag.padding_idx": _embedding_bag,
    "aten.embedding_bag.default": _embedding_bag,
}
