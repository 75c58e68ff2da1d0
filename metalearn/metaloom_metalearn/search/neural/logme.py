"""LogME: how well frozen features explain outputs, as the evidence of a linear model.

You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning".  The
outputs are y = F w + noise with w ~ N(0, I / alpha) and noise ~ N(0, I / beta); LogME is the
largest log p(y | F, alpha, beta) over alpha and beta, by example, averaged over outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 100
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Evidence:
    """The log evidence of one output, of all n examples, and the precisions that maximise it."""

    nats: float
    alpha: float
    beta: float


def logme(features: Tensor, outputs: Tensor) -> float:
    """The log evidence an example: features [n, d], outputs [n] or [n, m]; higher is better.

    For classes give one-hot outputs.
    """
    columns = outputs.double().reshape(len(outputs), -1)
    left, sizes = decomposed(features.double())
    found = [evidence(left, sizes, features.shape[1], y).nats for y in columns.T]
    return sum(found) / (len(found) * len(outputs))


def decomposed(features: Tensor) -> tuple[Tensor, Tensor]:
    """The left singular vectors [n, r] and the squared singular values [r] of features [n, d]."""
    left, singular, _ = torch.linalg.svd(features, full_matrices=False)
    return left, singular.square()


def evidence(left: Tensor, sizes: Tensor, dimensions: int, y: Tensor) -> Evidence:
    """The maximum over alpha and beta, by the fixed point of You et al. 2021, algorithm 1.

    With the eigenvalues s of F'F and z = U'y: gamma = sum s / (s + alpha / beta), alpha = gamma /
    |m|^2 and beta = (n - gamma) / |F m - y|^2 for the posterior mean m.
    """
    n, z = len(y), (left.T @ y).square()
    outside = float((y.square().sum() - z.sum()).clamp(min=0))
    alpha = beta = 1.0
    for _ in range(STEPS):
        ratio = alpha / beta
        gamma = float((sizes / (sizes + ratio)).sum())
        weight = max(float((sizes * z / (sizes + ratio).square()).sum()), 1e-12)
        misfit = max(float((z * (ratio / (sizes + ratio)).square()).sum()) + outside, 1e-12)
        before = alpha, beta
        alpha, beta = max(gamma, 1e-9) / weight, max(n - gamma, 1e-9) / misfit
        if abs(math.log(alpha / before[0])) + abs(math.log(beta / before[1])) < TOLERANCE:
            break
    return Evidence(log_evidence(sizes, z, outside, dimensions, n, alpha, beta), alpha, beta)


def log_evidence(
    sizes: Tensor, z: Tensor, outside: float, dimensions: int, n: int, alpha: float, beta: float
) -> float:
    """log p(y | F, alpha, beta); `z` are the squares of U'y, `outside` the rest of |y|^2."""
    ratio = alpha / beta
    weight = float((sizes * z / (sizes + ratio).square()).sum())
    misfit = float((z * (ratio / (sizes + ratio)).square()).sum()) + outside
    rank = len(sizes)
    determinant = float((alpha + beta * sizes).log().sum()) + (dimensions - rank) * math.log(alpha)
    return 0.5 * (
        n * math.log(beta)
        + dimensions * math.log(alpha)
        - n * math.log(2 * math.pi)
        - beta * misfit
        - alpha * weight
        - determinant
    )
