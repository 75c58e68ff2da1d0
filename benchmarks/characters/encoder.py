"""The encoder of characters that the benchmark trains: a narrow residual network, from scratch.

image[1,28,28] -> vec[8 width]: a 3x3 convolution, 2x2 pooling, and three residual blocks of two
3x3 convolutions (He et al. 2016), the second and third with stride 2, then the mean over the map.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 16


class Residual(nn.Module):
    """Two convolutions with batch norm beside a 1x1 convolution of the input (He et al. 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.pool = nn.AvgPool2d(stride, ceil_mode=True)
        self.short = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm3 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        inner = self.norm2(self.conv2(inner))
        return functional.relu(inner + self.norm3(self.short(self.pool(x))))


def character_encoder(seed: int, width: int = WIDTH) -> nn.Sequential:
    """The encoder with weights drawn from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(1, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            Residual(width, 2 * width, 1),
            Residual(2 * width, 4 * width, 2),
            Residual(4 * width, 8 * width, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return network


SIZES = (0.9, 1.0, 1.1)
VIEWS = 8 * len(SIZES)


class Views(nn.Module):
    """An encoder asked from several sides: the unit vectors of the views of an image, in a row.

    The sides are the image turned by 0, 90, 180 and 270 degrees, and each mirrored; of each side
    the mean over three sizes is taken.  The cosine of two such vectors is the mean of the cosines
    of the sides.  Each image is for itself: nothing is learned from queries.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> Tensor:
        turned = [torch.rot90(x, turns, (-2, -1)) for turns in range(4)]
        sides = [*turned, *(side.flip(-1) for side in turned)]
        return torch.cat([functional.normalize(self._at_all_sizes(side)) for side in sides], 1)

    def _at_all_sizes(self, x: Tensor) -> Tensor:
        return sum(
            (functional.normalize(self.encoder(resized(x, size))) for size in SIZES),
            start=x.new_zeros(()),
        )


def resized(images: Tensor, size: float) -> Tensor:
    """Images smaller (above 1) or larger about their centre, within the same frame."""
    if size == 1.0:
        return images
    maps = torch.tensor([[size, 0.0, 0.0], [0.0, size, 0.0]]).to(images)
    grid = functional.affine_grid(
        maps.expand(len(images), 2, 3), list(images.shape), align_corners=False
    )
    return functional.grid_sample(images, grid, align_corners=False)


def embedded(encoder: nn.Module, images: Tensor, chunk: int = 1000) -> Tensor:
    """The vectors of images, `chunk` at a time, the encoder in eval mode."""
    encoder.eval()
    with torch.no_grad():
        return torch.cat([encoder(part) for part in torch.split(images, chunk)])
