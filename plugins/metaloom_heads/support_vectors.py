"""A differentiable multi-class support vector machine on the support (Lee et al. 2019, MetaOptNet).

The dual of Crammer and Singer's machine (2001), as in Lee et al. 2019, eq. 6: with one row of
alpha for each example and one column for each class,

    min  1/2 tr(alpha' K alpha) - sum_i alpha[i, y_i]
    over alpha[i, y_i] <= C,  alpha[i, k] <= 0 for k != y_i,  sum_k alpha[i, k] = 0;
    w_k = sum_i alpha[i, k] x_i.

So each row of C Y - alpha lies on a simplex: accelerated projected gradients find which bounds
hold, and the linear equations of that active set then give alpha exactly.  Those equations alone
are differentiated, which is the implicit derivative of the program's solution, of any order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metaloom_heads.labels import labelled
from metaloom_metalearn import Support

COST = 1.0
"""C, where the support is centred and its mean squared length is 1."""

RIDGE = 0.02
"""Added to the diagonal of K, which makes the solution unique (the published code adds 1)."""

SCALE = 10.0
"""What the machine's scores are multiplied with to become logits; the paper learns it."""

_ITERATIONS = 300


def svm(
    support: Support,
    query: Tensor,
    cost: float | Tensor = COST,
    scale: float | Tensor = SCALE,
) -> Tensor:
    """`scale` times the scores w_k x of the machine that the support trains.

    Support and query are shifted and scaled alike so that the support has mean 0 and mean squared
    length 1.  A class without an example has -inf.  Where a gradient may be asked for, equations of
    s (k + 1) unknowns are solved for s examples of k classes.  Shapes, leading task axes and errors
    are those of `prototypes`.
    """
    x, labels = labelled("svm", support, query)
    mean = x.mean(-2, keepdim=True)
    x = x - mean
    size = ((x * x).sum((-2, -1)) / x.shape[-2])[..., None, None]
    size = size.clamp(min=torch.finfo(x.dtype).tiny ** 0.5)
    x, query = x * size.rsqrt(), (query - mean) * size.rsqrt()
    kernel = x @ x.mT + RIDGE * torch.eye(x.shape[-2], dtype=x.dtype, device=x.device)
    upper = cost * labels
    differentiated = torch.is_grad_enabled()
    with torch.no_grad():
        slack = _slack(kernel.detach(), labels, upper.detach())
    if differentiated:
        alpha = _solution(kernel, labels, upper, (slack > 0).to(x.dtype))
    else:
        alpha = upper - slack  # the same to about 1e-5, at a fraction of the cost
    scores: Tensor = scale * (query @ (x.mT @ alpha))
    return scores.masked_fill(labels.sum(-2)[..., None, :] == 0, -float("inf"))


def _slack(kernel: Tensor, labels: Tensor, upper: Tensor) -> Tensor:
    """C Y - alpha at the minimum, exactly 0 where a bound holds; s and k are the last axes.

    Also 0 for a class without an example, which takes no part in the machine.  Projected gradients
    with the momentum for strong convexity (Nesterov 2004, constant scheme III).
    """
    total = upper.sum(-1, keepdim=True)
    smooth = kernel.abs().sum(-1).amax(-1)[..., None, None]  # at least the largest eigenvalue
    root = (RIDGE / smooth).sqrt()
    momentum = (1 - root) / (1 + root)
    empty = labels.sum(-2, keepdim=True) == 0
    slack = ahead = total / labels.shape[-1] * torch.ones_like(labels)
    for _ in range(_ITERATIONS):
        slope = labels - kernel @ (upper - ahead)
        moved = (ahead - slope / smooth).masked_fill(empty, -(torch.finfo(labels.dtype).max ** 0.5))
        moved = _on_simplex(moved, total)
        ahead = moved + momentum * (moved - slack)
        slack = moved
    return slack


def _on_simplex(rows: Tensor, total: Tensor) -> Tensor:
    """The nearest rows that are nowhere negative and sum to `total` (Held et al. 1974)."""
    falling = rows.sort(-1, descending=True).values
    count = torch.arange(1, rows.shape[-1] + 1, dtype=rows.dtype, device=rows.device)
    shifts = (falling.cumsum(-1) - total) / count
    kept = (falling > shifts).sum(-1, keepdim=True)
    return (rows - shifts.gather(-1, (kept - 1).clamp(min=0))).clamp(min=0)


def _solution(kernel: Tensor, labels: Tensor, upper: Tensor, free: Tensor) -> Tensor:
    """alpha, where it is known which entries are `free` (1) and which lie at their bound (0).

    With the multipliers m of the rows' sums:  (K alpha)[i, k] - m_i = Y[i, k] where free,
    alpha[i, k] = C Y[i, k] elsewhere, sum_k alpha[i, k] = 0.
    """
    count, classes = labels.shape[-2:]
    leading = labels.shape[:-2]
    size = count * classes
    eye = torch.eye(classes, dtype=kernel.dtype, device=kernel.device)
    spread = (kernel[..., :, None, :, None] * eye[:, None, :]).reshape(*leading, size, size)
    flat = free.reshape(*leading, size, 1)
    rows = torch.eye(count, dtype=kernel.dtype, device=kernel.device)
    sums = rows.repeat_interleave(classes, 0)  # [s k, s]: which row an entry lies in
    same = torch.eye(size, dtype=kernel.dtype, device=kernel.device)
    above = torch.cat([flat * spread + (1 - flat) * same, -flat * sums], -1)
    below = torch.cat([sums.mT, torch.zeros_like(rows)], -1).expand(*leading, count, size + count)
    wanted = (free * labels + (1 - free) * upper).reshape(*leading, size)
    right = torch.cat([wanted, torch.zeros_like(labels[..., 0])], -1)
    found: Tensor = torch.linalg.solve(torch.cat([above, below], -2), right[..., None])
    return found[..., :size, 0].reshape(*leading, count, classes)
