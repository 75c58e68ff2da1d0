"""Vectors joined number by number: the templates `sum` and `gate` of Alet et al. 2018, section 3.

All take and give float [rows, n]; `share` is float [rows].
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def add(x: Tensor, y: Tensor) -> Tensor:
    """x + y."""
    return x + y


def mix(share: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """share x + (1 - share) y."""
    return y.lerp(x, share.to(x)[:, None])


def gate(switch: Tensor, on: Tensor, off: Tensor) -> Tensor:
    """s `on` + (1 - s) `off`, where s is the logistic function of the switch."""
    return off.lerp(on, switch.sigmoid())
