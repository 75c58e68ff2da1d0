"""The block format beside torch's own: load times in one run, and the kinds it can hold.

load_ms, pt2_load_ms: the median time to load a Conv4 of 112 thousand parameters from bytes in
memory, ours and `torch.export.load`, one after the other in turns.  load_ratio: theirs over ours.
kinds_total, kinds_converted: of `benchmarks.kinds`; a kind is converted where the differential
test of `export_module` passes, the loaded block agrees in float64, and its forward compiles no code
of ours.  refused: kind -> reason.
"""

from __future__ import annotations

import copy
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from benchmarks.contract import Metrics, Options, run
from benchmarks.kinds import KINDS, Kind, conv4
from metaloom_registry.errors import Refused
from metaloom_registry.graph import ExportedGraph, export_module, load_graph


def measure(options: Options) -> Metrics:
    torch.manual_seed(options.seed)
    kinds = KINDS[:8] if options.quick else KINDS
    refused = {kind.name: reason for kind in kinds if (reason := why_not(kind, options.seed))}
    return {
        **load_times(rounds=3 if options.quick else 20),
        "kinds_total": len(kinds),
        "kinds_converted": len(kinds) - len(refused),
        "refused": refused,
    }


def load_times(rounds: int, channels: int = 64) -> dict[str, Any]:
    """Median milliseconds to load a Conv4: ours, torch.export's, pickle's; and their sizes.

    64 channels make 112 thousand parameters.
    """
    net = conv4(channels).eval()
    ours = export_module(net, f"image[1,28,28] -> vec[{channels}]")
    pt2, pickled = _pt2(net), io.BytesIO()
    torch.save(net, pickled)
    loads: dict[str, Callable[[], Any]] = {
        "load_ms": lambda: load_graph(ours.graph, ours.weights),
        "pt2_load_ms": lambda: torch.export.load(io.BytesIO(pt2)),
        "pickle_load_ms": lambda: torch.load(io.BytesIO(pickled.getvalue()), weights_only=False),
    }
    times: dict[str, list[float]] = {name: [] for name in loads}
    for turn in range(rounds + 1):
        for name, load in loads.items():
            start = time.perf_counter()
            load()
            if turn:  # the first turn imports what loading needs
                times[name].append(1000 * (time.perf_counter() - start))
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return {
        **medians,
        "load_ratio": round(medians["pt2_load_ms"] / medians["load_ms"], 2),
        "bytes": {
            "block": len(ours.graph) + len(ours.weights),
            "pt2": len(pt2),
            "pickle": len(pickled.getvalue()),
        },
        "overhead": forward_overhead(net, ours, rounds=10 * rounds),
    }


def forward_overhead(net: nn.Module, ours: ExportedGraph, rounds: int) -> float:
    """Median time of the interpreter's forward over eager's, on one batch of 25 images."""
    loaded = load_graph(ours.graph, ours.weights)
    x = torch.rand(25, 1, 28, 28)
    times: tuple[list[float], list[float]] = ([], [])
    with torch.no_grad():
        for _ in range(rounds):
            for module, found in zip((loaded, net), times, strict=True):
                start = time.perf_counter()
                module(x)
                found.append(time.perf_counter() - start)
    return round(statistics.median(times[0]) / statistics.median(times[1]), 3)


def _pt2(net: nn.Module) -> bytes:
    batch = torch.export.Dim("B", min=1, max=1024)
    program = torch.export.export(net, (torch.rand(3, 1, 28, 28),), dynamic_shapes=({0: batch},))
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def why_not(kind: Kind, seed: int) -> str:
    """Why a kind does not convert; empty where it does."""
    torch.manual_seed(seed)
    module = kind.build()
    example = None if kind.example is None else kind.example()
    try:
        block = export_module(module, kind.signature, example=example, seed=seed)
    except Refused as error:
        return str(error)
    loaded = load_graph(block.graph, block.weights)
    return "" if example is None or _agrees_in_double(module, loaded, example) else "float64"


def _agrees_in_double(module: nn.Module, loaded: nn.Module, example: tuple[Any, ...]) -> bool:
    def double(x: torch.Tensor) -> torch.Tensor:
        return x.double() if x.is_floating_point() else x

    inputs = pytree.tree_map_only(torch.Tensor, double, example)
    one = copy.deepcopy(module).double().eval()(*inputs)
    other = loaded.double().eval()(*inputs)
    leaves = zip(_flat(one), _flat(other), strict=True)
    return all(torch.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in leaves)


def _flat(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in _flat(tree[key])]
    if isinstance(tree, tuple | list):
        return [leaf for item in tree for leaf in _flat(item)]
    return [tree]


if __name__ == "__main__":
    run("module_format", measure)
