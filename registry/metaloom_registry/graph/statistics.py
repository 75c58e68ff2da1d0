"""What the numbers are like that a module was trained on: for each input, over a sample of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.canonical import Json
from metaloom_registry.errors import Refused, TypeMismatch
from metaloom_registry.graph.document import Graph, Leaf
from metaloom_registry.graph.examples import tensors_of

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)
SORTED = 1 << 20
"""How many numbers the quantiles are taken of, evenly spaced where there are more."""

DIGITS = 6
"""Significant digits that are kept."""


def input_statistics(graph: Graph, sample: Any) -> dict[str, Json]:
    """The fact `input_statistics`: how many items the sample has, and what each input is like.

    sample: the arguments of one call, a tensor or a sequence of trees; axis 0 of each tensor is
      the items.  Raises TypeMismatch where it does not fit the graph's inputs, Refused where it is
      empty, or holds NaN or infinities.
    """
    arguments = tuple(sample) if isinstance(sample, Sequence) else (sample,)
    tensors = [torch.as_tensor(leaf) for leaf in tensors_of(arguments)]
    if len(tensors) != len(graph.leaves):
        raise TypeMismatch(
            f"the sample has {len(tensors)} tensors; the module takes {len(graph.leaves)}"
        )
    for tensor, leaf in zip(tensors, graph.leaves, strict=True):
        _check_fits(tensor, leaf)
    items = {len(tensor) for tensor in tensors}
    if len(items) != 1 or 0 in items:
        raise Refused(
            f"the sample's tensors have {' and '.join(map(str, sorted(items)))} items; "
            "give as many of each, and at least one"
        )
    return {"items": items.pop(), "inputs": [_described(tensor) for tensor in tensors]}


def _check_fits(tensor: Tensor, leaf: Leaf) -> None:
    floating = "float" in leaf.dtype
    sizes = zip(tensor.shape[1:], leaf.shape[1:], strict=False)
    fits = tensor.dim() == len(leaf.shape) and all(
        isinstance(wanted, str) or wanted == size for size, wanted in sizes
    )
    if not fits or tensor.is_floating_point() != floating or tensor.is_complex():
        raise TypeMismatch(
            f"the sample has {str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)} where "
            f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}] is wanted"
        )


def _described(tensor: Tensor) -> Mapping[str, Json]:
    """Floats by moments and quantiles, whole numbers by their range and how many there are."""
    if tensor.numel() == 0:
        raise Refused("the sample holds no numbers; leave it out")
    if not tensor.is_floating_point():
        whole = tensor.to(torch.int64)
        return {
            "min": int(whole.min()),
            "max": int(whole.max()),
            "distinct": len(torch.unique(whole)),
        }
    flat = tensor.detach().cpu().flatten()
    if not bool(torch.isfinite(flat).all()):
        raise Refused("the sample holds NaN or infinity; leave those items out")
    flat = flat.double()
    step = -(-len(flat) // SORTED)
    some = flat[::step].sort().values
    quantiles = {str(q): _rounded(float(some[round(q * (len(some) - 1))])) for q in QUANTILES}
    return {
        "mean": _rounded(float(flat.mean())),
        "std": _rounded(float(flat.std(correction=0))),
        "min": _rounded(float(flat.min())),
        "max": _rounded(float(flat.max())),
        "quantiles": quantiles,
    }


def _rounded(value: float) -> float:
    if value == 0.0 or not math.isfinite(value):
        return 0.0
    return float(f"{value:.{DIGITS}g}")
