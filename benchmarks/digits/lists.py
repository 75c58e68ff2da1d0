"""Images for the benchmark `digit_programs`: who sees which, and lists drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metaloom_metalearn import Examples, Ragged

RECOGNISER = 6000
"""The images that a recogniser is trained on, or three fifths of fewer than 10,000."""


@dataclass(frozen=True)
class Images:
    """Images [n, 1, 28, 28] in [0, 1] and their labels, int64 [n]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> Images:
        return Images(self.pixels[index], self.labels[index])


@dataclass(frozen=True)
class Split:
    """Disjoint images: for the recogniser, for the lists of the programs, and for the tests."""

    recogniser: Images
    programs: Images
    test: Images

    @classmethod
    def of(cls, train: Path, test: Path | None, generator: torch.Generator) -> Split:
        """The images of two files, or of one alone, whose last fifth is then for the tests."""
        known = read(train)
        known = known.take(torch.randperm(len(known), generator=generator))
        first = min(RECOGNISER, 3 * len(known) // 5)
        end = len(known) if test is not None else 4 * len(known) // 5
        places = torch.arange(len(known))
        return cls(
            known.take(places[:first]),
            known.take(places[first:end]),
            known.take(places[end:]) if test is None else read(test),
        )


def read(path: Path) -> Images:
    """An npz file: `images` uint8 [n, 28, 28], `labels` uint8 [n]."""
    with np.load(path, allow_pickle=False) as held:
        images, labels = torch.from_numpy(held["images"]), torch.from_numpy(held["labels"])
    return Images(images[:, None].float() / 255, labels.long())


@dataclass(frozen=True)
class Lists:
    """Lists of images, by place, and the number that belongs to each."""

    images: Images
    places: tuple[Tensor, ...]
    totals: tuple[int, ...]

    def take(self, some: Sequence[int]) -> Lists:
        """The lists at these places."""
        places = tuple(self.places[i] for i in some)
        return Lists(self.images, places, tuple(self.totals[i] for i in some))

    def examples(self) -> Examples:
        pixels = self.images.pixels
        return Examples((tuple(tuple(pixels[p]) for p in self.places),), self.totals)

    def ragged(self) -> Ragged:
        lengths = torch.tensor([len(p) for p in self.places])
        return Ragged(self.images.pixels[torch.cat(self.places)], lengths)

    def wanted(self) -> Tensor:
        return torch.tensor(self.totals)


def counted(images: Images, digit: int, lengths: Sequence[int], g: torch.Generator) -> Lists:
    """How often a digit occurs; each item is that digit with probability one half."""
    mine = (images.labels == digit).nonzero()[:, 0]
    others = (images.labels != digit).nonzero()[:, 0]
    places, totals = [], []
    for length in lengths:
        heads = torch.rand(length, generator=g) < 0.5
        one = mine[torch.randint(len(mine), (length,), generator=g)]
        other = others[torch.randint(len(others), (length,), generator=g)]
        places.append(torch.where(heads, one, other))
        totals.append(int(heads.sum()))
    return Lists(images, tuple(places), tuple(totals))


def summed(images: Images, lengths: Sequence[int], g: torch.Generator) -> Lists:
    """The sum of digits that are drawn uniformly."""
    places, totals = [], []
    for length in lengths:
        place = torch.randint(len(images), (length,), generator=g)
        places.append(place)
        totals.append(int(images.labels[place].sum()))
    return Lists(images, tuple(places), tuple(totals))


def cycled(lengths: Sequence[int], count: int) -> list[int]:
    """`count` lengths, each equally often."""
    return [lengths[i % len(lengths)] for i in range(count)]


def balanced(images: Images, digit: int) -> Images:
    """All images, those of the digit repeated until they are as many as the others."""
    mine = (images.labels == digit).nonzero()[:, 0]
    others = (images.labels != digit).nonzero()[:, 0]
    again = mine[torch.arange(len(others)) % len(mine)]
    return images.take(torch.cat([others, again]))
