"""Small meta-steps of many shapes, for seeing that no shape is slower than with another engine.

Perceptrons, convolutions with and without pooling and batch norm, grouped convolutions, other
norms, branches, recurrence and attention; few tasks and many, tiny and wide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmarks.steps.problems import Problem
from metaloom_metalearn import Episodes


class Residual(nn.Module):
    """x + f(x)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.inner(x)
        return out


class Recurrent(nn.Module):
    """A tanh cell over a sequence x [n, t, f], and a linear map of its last state."""

    def __init__(self, features: int, width: int, outputs: int) -> None:
        super().__init__()
        self.cell, self.out = nn.Linear(features + width, width), nn.Linear(width, outputs)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(x.shape[0], self.width)
        for one in x.unbind(1):
            state = torch.tanh(self.cell(torch.cat([one, state], 1)))
        out: Tensor = self.out(state)
        return out


class Attention(nn.Module):
    """One head of self-attention over x [n, t, f], the mean over the places, and a linear map."""

    def __init__(self, features: int, width: int, outputs: int) -> None:
        super().__init__()
        self.read, self.out = nn.Linear(features, 3 * width), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.read(x).chunk(3, -1)
        scores = query @ key.transpose(1, 2) / key.shape[-1] ** 0.5
        out: Tensor = self.out((scores.softmax(-1) @ value).mean(1))
        return out


class Gated(nn.Module):
    """Torch's GRU over a sequence x [n, t, f], and a linear map of its last state."""

    def __init__(self, features: int, width: int, outputs: int) -> None:
        super().__init__()
        self.gru, self.out = nn.GRU(features, width, batch_first=True), nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.out(self.gru(x)[0][:, -1])
        return out


@dataclass(frozen=True)
class Shape:
    """A model, the shape of one of its inputs, and tasks of 5 classes and so many examples each."""

    model: Callable[[], nn.Module]
    item: tuple[int, ...]
    tasks: int
    shots: int = 1
    steps: int = 2


def _perceptron(before: int, width: int, *between: Callable[[int], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for into in (before, width):
        layers += [nn.Linear(into, width), *(one(width) for one in between)]
    return nn.Sequential(*layers, nn.Linear(width, WAYS))


def _convolutions(
    channels: int,
    width: int,
    side: int,
    *,
    norm: Callable[[int], nn.Module] | None = None,
    pooled: bool = False,
    groups: int = 1,
    depth: int = 2,
) -> nn.Module:
    layers: list[nn.Module] = []
    for index in range(depth):
        share = groups if index else 1
        stride = 1 if pooled else 2
        before = width if index else channels
        layers.append(nn.Conv2d(before, width, 3, stride, 1, groups=share))
        layers += [] if norm is None else [norm(width)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)] if pooled else [nn.ReLU()]
        side = side // 2 if pooled else -(-side // 2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * side * side, WAYS))


def _relu(width: int) -> nn.Module:
    del width
    return nn.ReLU()


def _gelu(width: int) -> nn.Module:
    del width
    return nn.GELU()


def _batch_norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, track_running_stats=False)


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(4, channels)


def _branched() -> nn.Module:
    block = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), _batch_norm(16), nn.ReLU())
    first = nn.Conv2d(3, 16, 3, 2, 1)
    return nn.Sequential(first, Residual(block), nn.Flatten(), nn.Linear(16 * 64, WAYS))


WAYS = 5
SHAPES: Mapping[str, Shape] = {
    "perceptron_tiny": Shape(lambda: _perceptron(4, 8, _relu), (4,), 4),
    "perceptron_one_task": Shape(lambda: _perceptron(16, 64, _relu), (16,), 1),
    "perceptron_200": Shape(lambda: _perceptron(64, 200, _relu), (64,), 16, 5),
    "perceptron_512": Shape(lambda: _perceptron(64, 512, _relu), (64,), 8, 5),
    "perceptron_1024": Shape(lambda: _perceptron(784, 1024, _relu), (784,), 4),
    "perceptron_long": Shape(lambda: _perceptron(16, 100, _relu), (16,), 2, 100),
    "gelu": Shape(lambda: _perceptron(32, 64, _gelu), (32,), 16),
    "layer_norm": Shape(lambda: _perceptron(32, 64, nn.LayerNorm, _relu), (32,), 8),
    "layer_norm_512": Shape(lambda: _perceptron(256, 512, nn.LayerNorm, _relu), (256,), 8, 10),
    "layer_norm_1024": Shape(lambda: _perceptron(784, 1024, nn.LayerNorm, _relu), (784,), 4),
    "layer_norm_two_tasks": Shape(lambda: _perceptron(32, 64, nn.LayerNorm, _relu), (32,), 2),
    "batch_norm_1d": Shape(lambda: _perceptron(32, 64, nn.BatchNorm1d, _relu), (32,), 8),
    "conv_tiny": Shape(lambda: _convolutions(1, 4, 8), (1, 8, 8), 4),
    "conv_one_task": Shape(lambda: _convolutions(1, 32, 28, norm=_batch_norm), (1, 28, 28), 1),
    "conv_wide": Shape(lambda: _convolutions(64, 128, 16, norm=_batch_norm), (64, 16, 16), 2),
    "conv_large": Shape(lambda: _convolutions(3, 32, 64, norm=_batch_norm), (3, 64, 64), 2),
    "conv_pool": Shape(
        lambda: _convolutions(3, 32, 42, norm=_batch_norm, pooled=True), (3, 42, 42), 4
    ),
    "conv_pool_plain": Shape(lambda: _convolutions(1, 8, 16, pooled=True), (1, 16, 16), 8),
    "conv_many_shots": Shape(
        lambda: _convolutions(1, 16, 28, norm=_batch_norm), (1, 28, 28), 4, 10
    ),
    "conv_groups": Shape(lambda: _convolutions(3, 32, 32, groups=4), (3, 32, 32), 4),
    "conv_depthwise": Shape(lambda: _convolutions(3, 32, 32, groups=32), (3, 32, 32), 4),
    "conv_group_norm": Shape(lambda: _convolutions(3, 16, 32, norm=_group_norm), (3, 32, 32), 8),
    "residual": Shape(_branched, (3, 16, 16), 4),
    "recurrent": Shape(lambda: Recurrent(8, 32, WAYS), (6, 8), 8),
    "gru": Shape(lambda: Gated(8, 32, WAYS), (6, 8), 8),
    "attention": Shape(lambda: Attention(16, 32, WAYS), (8, 16), 8),
    "attention_wide": Shape(lambda: Attention(128, 256, WAYS), (32, 128), 4, 5),
}
QUICK_SHAPES = ("perceptron_tiny", "layer_norm_two_tasks", "conv_tiny", "conv_groups", "attention")


def shaped(name: str, seed: int) -> Problem:
    """The problem of a shape: inputs are noise around the mean of their class."""
    shape = SHAPES[name]
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = shape.model()
    means = torch.randn(shape.tasks, WAYS, 1, *shape.item, generator=generator)

    def shown() -> Tensor:
        noise = torch.randn(shape.tasks, WAYS, shape.shots, *shape.item, generator=generator)
        return (means + 0.3 * noise).flatten(1, 2)

    labels = torch.arange(WAYS).repeat_interleave(shape.shots).repeat(shape.tasks, 1)
    episodes = Episodes(shown(), labels, shown(), labels, WAYS)
    return Problem(name, model, episodes, shape.steps, 0.05)
