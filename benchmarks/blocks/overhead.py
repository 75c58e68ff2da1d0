"""What running a loaded block costs beside the module it came from.

Both compute the same batch in eval mode without gradients, in turns, on one thread; the figure is
the ratio of medians of processor time.  The batch is doubled until the module itself takes over a
millisecond, because a figure on microseconds says nothing.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from metaloom_metalearn import one_thread
from metaloom_registry.graph import GraphModule
from metaloom_registry.graph.examples import example_inputs, input_trees
from metaloom_registry.types import parse_type

ENOUGH = 0.0015
"""Seconds that the module itself should take."""

LARGEST = 4096


def forward_overhead(
    net: nn.Module,
    loaded: GraphModule,
    signature: str,
    example: tuple[Any, ...] | None,
    rounds: int,
) -> dict[str, float]:
    """The batch, milliseconds of the module itself, and how much longer the block takes."""
    net, loaded = net.eval(), loaded.eval()
    with one_thread(), torch.no_grad():
        batch, inputs = _large_enough(net, signature, example)
        times: tuple[list[float], list[float]] = ([], [])
        for turn in range(rounds + 2):
            for module, found in zip((loaded, net), times, strict=True):
                start = time.process_time()
                module(*inputs)
                if turn > 1:
                    found.append(time.process_time() - start)
    ours, theirs = map(statistics.median, times)
    return {
        "batch": batch,
        "eager_ms": round(1000 * theirs, 3),
        "ratio": round(ours / max(theirs, 1e-9), 3),
    }


def _large_enough(
    net: nn.Module, signature: str, example: tuple[Any, ...] | None
) -> tuple[int, tuple[Any, ...]]:
    batch = 1
    while True:
        inputs = _inputs(signature, example, batch)
        net(*inputs)
        start = time.process_time()
        net(*inputs)
        if time.process_time() - start > ENOUGH or batch >= LARGEST:
            return batch, inputs
        batch *= 2


def _inputs(signature: str, example: tuple[Any, ...] | None, batch: int) -> tuple[Any, ...]:
    if example is None:
        sizes: dict[str, int] = {"B": batch}
        return example_inputs(input_trees(parse_type(signature), "float32"), sizes, 0)

    def filled(x: Tensor) -> Tensor:
        return x.repeat(-(-batch // len(x)), *([1] * (x.dim() - 1)))[:batch]

    found: tuple[Any, ...] = pytree.tree_map_only(Tensor, filled, example)
    return found
