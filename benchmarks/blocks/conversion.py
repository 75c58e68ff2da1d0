"""What a loaded block still lacks, once `export_module` has found it to do what the module does."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from benchmarks.blocks.kinds import Kind
from metaloom_registry.graph import ExportedGraph
from metaloom_registry.graph.examples import example_inputs, input_trees
from metaloom_registry.graph.precision import moved_to_dtypes
from metaloom_registry.types import parse_type

NEEDED = ("second_gradient", "vmap", "vmap_gradient", "train_mode", "functional_train")
"""What every kind must be able to do as a graph, also where the module itself cannot."""


def shortfall(
    kind: Kind, module: nn.Module, block: ExportedGraph, loaded: nn.Module, seed: int
) -> str:
    """Why a kind is not wholly converted; empty where it is.

    The graph must be differentiable twice and usable in every transform of `torch.func`, and
    compute the same as the module in each dtype that the module can be moved to.
    """
    capabilities: Any = block.facts["capabilities"]
    lacking = [name for name in NEEDED if not capabilities[name]]
    if lacking:
        return f"the graph lacks {', '.join(lacking)}"
    moved = moved_to_dtypes(module, loaded, batch_of(kind, 4, seed))
    return "; ".join(f"{name}: {m.difference}" for name, m in moved.items() if m.difference)


def batch_of(kind: Kind, batch: int, seed: int) -> tuple[Any, ...]:
    """Inputs of a kind at a batch size."""
    if kind.example is None:
        trees = input_trees(parse_type(kind.signature), "float32")
        return example_inputs(trees, {"B": batch}, seed)
    found: tuple[Any, ...] = pytree.tree_map_only(
        Tensor, lambda x: _as_many(x, batch), kind.example()
    )
    return found


def _as_many(x: Tensor, batch: int) -> Tensor:
    return x.repeat(-(-batch // x.shape[0]), *[1] * (x.dim() - 1))[:batch].contiguous()
