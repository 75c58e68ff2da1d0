"""Cosine prototypes: a class is the mean direction of its examples (Gidaris and Komodakis 2018)."""

from __future__ import annotations

from torch import Tensor

from metaloom_heads.labels import labelled
from metaloom_metalearn import Support

SCALE = 10.0
"""What the cosines, -1 to 1, are multiplied with to become logits (Gidaris and Komodakis: tau)."""


def cosine(support: Support, query: Tensor, scale: float | Tensor = SCALE) -> Tensor:
    """`scale` times the cosine of the query and the mean of each class's unit vectors.

    Gidaris and Komodakis 2018, eq. 4 and 6; Chen et al. 2021 (Meta-Baseline), eq. 2.  Shapes,
    leading task axes and errors are those of `prototypes`.
    """
    x, members = labelled("cosine", support, query)
    means = unit(members.mT @ unit(x))
    logits = scale * unit(query) @ means.mT
    return logits.masked_fill(members.sum(-2)[..., None, :] == 0, -float("inf"))


def unit(x: Tensor) -> Tensor:
    """Vectors of length 1 in the same directions; 0 for 0, where the gradient is finite too."""
    square = (x * x).sum(-1, keepdim=True)
    return x * (square + (square == 0)).rsqrt()
