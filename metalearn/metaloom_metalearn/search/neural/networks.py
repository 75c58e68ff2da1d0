"""The small family of networks that fill holes: convolutions, layers, and three readers of lists.

For an image a convolutional encoder and a linear layer; for a vector a linear layer, or two; for a
list of vectors a recurrent network (Cho et al. 2014), a set network (Zaheer et al. 2017) or
attention (Lin et al. 2017).  Encoder and head are modules of their own, so that what is learned for
one task can be reused in another with another head.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged
from metaloom_metalearn.recurrent import RecurrentNetwork

HIDDEN = 64
CHANNELS = 32
LARGE = 16
"""From so many pixels a side images are large enough for three stages and for being jittered."""

ROTATION, SCALE, SHEAR, SHIFT = 0.25, 0.2, 0.25, 0.1
"""How far large images are jittered: radians, a share, a share, and a share of the side."""


def convolutional_encoder(shape: Sequence[int]) -> nn.Module:
    """Images [rows, c, h, w] -> vec [rows, 64]: convolutions with pooling, and a layer.

    Large images get four stages with batch norm (Ioffe and Szegedy 2015) and dropout; channels lie
    innermost in memory, which takes a third less time.
    """
    channels, height, width = shape
    if min(height, width) < LARGE:
        return nn.Sequential(
            nn.Conv2d(channels, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(CHANNELS * (height // 4) * (width // 4), HIDDEN),
            nn.ReLU(),
        )
    size = 64 * (-(-height // 2) // 4) * (-(-width // 2) // 4)
    return nn.Sequential(
        *_stage(channels, 24, 5, stride=2),
        *_stage(24, 32),
        nn.MaxPool2d(2),
        *_stage(32, 48),
        *_stage(48, 64),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(size, HIDDEN),
        nn.ReLU(),
    )


def _stage(taken: int, made: int, size: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    """A convolution, batch norm and ReLU."""
    convolution = nn.Conv2d(taken, made, size, stride, padding=size // 2, bias=False)
    inside_out = convolution.weight.detach().contiguous(memory_format=torch.channels_last)
    convolution.weight = nn.Parameter(inside_out)
    return convolution, nn.BatchNorm2d(made), nn.ReLU()


def layers(numbers: int, outputs: int) -> nn.Module:
    """Two layers on vectors, or on anything flattened: [rows, ...] -> [rows, outputs]."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(numbers, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs)
    )


class SetNetwork(nn.Module):
    """`Ragged` of vectors -> [rows, outputs]: a layer on each item, their sum, a layer on that."""

    def __init__(self, features: int, hidden: int = HIDDEN, outputs: int = 1) -> None:
        super().__init__()
        self.hidden = hidden
        self.each = nn.Sequential(nn.Linear(features, hidden), nn.ReLU())
        self.all = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def forward(self, lists: Ragged) -> torch.Tensor:
        total = lists.lengths.new_zeros((lists.rows(), self.hidden), dtype=self.dtype())
        if lists.items is not None:
            total = total.index_add(0, lists.owners(), self.each(lists.items))
        return self.all(total)  # type: ignore[no-any-return]

    def dtype(self) -> torch.dtype:
        """Of the parameters, and so of what comes out."""
        return next(self.parameters()).dtype


class AttentionNetwork(nn.Module):
    """`Ragged` of vectors -> [rows, outputs]: items weighted by a learned query, read linearly."""

    def __init__(self, features: int, hidden: int = HIDDEN, outputs: int = 1) -> None:
        super().__init__()
        self.key = nn.Linear(features, hidden)
        self.weight = nn.Linear(hidden, 1)
        self.readout = nn.Linear(features + 1, outputs)

    def forward(self, lists: Ragged) -> torch.Tensor:
        rows, size = lists.rows(), self.readout.in_features - 1
        pooled = self.readout.weight.new_zeros((rows, size))
        if lists.items is not None and len(lists.items):
            owners = lists.owners()
            score = self.weight(self.key(lists.items).tanh())[:, 0]
            score = (score - score.max().detach()).exp()
            total = score.new_zeros(rows).index_add(0, owners, score)
            share = (score / total[owners].clamp(min=1e-12))[:, None]
            pooled = pooled.index_add(0, owners, share * lists.items)
        length = lists.lengths.to(pooled)[:, None]
        return self.readout(torch.cat([pooled, length], 1))  # type: ignore[no-any-return]


class OnItems(nn.Module):
    """A network over lists on items of any shape, each flattened to a vector."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lists: Ragged) -> torch.Tensor:
        items = lists.items if lists.items is None else lists.items.flatten(1)
        return self.network(Ragged(items, lists.lengths))  # type: ignore[no-any-return]


LIST_NETWORKS = {
    "recurrent network": RecurrentNetwork,
    "set network": SetNetwork,
    "attention": AttentionNetwork,
}
"""Readers of lists of vectors: `(features, hidden, outputs)` makes one."""


class Frozen(nn.Module):
    """A block that training leaves alone: in eval mode, its parameters without gradients."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def train(self, mode: bool = True) -> Frozen:
        del mode
        return super().train(False)

    def forward(self, *inputs: BatchedValue) -> BatchedValue:
        return self.block(*inputs)


def jittered(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Images [n, c, h, w], each turned, scaled, sheared and shifted a little at random."""

    def drawn(most: float) -> torch.Tensor:
        return most * (2 * torch.rand(len(images), generator=generator) - 1)

    angle, shear = drawn(ROTATION), drawn(SHEAR)
    wide, high = 1 + drawn(SCALE), 1 + drawn(SCALE)
    cos, sin = angle.cos(), angle.sin()
    rows = (
        torch.stack([cos * wide, (shear - sin) * high, drawn(2 * SHIFT)], 1),
        torch.stack([sin * wide, cos * high, drawn(2 * SHIFT)], 1),
    )
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid.to(images), align_corners=False)


def jitters(items: torch.Tensor) -> bool:
    """Whether items [n, ...] are images that are large enough to be jittered."""
    return items.dim() == 4 and min(items.shape[2:]) >= LARGE
