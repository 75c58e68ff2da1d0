"""A hub of its own for each test, and small tasks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from metaloom import Hub
from metaloom_metalearn import Examples, Task
from metaloom_registry import parse_type

LISTS = ((1, 2, 3, 4), (7, 6, 10), (5, 8, 2), (9, 3), (4,))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def hub(home: Path) -> Iterator[Hub]:
    with Hub.open(home) as opened:
        yield opened


@pytest.fixture
def sums() -> Task:
    """Lists of integers and what they add up to; the last two are the query."""
    outputs = tuple(sum(xs) for xs in LISTS)
    return Task(
        parse_type("list[int] -> int"),
        Examples((LISTS[:3],), outputs[:3]),
        Examples((LISTS[3:],), outputs[3:]),
        name="sums",
    )


@pytest.fixture
def halves() -> Task:
    """Images whose ink is on the left (0), on the right (1) or below (2)."""
    return picture_task(5, 0)


def picture_task(shots: int, seed: int) -> Task:
    """Noisy images of three classes, so many of each in the support and in the query."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat(2 * shots)
    images = 0.2 * torch.rand(len(labels), 1, 4, 4, generator=generator)
    images[labels == 0, :, :, :2] += 0.7
    images[labels == 1, :, :, 2:] += 0.7
    images[labels == 2, :, 2:] += 0.7
    half = 3 * shots
    return Task(
        parse_type("image[1,4,4] -> label[3]"),
        Examples((images[:half],), labels[:half]),
        Examples((images[half:],), labels[half:]),
        name="halves",
    )


def encoder(seed: int = 0) -> nn.Module:
    """A small network image[1,4,4] -> vec[8]."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh()).eval()
