"""Inputs made from a signature: what a module takes, as tensors one can call it with."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from metaloom_registry.errors import Refused
from metaloom_registry.graph.document import BATCH, Leaf, Tree
from metaloom_registry.types import (
    Constructed,
    DimensionVariable,
    Tensor,
    Type,
    uncurried,
)

DEFAULT_SIZE = 16
"""The size an open dimension of a signature has while the module is captured."""


@dataclass(frozen=True, slots=True)
class InputKind:
    """One tensor input: its leaf in the document, and what its numbers are like.

    kind: "image" for smooth values in [0, 1]; anything else for values about 0 of deviation 1.
    classes: integers are below this.
    """

    leaf: Leaf
    kind: str
    classes: int = 2


def input_trees(signature: Type, floating: str) -> tuple[Tree[InputKind], ...]:
    """The inputs of a function type, a batch axis in front of each tensor.

    floating: the dtype that stands for the float32 of the types.  Raises Refused for types that
    are not made of tensors and tuples.
    """
    arguments, _ = uncurried(signature)
    if not arguments:
        raise Refused(
            f"{signature} is no function; a module has a type such as vec[8] -> logits[5]"
        )
    return tuple(_tree(argument, signature, floating) for argument in arguments)


def _tree(part: Type, whole: Type, floating: str) -> Any:
    if isinstance(part, Tensor):
        sizes = tuple(d.name if isinstance(d, DimensionVariable) else d for d in part.dimensions)
        dtype = floating if part.dtype == "float32" else part.dtype
        shape = (BATCH,) if part.kind == "label" else (BATCH, *sizes)
        classes = part.dimensions[0] if isinstance(part.dimensions[0], int) else 2
        return InputKind(Leaf(dtype, shape), part.kind, classes)
    if isinstance(part, Constructed) and part.name == "tuple":
        return tuple(_tree(item, whole, floating) for item in part.arguments)
    raise Refused(
        f"{part} in {whole} is not a tensor; a graph takes image, vec, logits, label and table "
        "types and tuples of them"
    )


def example_inputs(
    trees: tuple[Tree[InputKind], ...], sizes: Mapping[str, int], seed: int
) -> tuple[Any, ...]:
    """Tensors for input trees: deterministic, the same on every machine and version of torch."""
    return tuple(_example(tree, sizes, seed * 31 + i + 1) for i, tree in enumerate(trees))


def _example(tree: Any, sizes: Mapping[str, int], seed: int) -> Any:
    if isinstance(tree, tuple):
        return example_inputs(tree, sizes, seed)
    if isinstance(tree, dict):
        keys = sorted(tree)
        values = example_inputs(tuple(tree[key] for key in keys), sizes, seed)
        return dict(zip(keys, values, strict=True))
    shape = [size if isinstance(size, int) else sizes[size] for size in tree.leaf.shape]
    noise = uniform(math.prod(shape), seed).reshape(shape)
    dtype = getattr(torch, tree.leaf.dtype)
    if not dtype.is_floating_point:
        return (noise * tree.classes).to(dtype)
    if tree.kind == "image":
        return _smooth(noise).to(dtype)
    return ((noise - 0.5) * 3.4).to(dtype)


def tensors_of(tree: Any) -> list[Any]:
    """The leaves of nested tuples, lists and dictionaries, the latter by key."""
    if isinstance(tree, tuple | list):
        return [leaf for item in tree for leaf in tensors_of(item)]
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in tensors_of(tree[key])]
    return [tree]


def uniform(count: int, seed: int) -> torch.Tensor:
    """Numbers in [0, 1), float64, from SHA-256 of the seed and a counter, 16 bits each."""
    blocks = -(-count // 16)
    data = b"".join(hashlib.sha256(f"metaloom {seed} {i}".encode()).digest() for i in range(blocks))
    words = torch.frombuffer(bytearray(data or bytes(32)), dtype=torch.uint8).to(torch.float64)
    return ((words[0::2] * 256 + words[1::2]) / 65536)[:count]


def _smooth(noise: torch.Tensor) -> torch.Tensor:
    """Noise made into something like ink on paper: blurred over the last axes, then stretched."""
    image = noise
    for axis in range(2, image.dim()):
        if image.shape[axis] >= 3:
            image = (image + image.roll(1, axis) + image.roll(-1, axis)) / 3
    return ((image - 0.5) * 3 + 0.5).clamp(0.0, 1.0)
