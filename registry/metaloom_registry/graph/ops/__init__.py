"""The table of operations: everything a graph can say, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.ops import (
    activation,
    arithmetic,
    attention,
    bags,
    contraction,
    convolution,
    creation,
    distance,
    indexing,
    linear,
    normalisation,
    pooling,
    recurrence,
    reduction,
    resizing,
    shape,
    sizes,
    spectral,
)
from metaloom_registry.graph.opset import OPSET

FAMILIES: Mapping[str, tuple[Op, ...]] = MappingProxyType(
    {
        "Linear": (*linear.OPS, *bags.OPS, *distance.OPS),
        "Contraction": contraction.OPS,
        "Recurrence": (recurrence.scan(lambda: TABLE),),
        "Attention": attention.OPS,
        "Convolution": convolution.OPS,
        "Normalisation": normalisation.OPS,
        "Pooling": pooling.OPS,
        "Activation": activation.OPS,
        "Arithmetic": arithmetic.OPS,
        "Complex numbers": spectral.OPS,
        "Reduction": reduction.OPS,
        "Shape": shape.OPS,
        "Indexing": indexing.OPS,
        "Resizing": resizing.OPS,
        "Creation": creation.OPS,
        "Sizes": sizes.OPS,
    }
)

TABLE: Mapping[str, Op] = MappingProxyType(
    {op.key: op for family in FAMILIES.values() for op in family}
)
"""`name/version` -> operation."""

__all__ = ["FAMILIES", "OPSET", "TABLE"]
