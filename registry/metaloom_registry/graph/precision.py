"""The dtypes a graph can be moved to: where module and graph, both moved, compute the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from metaloom_registry.graph.agreement import Result, attempt, disagreement
from metaloom_registry.graph.copying import copied
from metaloom_registry.graph.derivatives import first_gradients

DTYPES = ("float16", "bfloat16", "float32", "float64")

_LOOSENESS = {"float16": 0.1, "bfloat16": 0.1, "float32": 3.0, "float64": 3.0}


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of module and graph in one dtype.

    able: whether the module itself computes in it.  difference: in which way the graph then
    differs; empty where it does not.
    """

    able: bool
    difference: str = ""

    @property
    def held(self) -> bool:
        return self.able and not self.difference


def moved_to_dtypes(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...]
) -> Mapping[str, Moved]:
    """float16, bfloat16, float32, float64, and int32 in place of int64 where inputs are int64.

    Compared are the outputs in eval mode and the first gradients in training.
    """
    found = {name: _moved(original, loaded, inputs, name) for name in DTYPES}
    if any(x.dtype == torch.int64 for x in pytree.tree_leaves(inputs) if isinstance(x, Tensor)):
        narrow = pytree.tree_map_only(
            Tensor, lambda x: x.int() if x.dtype == torch.int64 else x, inputs
        )
        found["int32"] = _compared(original, loaded, narrow, 1.0)
    return found


def _moved(original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...], name: str) -> Moved:
    dtype = getattr(torch, name)
    theirs, ours = (_floats_to(copied(module), dtype) for module in (original, loaded))
    given = pytree.tree_map_only(
        Tensor, lambda x: x.to(dtype) if x.is_floating_point() else x, inputs
    )
    return _compared(theirs, ours, given, _LOOSENESS[name])


def _floats_to(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """The module with its floats in a dtype; unlike `Module.to`, complex numbers stay so."""
    module._apply(lambda x: x.to(dtype) if x.is_floating_point() else x)  # type: ignore[no-untyped-call]
    return module


def _compared(
    original: nn.Module, loaded: nn.Module, inputs: tuple[Any, ...], looseness: float
) -> Moved:
    theirs, ours = (_forward(module, inputs) for module in (original, loaded))
    if isinstance(theirs, Exception):
        return Moved(able=False)
    difference = disagreement(ours, theirs, looseness)
    if not difference:
        slopes = [_slopes(module, inputs) for module in (original, loaded)]
        if not isinstance(slopes[0], Exception):
            difference = disagreement(slopes[1], slopes[0], 10 * looseness)
    return Moved(able=True, difference=difference)


def _forward(module: nn.Module, inputs: tuple[Any, ...]) -> Result:
    module = copied(module).eval()
    with torch.no_grad():
        return attempt(lambda: module(*inputs))


def _slopes(module: nn.Module, inputs: tuple[Any, ...]) -> Result:
    module = copied(module).train()
    return attempt(lambda: first_gradients(module, inputs))
