"""Heads whose settings are arguments, so that a search can choose them: numbers in a program."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from metaloom_heads.labels import labelled
from metaloom_heads.ridge_regression import ridge
from metaloom_metalearn import Support

MOST = 1000
"""The most steps that are taken."""


def ridge_of_strength(strength: Tensor, support: Support, query: Tensor) -> Tensor:
    """`ridge` with lambda, as a share of the support's mean squared length, for each query.

    strength float [q], query float [q, n] -> logits [q, k].
    """

    def fitted(row: Tensor, asked: Tensor) -> Tensor:
        return ridge(support, asked, row[0].to(asked))

    return _for_each_setting(fitted, torch.stack([strength.double()], -1), support, query)


def softmax_regression(rate: Tensor, steps: Tensor, support: Support, query: Tensor) -> Tensor:
    """A linear classifier after so many steps of gradient descent on the support, from zero.

    The mean cross-entropy is what descends, at the learning rate `rate`, on the support shifted and
    scaled to mean 0 and mean squared length 1; the query is seen in the same way.  At most `MOST`
    steps are taken, and none where steps are negative.  rate float [q], steps int64 [q], query
    float [q, n] -> logits [q, k].
    """
    x, labels = labelled("softmax_regression", support, query)
    mean = x.mean(-2, keepdim=True)
    size = (x - mean).square().sum(-1).mean().clamp(min=torch.finfo(x.dtype).tiny).sqrt()
    x = torch.cat([(x - mean) / size, torch.ones_like(x[..., :1])], -1)

    def fitted(row: Tensor, asked: Tensor) -> Tensor:
        weights = x.new_zeros(x.shape[-1], labels.shape[-1])
        for _ in range(min(MOST, int(row[1]))):
            errors = (x @ weights).softmax(-1) - labels
            weights = weights - row[0].to(x) * (x.mT @ errors) / len(x)
        seen = torch.cat([(asked - mean) / size, torch.ones_like(asked[..., :1])], -1)
        return seen @ weights

    settings = torch.stack([rate.double(), steps.double()], -1)
    return _for_each_setting(fitted, settings, support, query)


def _for_each_setting(
    fitted: Callable[[Tensor, Tensor], Tensor], settings: Tensor, support: Support, query: Tensor
) -> Tensor:
    """`fitted(row of settings, queries with these settings)` for every query, in their order.

    settings float [q, m].  A program that writes its settings down has the same for all.
    """
    logits = query.new_zeros(len(query), support.classes)
    for row in torch.unique(settings, dim=0):
        mine = (settings == row).all(-1)
        logits = logits.index_put((mine.nonzero()[:, 0],), fitted(row, query[mine]))
    return logits
