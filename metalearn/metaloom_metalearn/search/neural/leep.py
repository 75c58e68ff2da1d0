"""LEEP: how well the classes of a trained classifier tell the labels of another task.

Nguyen et al. 2020, "LEEP: A New Measure to Evaluate Transferability of Learned Representations".
"""

from __future__ import annotations

import torch
from torch import Tensor


def leep(probabilities: Tensor, labels: Tensor, classes: int) -> float:
    """The mean of log sum_z p(y | z) theta_z(x), in nats: at most 0, higher is better.

    probabilities [n, z] are what the classifier says of each example, labels int64 [n].  p(y | z)
    is the empirical conditional distribution, eq. 2.  A classifier that tells nothing gets minus
    the entropy of the labels.
    """
    theta = probabilities.double()
    joint = torch.zeros(classes, theta.shape[1], dtype=torch.float64)
    joint = joint.index_add(0, labels, theta) / len(labels)
    conditional = joint / joint.sum(0).clamp(min=1e-300)
    likelihood = (theta * conditional[labels]).sum(1)
    return float(likelihood.clamp(min=1e-300).log().mean())


def entropy(labels: Tensor, classes: int) -> float:
    """The entropy of the labels int64 [n], in nats."""
    share = torch.bincount(labels, minlength=classes).double() / len(labels)
    return float(-(share[share > 0] * share[share > 0].log()).sum())
