"""What is done to the pixels of an image, without learning."""

from __future__ import annotations

from torch import Tensor


def flatten(image: Tensor) -> Tensor:
    """[rows, c, h, w] -> [rows, c * h * w], row by row of the image."""
    return image.flatten(1)


def invert(image: Tensor) -> Tensor:
    """Ink becomes paper and paper ink: 1 - image."""
    return 1 - image
