"""Networks on images, made for any size of image: plain modules, nothing of our own in them."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


def conv4(
    size: int,
    channels: int = 64,
    inputs: int = 1,
    grid: int = 1,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Four 3x3 convolutions with batch norm and ReLU: image[inputs,size,size] -> vec[n].

    The encoder of Vinyals et al. 2016 and Snell et al. 2017: each convolution is followed by 2x2
    max-pooling, left out where it would make the map smaller than `grid` x `grid`.  n is
    `channels` times the square of the last map's side: 64 for 28x28 and for 8x8 images as it
    stands, and 16 `channels` for 8x8 with a grid of 4.  `generator` draws the weights, by default
    torch's own.
    """
    layers: list[tuple[str, nn.Module]] = []
    side = size
    with torch.device("meta"):
        for i in range(1, 5):
            width = inputs if i == 1 else channels
            layers.append((f"conv{i}", nn.Conv2d(width, channels, 3, 1, 1)))
            layers.append((f"norm{i}", nn.BatchNorm2d(channels)))
            layers.append((f"relu{i}", nn.ReLU()))
            if side // 2 >= grid:
                layers.append((f"pool{i}", nn.MaxPool2d(2)))
                side //= 2
        layers.append(("flatten", nn.Flatten()))
    return drawn(nn.Sequential(OrderedDict(layers)), generator)


def classifier(
    encoder: nn.Sequential, features: int, classes: int, generator: torch.Generator | None = None
) -> nn.Sequential:
    """An encoder to vec[features], and a linear layer on it: image -> logits[classes]."""
    with torch.device("meta"):
        linear = nn.Sequential(OrderedDict(linear=nn.Linear(features, classes)))
    layers = [*encoder.named_children(), *drawn(linear, generator).named_children()]
    return nn.Sequential(OrderedDict(layers))


def drawn(model: nn.Sequential, generator: torch.Generator | None) -> nn.Sequential:
    """The model with memory, on the CPU, and weights drawn (He et al. 2015), biases zero."""
    model = model.to_empty(device="cpu")
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
    return model
