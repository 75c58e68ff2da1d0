"""Prototypes: a class is the mean of its examples (Snell et al. 2017)."""

from __future__ import annotations

from torch import Tensor

from metaloom_heads.labels import labelled
from metaloom_metalearn import Support


def prototypes(support: Support, query: Tensor) -> Tensor:
    """Minus the squared Euclidean distance to the mean of each class (Snell et al. 2017, eq. 1-2).

    support.x [..., s, n], support.y int64 [..., s], query [..., q, n] -> logits [..., q, k]; the
    leading axes are tasks.  A class without an example is infinitely far.  Raises TypeMismatch
    where the shapes do not fit.
    """
    x, members = labelled("prototypes", support, query)
    counts = members.sum(-2)[..., None]
    centre = x.mean(-2, keepdim=True)
    means = members.mT @ (x - centre) / counts.clamp(min=1)
    query = query - centre
    logits = (
        2 * query @ means.mT
        - (means * means).sum(-1)[..., None, :]
        - (query * query).sum(-1)[..., None]
    )
    return logits.masked_fill(counts.mT == 0, -float("inf"))
