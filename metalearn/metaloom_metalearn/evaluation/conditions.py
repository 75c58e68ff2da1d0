"""Queries beyond what the support shows: shifted, rotated, noisy, and perturbed by an adversary."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.evaluation.answers import Answers
from metaloom_registry import InvalidTask

Condition: TypeAlias = Callable[[Episodes, Answers, torch.Generator], Episodes]
"""Changes the queries of episodes; an adversary may look at the answers and how they change."""


def shifted(share: float = 0.1) -> Condition:
    """Images moved by `share` of their side in a direction of their own; 0 comes in."""

    def change(episodes: Episodes, answers: Answers, generator: torch.Generator) -> Episodes:
        del answers
        angle = _each_query(episodes, generator) * (2 * math.pi)
        maps = _maps(torch.zeros_like(angle))
        maps[:, 0, 2], maps[:, 1, 2] = 2 * share * angle.cos(), 2 * share * angle.sin()
        return _moved(episodes, maps)

    return change


def rotated(degrees: float = 15.0) -> Condition:
    """Images turned by `degrees`, to the left or the right at random; 0 comes in."""

    def change(episodes: Episodes, answers: Answers, generator: torch.Generator) -> Episodes:
        del answers
        side = (_each_query(episodes, generator) < 0.5).float() * 2 - 1
        return _moved(episodes, _maps(side * math.radians(degrees)))

    return change


def noisy(deviation: float = 0.1) -> Condition:
    """Gaussian noise on every number; images stay within [0, 1]."""

    def change(episodes: Episodes, answers: Answers, generator: torch.Generator) -> Episodes:
        del answers
        x = episodes.query_x
        noise = torch.randn(x.shape, generator=generator).to(x)
        return replace(episodes, query_x=_within(x + deviation * noise, x))

    return change


def fgsm(size: float = 0.03) -> Condition:
    """One step of `size` for every number up the loss (Goodfellow et al. 2015)."""
    return pgd(size, steps=1, rate=size)


def pgd(size: float = 0.03, steps: int = 5, rate: float | None = None) -> Condition:
    """`steps` steps up the loss within `size` of the query (Madry et al. 2018, without a start at
    random); `rate` is the length of a step, by default 2.5 `size` / `steps`.
    """
    if steps < 1 or size < 0:
        raise InvalidTask(f"{steps} steps of size {size} perturb nothing; give at least 1, above 0")
    length = 2.5 * size / steps if rate is None else rate

    def change(episodes: Episodes, answers: Answers, generator: torch.Generator) -> Episodes:
        del generator
        start = episodes.query_x
        x = start
        for _ in range(steps):
            asked = replace(episodes.without_answers(), query_x=x.detach().requires_grad_())
            with torch.enable_grad():
                loss = _loss(answers(asked), episodes)
                (slope,) = torch.autograd.grad(loss, asked.query_x)
            x = start + (x + length * slope.sign() - start).clamp(-size, size)
            x = _within(x, start)
        return replace(episodes, query_x=x)

    return change


def beyond_the_support() -> dict[str, Condition]:
    """The conditions of this page for images, each as it stands."""
    return {
        "shifted": shifted(),
        "rotated": rotated(),
        "noisy": noisy(),
        "fgsm": fgsm(),
        "pgd": pgd(),
    }


def _loss(found: Tensor, episodes: Episodes) -> Tensor:
    found = found.to(episodes.query_y.device)
    if episodes.classes:
        return functional.cross_entropy(
            found.flatten(0, 1), episodes.query_y.flatten(), reduction="sum"
        )
    return functional.mse_loss(
        found.reshape(episodes.query_y.shape), episodes.query_y, reduction="sum"
    )


def _within(x: Tensor, like: Tensor) -> Tensor:
    """Images stay within [0, 1]; vectors may be anything."""
    return x.clamp(0, 1) if like.dim() == 5 else x


def _each_query(episodes: Episodes, generator: torch.Generator) -> Tensor:
    """A number from 0 to 1 for each query; queries are images. Raises InvalidTask."""
    if episodes.query_x.dim() != 5:
        raise InvalidTask(
            f"queries {list(episodes.query_x.shape)} are no images [tasks, q, channels, height, "
            "width]; only images are shifted and rotated"
        )
    count = episodes.query_x.shape[0] * episodes.query_x.shape[1]
    return torch.rand(count, generator=generator)


def _maps(angle: Tensor) -> Tensor:
    """Affine maps [n, 2, 3] that turn by an angle."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)


def _moved(episodes: Episodes, maps: Tensor) -> Episodes:
    x = episodes.query_x.flatten(0, 1)
    grid = functional.affine_grid(maps.to(x), list(x.shape), align_corners=False)
    moved = functional.grid_sample(x, grid, align_corners=False)
    return replace(
        episodes, query_x=_within(moved.reshape(episodes.query_x.shape), episodes.query_x)
    )
