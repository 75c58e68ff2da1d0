"""Images changed at random by small affine maps, each by its own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def affine(
    turn: float = 0.1, lean: float = 0.1, stretch: float = 0.1, shift: float = 0.05
) -> Callable[[Tensor, torch.Generator], Tensor]:
    """A function that bends images [n, c, h, w]; the settings are standard deviations.

    turn: of the angle in radians; lean: of the shear; stretch: of the logarithm of each side's
    scale; shift: of the shift as a share of half the side.  What comes in from outside is 0.
    """

    def change(images: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(6, len(images), generator=generator).to(images)
        angle, shear = turn * noise[0], lean * noise[1]
        wide, tall = (stretch * noise[2]).exp(), (stretch * noise[3]).exp()
        cos, sin = angle.cos(), angle.sin()
        across = torch.stack([wide * cos, wide * (shear * cos - sin), shift * noise[4]], 1)
        down = torch.stack([tall * sin, tall * (shear * sin + cos), shift * noise[5]], 1)
        grid = functional.affine_grid(
            torch.stack([across, down], 1), list(images.shape), align_corners=False
        )
        return functional.grid_sample(images, grid, align_corners=False)

    return change
