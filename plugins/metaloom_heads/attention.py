"""Matching: the labels of the support, weighted by attention (Vinyals et al. 2016)."""

from __future__ import annotations

from torch import Tensor

from metaloom_heads.cosine_similarity import SCALE, unit
from metaloom_heads.labels import labelled
from metaloom_metalearn import Support


def matching(support: Support, query: Tensor, scale: float | Tensor = SCALE) -> Tensor:
    """The logarithms of sum_i a(q, x_i) y_i (Vinyals et al. 2016, eq. 1).

    The attention a is the softmax over the support of `scale` times the cosine (section 2.1.1; the
    paper has no scale).  Examples are embedded one by one: the paper's full context embeddings are
    an encoder's business.  A class without an example has -inf.  Shapes, leading task axes and
    errors are those of `prototypes`.
    """
    x, members = labelled("matching", support, query)
    attention = (scale * unit(query) @ unit(x).mT).log_softmax(-1)
    others = members.mT[..., None, :, :] == 0
    weights = attention[..., :, None, :].masked_fill(others, -float("inf"))
    top = weights.amax(-1, keepdim=True).clamp(min=-1e30).detach()
    total = (weights - top).exp().sum(-1)
    empty = members.sum(-2)[..., None, :] == 0
    return (total.masked_fill(empty, 1).log() + top[..., 0]).masked_fill(empty, -float("inf"))
