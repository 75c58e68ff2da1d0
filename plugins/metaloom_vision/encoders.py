"""Encoders: plain networks from an image to a vector, made for any size of image."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def conv4(size: int, channels: int = 64, inputs: int = 1, grid: int = 1) -> nn.Sequential:
    """Four 3x3 convolutions with batch norm and ReLU: image[inputs,size,size] -> vec[n].

    The encoder of Vinyals et al. 2016 and Snell et al. 2017: each convolution is followed by 2x2
    max-pooling, left out where it would make the map smaller than `grid` x `grid`.  n is
    `channels` times the square of the last map: 64 for 28x28 and for 8x8 images.
    """
    layers: list[tuple[str, nn.Module]] = []
    side = size
    for i in range(4):
        layers.append(
            (f"conv{i + 1}", nn.Conv2d(inputs if i == 0 else channels, channels, 3, 1, 1))
        )
        layers.append((f"norm{i + 1}", nn.BatchNorm2d(channels)))
        layers.append((f"relu{i + 1}", nn.ReLU()))
        if side // 2 >= grid:
            layers.append((f"pool{i + 1}", nn.MaxPool2d(2)))
            side //= 2
    layers.append(("flatten", nn.Flatten()))
    return nn.Sequential(OrderedDict(layers))
