"""The block format beside torch's own: load times in one run, and the kinds it can hold.

load_ms, pt2_load_ms: the median processor time to load a Conv4 of 112 thousand parameters from
bytes in memory, ours and `torch.export.load`, in turns.  load_ratio: theirs over ours.
published_load_ms: ours from the folder of a registry.  table: load times and sizes of more modules
beside `.pt2`, pickle and ONNX (see benchmarks.blocks.loading).

kinds_total, kinds_converted: of `benchmarks.blocks.kinds`; a kind is converted where the
differential test of `export_module` passes, the loaded block agrees in every dtype the module can
be moved to, and every transform of `torch.func` takes it (see benchmarks.blocks.conversion).
refused: kind -> reason.
capabilities: kind -> what the block can do.  overhead: kind -> the interpreter's forward over the
module's own, where that takes over a millisecond (see benchmarks.blocks.overhead);
overhead_over_a_millisecond: the largest of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.blocks.conversion import shortfall
from benchmarks.blocks.kinds import KINDS, Kind
from benchmarks.blocks.loading import SUBJECTS, load_times
from benchmarks.blocks.overhead import forward_overhead
from benchmarks.contract import Metrics, Options, progress, run
from metaloom_registry.errors import Refused
from metaloom_registry.graph import ExportedGraph, GraphModule, export_module, load_graph

QUICK_KINDS = 8
FEWER = 8
"""Rounds of loading the modules that only the table shows."""

MILLISECOND = 1.0


@dataclass(frozen=True, slots=True)
class Tried:
    """A kind that was exported: its module, and its block, or why there is none."""

    module: nn.Module
    example: tuple[Any, ...] | None
    block: ExportedGraph | None = None
    loaded: GraphModule | None = None
    reason: str = ""


def measure(options: Options) -> Metrics:
    torch.manual_seed(options.seed)
    kinds = KINDS[:QUICK_KINDS] if options.quick else KINDS
    rounds = 5 if options.quick else 30
    table = {}
    for subject in SUBJECTS[:1] if options.quick else SUBJECTS:
        progress(f"loading {subject.name}")
        formats = frozenset[str]() if options.quick else None
        table[subject.name] = load_times(
            subject, rounds if subject is SUBJECTS[0] else FEWER, formats
        )
    refused, capabilities, overhead = {}, {}, {}
    for kind in kinds:
        progress(f"converting {kind.name}")
        tried = converted(kind, options.seed)
        if tried.block is None or tried.loaded is None or tried.reason:
            refused[kind.name] = tried.reason
            continue
        capabilities[kind.name] = tried.block.facts["capabilities"]
        overhead[kind.name] = forward_overhead(
            tried.module, tried.loaded, kind.signature, tried.example, 3 if options.quick else 15
        )
    slow = [one["ratio"] for one in overhead.values() if one["eager_ms"] > MILLISECOND]
    conv4 = table["conv4"]["load_ms"]
    return {
        "load_ms": conv4["block"],
        "pt2_load_ms": conv4["pt2"],
        "load_ratio": round(conv4["pt2"] / conv4["block"], 2),
        "published_load_ms": conv4["published"],
        "kinds_total": len(kinds),
        "kinds_converted": len(kinds) - len(refused),
        "overhead_over_a_millisecond": max(slow, default=None),
        "refused": refused,
        "table": table,
        "overhead": overhead,
        "capabilities": capabilities,
    }


def why_not(kind: Kind, seed: int) -> str:
    """Why a kind does not convert; empty where it does."""
    return converted(kind, seed).reason


def converted(kind: Kind, seed: int) -> Tried:
    """A kind exported, loaded and compared with its module; see `benchmarks.blocks.conversion`."""
    torch.manual_seed(seed)
    module = kind.build()
    example = None if kind.example is None else kind.example()
    try:
        block = export_module(module, kind.signature, example=example, seed=seed)
    except Refused as error:
        return Tried(module, example, reason=str(error))
    loaded = load_graph(block.graph, block.weights)
    return Tried(module, example, block, loaded, shortfall(kind, module, block, loaded, seed))


if __name__ == "__main__":
    run("module_format", measure)
