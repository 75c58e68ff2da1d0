"""A chain of operations made into layers for inputs of one shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from torch import Tensor

from metaloom_metalearn.learners.batched.activation import FUNCTIONS, Activation
from metaloom_metalearn.learners.batched.batch_norm import BatchNorm, Running
from metaloom_metalearn.learners.batched.chain import Chain
from metaloom_metalearn.learners.batched.convolution import Convolution
from metaloom_metalearn.learners.batched.kernels import Kernels, Window
from metaloom_metalearn.learners.batched.layer import Layer
from metaloom_metalearn.learners.batched.layer_norm import LayerNorm
from metaloom_metalearn.learners.batched.linear import Linear
from metaloom_metalearn.learners.batched.pooling import Flatten, ImageMean, MaxPool
from metaloom_metalearn.learners.batched.reading import Link

Shape = tuple[int, ...]
"""Of one item: (channels, height, width) or (features,)."""


def lowered(
    links: Sequence[Link], item: Shape, parameters: Mapping[str, Tensor], kernels: Kernels
) -> Chain | None:
    """The layers; None where an operation, or one of these shapes, has none."""
    draft = _Draft(item, parameters, kernels)
    if len(item) not in (1, 3) or not all(map(draft.add, links)) or len(draft.shape) != 1:
        return None
    return Chain(tuple(draft.layers), draft.size)


class _Draft:
    """Layers so far, and the shape of an item after them."""

    def __init__(self, item: Shape, parameters: Mapping[str, Tensor], kernels: Kernels) -> None:
        self.shape, self.parameters, self.kernels = item, parameters, kernels
        self.layers: list[Layer] = []
        self.image: tuple[int, int, int] | None = None
        self.size = 0

    def add(self, link: Link) -> bool:
        """Whether there is a layer for it."""
        if link.op == "identity" or (link.op == "view" and link.arguments["sizes"] == self.shape):
            return True
        if link.op in FUNCTIONS:
            return link.arguments.get("approximate", "none") == "none" and self._activation(link.op)
        method = getattr(self, f"_{link.op}", None)
        added = method is not None and bool(method(link))
        self.size += prod(self.shape)
        return added

    def _activation(self, op: str) -> bool:
        last = self.layers[-1] if self.layers else None
        if op == "relu" and isinstance(last, BatchNorm) and not last.rectify:
            self.layers[-1] = replace(last, rectify=True)
        else:
            self.layers.append(Activation(FUNCTIONS[op]))
        return True

    def _conv2d(self, link: Link) -> bool:
        weight = self.parameters[link.names[0]]
        arguments = link.arguments
        plain = arguments["groups"] == 1 and tuple(arguments["dilation"]) == (1, 1)
        if len(self.shape) != 3 or not plain or weight.shape[1] != self.shape[0]:
            return False
        kernel = weight.shape[2], weight.shape[3]
        window = Window(kernel, _pair(arguments["stride"]), _pair(arguments["padding"]))
        size = window.size(*self.shape[1:])
        if min(size) < 1:
            return False
        self.layers.append(Convolution(link.names, window, self.kernels))
        self.size += prod(size) * prod(weight.shape[1:])
        self.shape = weight.shape[0], *size
        return True

    def _linear(self, link: Link) -> bool:
        weight = self.parameters[link.names[0]]
        if len(self.shape) != 1 or weight.shape[1] != self.shape[0]:
            return False
        self.layers.append(Linear(link.names, self.image))
        self.shape, self.image = (weight.shape[0],), None
        return True

    def _batch_norm(self, link: Link) -> bool:
        if len(link.names) not in (0, 2) or self.image is not None:
            return False
        if link.names and self.parameters[link.names[0]].shape != self.shape[:1]:
            return False
        running = None
        if link.buffers:
            mean, variance, count = link.buffers
            running = Running(mean, variance, count, link.arguments["momentum"])
        last = self.layers[-1] if self.layers else None
        if isinstance(last, Convolution):
            self.layers[-1] = replace(last, centred=True)
        shared = not isinstance(last, Convolution | Linear)
        eps = link.arguments["eps"]
        self.layers.append(BatchNorm(link.names, eps, self.kernels, running=running, shared=shared))
        return True

    def _layer_norm(self, link: Link) -> bool:
        shape, eps = tuple(link.arguments["shape"]), link.arguments["eps"]
        if len(link.names) not in (0, 2) or shape != self.shape or len(shape) != 1 or self.image:
            return False
        self.layers.append(LayerNorm(link.names, eps))
        return True

    def _max_pool2d(self, link: Link) -> bool:
        given = link.arguments
        kernel = _pair(given["kernel_size"])
        plain = (
            kernel == _pair(given["stride"] or kernel)
            and _pair(given["padding"]) == (0, 0)
            and _pair(given["dilation"]) == (1, 1)
            and not given["ceil_mode"]
            and kernel[0] * kernel[1] < 256
        )
        if len(self.shape) != 3 or not plain:
            return False
        window = Window(kernel, kernel)
        size = window.size(*self.shape[1:])
        if min(size) < 1:
            return False
        self.layers.append(MaxPool(window, self.kernels))
        self.shape = self.shape[0], *size
        return True

    def _image_mean(self, link: Link) -> bool:
        if len(self.shape) != 3:
            return False
        self.layers.append(ImageMean())
        self.shape = self.shape[:1]
        return True

    def _flatten(self, link: Link) -> bool:
        if len(self.shape) == 3:
            channels, height, width = self.shape
            self.layers.append(Flatten())
            self.shape = (channels * height * width,)
            self.image = (height, width, channels) if height * width > 1 else None
        return True

    def _view(self, link: Link) -> bool:
        """A view of other sizes than the value has: flattening, or nothing that is known."""
        sizes = link.arguments["sizes"]
        return sizes in ((-1,), (prod(self.shape),)) and self._flatten(link)


def _pair(value: Sequence[int]) -> tuple[int, int]:
    return value[0], value[1]
