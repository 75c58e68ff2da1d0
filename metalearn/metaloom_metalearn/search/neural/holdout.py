"""Held-out examples of a support: stratified folds, or small perturbations where a class has one.

Nothing but the support is looked at.  Where every class has two examples or more, each example is
held out once and judged by the others (stratified cross-validation), as it is and perturbed in ways
that keep its type: an image is shifted by a pixel in each of four directions and gets noise, a
vector gets noise.  With so few examples the perturbations make the choice steadier.  In a one-shot
task nothing can be held out, and the perturbations of the examples alone are judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged, Support
from metaloom_registry import Tensor, Type

FOLDS = 5
IMAGE_NOISE = 0.1
"""The standard deviation of the noise on images, which are in [0, 1]."""
VECTOR_NOISE = 0.2
"""The standard deviation of the noise on vectors, as a share of theirs over the support."""
NOISY = 2


@dataclass(frozen=True)
class Fold:
    """Judge the rows `held` of `column` by the rows `kept` of the support.

    `owners` are the support examples that the held rows show.  All int64.
    """

    column: BatchedValue
    kept: torch.Tensor
    held: torch.Tensor
    owners: torch.Tensor


def folds_of(
    support: Support, type_: Type, generator: torch.Generator | None = None
) -> Sequence[Fold]:
    """How the support is judged by itself: x [n, ...] of the type `type_`, y int64 [n].

    `generator` draws the noise of a one-shot task; by default it is one seeded with 0.
    """
    column, labels = support.x, support.y
    counts = torch.bincount(labels)
    fewest = int(counts[counts > 0].min())
    every = torch.arange(len(labels))
    shown, owners = perturbed(column, type_, generator)
    if fewest < 2:
        return [Fold(shown, every, torch.arange(len(owners)), owners)]
    shown, owners = torch.cat([column, shown]), torch.cat([every, owners])
    order = torch.zeros(len(labels), dtype=torch.int64)
    for label in counts.nonzero():
        mine = (labels == label).nonzero()[:, 0]
        order[mine] = torch.arange(len(mine))
    fold = order % min(fewest, FOLDS)
    held = [(fold[owners] == i).nonzero()[:, 0] for i in range(min(fewest, FOLDS))]
    kept = [(fold != i).nonzero()[:, 0] for i in range(min(fewest, FOLDS))]
    return [Fold(shown, k, h, owners[h]) for k, h in zip(kept, held, strict=True)]


def plain_folds(column: BatchedValue, count: int) -> Sequence[Fold]:
    """Folds of `count` examples whose outputs are no classes; a single example is never held."""
    every = torch.arange(count)
    folds = min(count, FOLDS)
    if folds < 2:
        return [Fold(column, every, every[:0], every[:0])]
    held = [every[every % folds == i] for i in range(folds)]
    return [Fold(column, every[every % folds != i], h, h) for i, h in enumerate(held)]


def part_of(column: BatchedValue, count: int, generator: torch.Generator) -> Fold:
    """A fifth of a large support, at most 500 examples, held out as it is.

    It is drawn at random, of lists from the longest: what is learned should go on to longer ones.
    """
    order = torch.randperm(count, generator=generator)
    if isinstance(column, Ragged):
        order = order[torch.argsort(column.lengths[order], descending=True, stable=True)]
    held, kept = order[: min(500, count // FOLDS)], order[min(500, count // FOLDS) :]
    return Fold(column, kept, held, held)


def perturbed(
    column: torch.Tensor, type_: Type, generator: torch.Generator | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Perturbations of every row, and int64 the row that each shows."""
    kind = type_.kind if isinstance(type_, Tensor) else "vec"
    generator = generator or torch.Generator().manual_seed(0)
    if kind == "image" and column.dim() >= 3:
        shown = [*shifts(column)]
        for _ in range(NOISY):
            noise = torch.randn(column.shape, generator=generator).to(column)
            shown.append((column + IMAGE_NOISE * noise).clamp(0.0, 1.0))
    else:
        spread = column.std(0, keepdim=True) if len(column) > 1 else torch.ones_like(column)
        shown = [
            column
            + VECTOR_NOISE * spread * torch.randn(column.shape, generator=generator).to(column)
            for _ in range(2 * NOISY)
        ]
    return torch.cat(shown), torch.arange(len(column)).repeat(len(shown))


def shifts(images: torch.Tensor) -> list[torch.Tensor]:
    """Images [n, ..., h, w] moved by one pixel right, left, down and up; zeros move in."""
    right, left = functional.pad(images, (1, 0))[..., :-1], functional.pad(images, (0, 1))[..., 1:]
    down = functional.pad(images, (0, 0, 1, 0))[..., :-1, :]
    up = functional.pad(images, (0, 0, 0, 1))[..., 1:, :]
    return [right, left, down, up]
