"""The small loops of the layers: windows of images, batch norm and maxima, in torch or compiled.

Two modules compute the same: `torch_kernels` anywhere, `numba_kernels` on the CPU where numba (the
extra `fast`) is installed.  All write into tensors that they are given.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol, cast

from torch import Tensor

from metaloom_registry import MissingExtra


@dataclass(frozen=True)
class Window:
    """What a convolution or a pool looks at: sizes along height and width."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """How many windows there are, down and across."""
        down, across = (
            (size + 2 * p - k) // s + 1
            for size, k, s, p in zip(
                (height, width), self.kernel, self.stride, self.padding, strict=True
            )
        )
        return down, across


class Kernels(Protocol):
    """Images x [tasks, n, h, w, c]; rows [tasks, m, c]; statistics and parameters [tasks, c]."""

    def windows(self, x: Tensor, window: Window, out: Tensor) -> None:
        """The windows of x as rows, zeros beyond the border: out [tasks, n oh ow, kh kw c]."""
        ...

    def gather(self, rows: Tensor, window: Window, out: Tensor) -> None:
        """The transpose of `windows`: each row is added where it came from; out is as x."""
        ...

    def norm(
        self,
        z: Tensor,
        scale: Tensor,
        shift: Tensor,
        eps: float,
        rectify: bool,
        mean: Tensor,
        variance: Tensor,
        inverse: Tensor,
        y: Tensor,
    ) -> None:
        """Batch norm over the rows, and max(., 0) where `rectify`; z becomes the normalised z.

        Writes the mean, the biased variance, 1 / sqrt(variance + eps), and y.
        """
        ...

    def norm_backward(
        self,
        dy: Tensor,
        y: Tensor | None,
        normal: Tensor,
        inverse: Tensor,
        scale: Tensor,
        dz: Tensor,
        dscale: Tensor,
        dshift: Tensor,
    ) -> None:
        """The gradients of `norm`; y where it rectified: then dy is set to zero where y is."""
        ...

    def norm_tangent(
        self,
        rz: Tensor,
        y: Tensor | None,
        normal: Tensor,
        inverse: Tensor,
        scale: Tensor,
        vscale: Tensor,
        vshift: Tensor,
        rinverse: Tensor,
        ry: Tensor,
    ) -> None:
        """How `norm` changes with z (by rz), scale and shift; rz becomes the change of normal."""
        ...

    def norm_tangent_backward(
        self,
        dy: Tensor,
        rdy: Tensor,
        y: Tensor | None,
        normal: Tensor,
        rnormal: Tensor,
        inverse: Tensor,
        rinverse: Tensor,
        scale: Tensor,
        vscale: Tensor,
        rdscale: Tensor,
        rdshift: Tensor,
    ) -> None:
        """How the gradients of `norm` change; dy is as `norm_backward` left it.

        rdy, how the gradient in y changes, becomes how that in z does.
        """
        ...

    def maximum(self, x: Tensor, window: Window, y: Tensor, place: Tensor) -> None:
        """The first maximum of each window (disjoint, no border), and its place in it, uint8."""
        ...

    def choose(self, x: Tensor, window: Window, place: Tensor, out: Tensor) -> None:
        """Of each window what stands at a place."""
        ...

    def scatter(self, dy: Tensor, window: Window, place: Tensor, out: Tensor) -> None:
        """The transpose of `choose`."""
        ...


def kernels_for(*, compiled: bool) -> Kernels:
    """The kernels in torch, or compiled by numba. Raises MissingExtra where that is missing."""
    if compiled and find_spec("numba") is None:
        raise MissingExtra("compiled loops need numba; `pip install 'metaloom[fast]'` brings it")
    name = "numba_kernels" if compiled else "torch_kernels"
    return cast(Kernels, import_module(f"metaloom_metalearn.learners.batched.{name}"))
