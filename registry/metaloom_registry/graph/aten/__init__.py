"""How the operations torch.export gives are said in ours, for each minor version of torch."""

from __future__ import annotations

from collections.abc import Mapping

from metaloom_registry.graph.aten.blocks import BLOCKS
from metaloom_registry.graph.aten.elementwise import ELEMENTWISE
from metaloom_registry.graph.aten.layers import LAYERS, Translation
from metaloom_registry.graph.aten.recurrence import RECURRENCE
from metaloom_registry.graph.aten.shapes import SHAPES, integer_call
from metaloom_registry.graph.aten.spectral import SPECTRAL

_SINCE_2_11: dict[str, Translation] = {
    **LAYERS,
    **BLOCKS,
    **RECURRENCE,
    **ELEMENTWISE,
    **SHAPES,
    **SPECTRAL,
}

_BY_MINOR: dict[tuple[int, int], dict[str, Translation]] = {
    (2, 11): _SINCE_2_11,
    (2, 12): _SINCE_2_11,
    (2, 13): _SINCE_2_11,
}
"""A minor version that is not named uses the newest table before it."""


def translations(torch_version: str) -> Mapping[str, Translation]:
    """ATen overload -> its translation, for a version such as `2.13.0+cpu`."""
    major, minor = (int(part) for part in torch_version.split(".")[:2])
    known = [key for key in _BY_MINOR if key <= (major, minor)]
    return _BY_MINOR[max(known, default=min(_BY_MINOR))]


__all__ = ["Translation", "integer_call", "translations"]
