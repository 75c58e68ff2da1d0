"""Nearest neighbour: a class is as near as the nearest of its examples (Cover and Hart 1967)."""

from __future__ import annotations

from torch import Tensor

from metaloom_heads.labels import labelled
from metaloom_metalearn import Support


def nearest(support: Support, query: Tensor) -> Tensor:
    """Minus the squared Euclidean distance to the nearest example of each class.

    Shapes, leading task axes and errors are those of `prototypes`.
    """
    x, members = labelled("nearest", support, query)
    centre = x.mean(-2, keepdim=True)
    x, query = x - centre, query - centre
    near = 2 * query @ x.mT - (x * x).sum(-1)[..., None, :] - (query * query).sum(-1)[..., None]
    others = members.mT[..., None, :, :] == 0
    return near[..., :, None, :].masked_fill(others, -float("inf")).amax(-1)
