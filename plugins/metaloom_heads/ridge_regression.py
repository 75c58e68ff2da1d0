"""Ridge regression onto the labels, in closed form (Bertinetto et al. 2019, R2D2)."""

from __future__ import annotations

import torch
from torch import Tensor

from metaloom_heads.labels import labelled
from metaloom_metalearn import Support

REGULARISATION = 0.1
"""Lambda, as a share of the mean squared length of the centred support."""

SCALE = 10.0
"""What the regression's outputs, about 0 and 1, are multiplied with to become logits."""


def ridge(
    support: Support,
    query: Tensor,
    regularisation: float | Tensor = REGULARISATION,
    scale: float | Tensor = SCALE,
) -> Tensor:
    """The scores of a ridge regression of the one-hot labels on the support, centred.

    W = X^T (X X^T + lambda I)^-1 Y (Bertinetto et al. 2019, eq. 4-6: the Woodbury form) where there
    are fewer examples than features, else the equal (X^T X + lambda I)^-1 X^T Y.  Lambda follows
    the scale of the features: it is `regularisation` times their mean squared length.  The paper
    learns lambda and scale (eq. 7), as `r2d2` does; its bias shifts all logits alike, so the
    softmax does not see it.  Shapes, leading task axes and errors are those of `prototypes`.
    """
    x, labels = labelled("ridge", support, query)
    mean, base = x.mean(-2, keepdim=True), labels.mean(-2, keepdim=True)
    x, y = x - mean, labels - base
    count, features = x.shape[-2:]
    strength = regularisation * (x * x).sum((-2, -1)) / count
    strength = strength.clamp(min=torch.finfo(x.dtype).tiny ** 0.5)[..., None, None]
    if count <= features:
        inner = x @ x.mT + strength * torch.eye(count, dtype=x.dtype, device=x.device)
        weights = x.mT @ torch.linalg.solve(inner, y)
    else:
        inner = x.mT @ x + strength * torch.eye(features, dtype=x.dtype, device=x.device)
        weights = torch.linalg.solve(inner, x.mT @ y)
    scores: Tensor = (query - mean) @ weights + base
    return scale * scores
