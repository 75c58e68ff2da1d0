"""What is measured of a graph when it is published, for the block's manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from metaloom_registry.canonical import Json
from metaloom_registry.graph.checking import inferred, sample_sizes
from metaloom_registry.graph.document import BATCH, Graph, Tree, every_node, leaves
from metaloom_registry.graph.examples import (
    DEFAULT_SIZE,
    InputKind,
    example_inputs,
    tensors_of,
    uniform,
)

FINGERPRINT_LENGTH = 128
PROBE = "metaloom-1"
PROBES = 16
PROBE_SEED = 2017
FOLDINGS_KEPT = 8
PROBED_KEPT = 1 << 18
"""Probe inputs of at most so many numbers are remembered with the graph."""


def measure(
    graph: Graph,
    weights: bytes,
    trees: tuple[Tree[InputKind], ...],
    capabilities: Mapping[str, bool],
    outputs: Sequence[Tensor | None],
) -> dict[str, Json]:
    """The facts of a graph; `outputs` are what it gives for the probe inputs.

    parameters: count of numbers that are parameters, each shared one once.
    weight_bytes: of the safetensors file.
    cost: {at: sizes of the open dimensions, flops, peak_bytes, activation_bytes} at batch 1.
    capabilities: as `compare` found them.
    dtypes: of the parameters.  ops: every op used, sorted.
    fingerprint: {probe: name of the probe inputs, inputs: what kind each is, values: as
      `fingerprint`}.
    exporter: {torch: version}.
    """
    sizes = sample_sizes(graph)[0]
    sizes = {name: 1 if name == BATCH else max(s, DEFAULT_SIZE) for name, s in sizes.items()}
    kinds = [kind for tree in trees for kind in leaves(tree)]
    return {
        **counts(graph, weights),
        "cost": cost_at(graph, sizes),
        "capabilities": dict(capabilities),
        "fingerprint": {
            "probe": PROBE,
            "inputs": [{"kind": kind.kind, "classes": kind.classes} for kind in kinds],
            "values": fingerprint(outputs),
        },
        "exporter": {"torch": torch.__version__},
    }


def counts(graph: Graph, weights: bytes) -> dict[str, Json]:
    """The facts that counting gives: parameters, weight_bytes, dtypes and ops."""
    parameters = [state for state in graph.state if state.kind == "parameter"]
    return {
        "parameters": sum(math.prod(state.shape) for state in parameters),
        "weight_bytes": len(weights),
        "dtypes": sorted({state.dtype for state in parameters}),
        "ops": sorted({node.op for node in every_node(graph.nodes)}),
    }


def cost_at(graph: Graph, sizes: Mapping[str, int]) -> dict[str, Json]:
    """The fact `cost`: what one forward pass takes at these sizes of the open dimensions."""
    cost = inferred(graph, sizes)[1]
    return {
        "at": dict(sizes),
        "flops": cost.flops,
        "peak_bytes": cost.peak_bytes,
        "activation_bytes": cost.activation_bytes,
    }


def probe_sizes(graph: Graph) -> dict[str, int]:
    """The sizes of the open dimensions at which a fingerprint is taken."""
    return {d.name: max(d.low, DEFAULT_SIZE) for d in graph.dimensions} | {BATCH: PROBES}


def probe_inputs(graph: Graph, trees: tuple[Tree[InputKind], ...]) -> tuple[Any, ...]:
    """16 inputs that depend on the input types only; not to be changed in place.

    Images are laid out with their channels last, where the kernels of a CPU are quickest.
    """

    def made() -> tuple[Any, ...]:
        inputs = example_inputs(trees, probe_sizes(graph), PROBE_SEED)
        images: tuple[Any, ...] = pytree.tree_map_only(Tensor, _channels_last, inputs)
        return images

    sizes = probe_sizes(graph)
    shapes = [[sizes[s] if isinstance(s, str) else s for s in leaf.shape] for leaf in graph.leaves]
    if sum(map(math.prod, shapes)) > PROBED_KEPT:
        return made()
    return graph.once(("probe inputs", repr(trees)), made)


def _channels_last(x: Tensor) -> Tensor:
    if x.dim() != 4:
        return x
    return torch.empty_like(x, memory_format=torch.channels_last).copy_(x)


def probed(
    module: nn.Module, graph: Graph, trees: tuple[Tree[InputKind], ...]
) -> list[Tensor | None]:
    """What a graph's module gives for the probe inputs in eval mode."""
    module.eval()
    with torch.no_grad():
        return tensors_of(module(*probe_inputs(graph, trees)))


def fingerprint(outputs: Sequence[Tensor | None]) -> list[float] | None:
    """128 numbers that say how a module behaves: equal behaviour, equal numbers.

    outputs: those for 16 probe inputs; per probe they are folded into 8 numbers with fixed signs,
      divided by the root of their count, and rounded to float16.
    None where an output is not finite.
    """
    rows = [_row(y) for y in outputs if y is not None]
    table = torch.cat(rows, 1) if rows else torch.zeros(PROBES, 0)
    width = FINGERPRINT_LENGTH // PROBES
    count = table.shape[1]
    folded = torch.zeros(PROBES, width, dtype=torch.float64)
    if count <= width:
        folded[:, :count] = table
    else:
        signs, places = _folding(count, width)
        folded.index_add_(1, places, table * signs)
        folded /= (count / width) ** 0.5
    rounded = folded.flatten().to(torch.float16)
    if not torch.isfinite(rounded).all():
        return None
    values: list[float] = rounded.tolist()
    return values


@lru_cache(FOLDINGS_KEPT)
def _folding(count: int, width: int) -> tuple[Tensor, Tensor]:
    """The sign and the place of each of so many numbers that are folded into a few."""
    signs = torch.where(uniform(count, PROBE_SEED + 1) < 0.5, -1.0, 1.0).to(torch.float64)
    return signs, (uniform(count, PROBE_SEED + 2) * width).to(torch.int64)


def _row(y: Tensor) -> Tensor:
    """One output as [probes, anything]; an output without batch axis counts for every probe."""
    if y.is_complex():
        y = torch.view_as_real(y.resolve_conj())
    if y.dim() == 0 or y.shape[0] != PROBES:
        y = y.reshape(1, -1).expand(PROBES, -1)
    return y.reshape(PROBES, -1).to(torch.float64)
