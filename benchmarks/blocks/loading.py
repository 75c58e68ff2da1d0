"""How long a trained module takes to load, and how many bytes it is, in each format.

Times are milliseconds of processor time on one thread, medians of loads in turns, so that what else
the machine does weighs on all alike.  block: ours, from bytes in memory.  published: ours, from the
folder of a registry, digests and catalogue included.  pt2: `torch.export.load`.  pickle:
`torch.load` of the whole module, which runs whatever code is in it.  onnx: `onnx.load`, and an
onnxruntime session on it.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import nn

from benchmarks.blocks.kinds import VisionTransformer, conv4
from metaloom_metalearn import one_thread
from metaloom_registry import GRAPH_FILE, WEIGHTS_FILE, Manifest, Registry, parse_type
from metaloom_registry.catalogue import CatalogueLibrary
from metaloom_registry.graph import ExportedGraph, export_module, load_graph
from metaloom_registry.graph.reading import remembered
from metaloom_registry.primitives import PrimitiveTable


@dataclass(frozen=True, slots=True)
class Subject:
    """A module to be loaded: how to build it, its type, one batch of arguments."""

    name: str
    build: Callable[[], nn.Module]
    signature: str
    arguments: Callable[[], tuple[torch.Tensor, ...]]
    example: bool = False


def images(*shape: int) -> Callable[[], tuple[torch.Tensor, ...]]:
    return lambda: (torch.rand(3, *shape),)


class ResNet18(nn.Module):
    """ResNet-18 for small images at its whole width: 11.2 million parameters. He et al. 2016."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64)]
        self.stem = nn.Sequential(*layers, nn.ReLU())
        widths = (64, 64, 128, 256, 512)
        self.body = nn.Sequential(
            *(
                Pair(before if first else after, after, 2 if first and before != after else 1)
                for before, after in itertools.pairwise(widths)
                for first in (True, False)
            )
        )
        self.head = nn.Linear(512, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(self.stem(x)).mean((2, 3)))
        return logits


class Pair(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        one = nn.Conv2d(before, after, 1, stride, bias=False)
        alike = before == after and stride == 1
        self.shortcut = nn.Identity() if alike else nn.Sequential(one, nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.branch(x) + self.shortcut(x))


def mlp() -> nn.Module:
    """784-256-256-10, 269 thousand parameters."""
    layers = (nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    return nn.Sequential(*layers)


SUBJECTS = (
    Subject("conv4", conv4, "image[1,28,28] -> vec[64]", images(1, 28, 28)),
    Subject("mlp", mlp, "vec[784] -> logits[10]", images(784)),
    Subject("resnet18", ResNet18, "image[3,32,32] -> logits[10]", images(3, 32, 32)),
    Subject("vit", VisionTransformer, "image[3,16,16] -> logits[10]", images(3, 16, 16)),
)


def load_times(
    subject: Subject, rounds: int, formats: frozenset[str] | None = None
) -> dict[str, Any]:
    """Median milliseconds and bytes by format, and how often ours is faster than each."""
    torch.manual_seed(0)
    net = subject.build().eval()
    ours = export_module(net, subject.signature)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        loads, sizes = _forms(subject, net, ours, folder, stack, formats)
        times = _measured(loads, rounds)
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    return {
        "parameters": sum(p.numel() for p in net.parameters()),
        "load_ms": medians,
        "bytes": sizes,
        "times_faster": {
            name: round(value / medians["block"], 1)
            for name, value in medians.items()
            if name != "block"
        },
    }


def _forms(
    subject: Subject,
    net: nn.Module,
    ours: ExportedGraph,
    folder: Path,
    stack: contextlib.ExitStack,
    formats: frozenset[str] | None,
) -> tuple[Mapping[str, Callable[[], Any]], Mapping[str, int]]:
    """How to load each format, and its size."""
    loads: dict[str, Callable[[], Any]] = {
        "block": lambda: load_graph(ours.graph, ours.weights),
        "published": stack.enter_context(_published(subject, ours, folder)),
    }
    sizes = {"block": len(ours.graph) + len(ours.weights)}
    pt2 = _pt2(net, subject.arguments())
    loads["pt2"] = lambda: torch.export.load(io.BytesIO(pt2))
    pickled = io.BytesIO()
    torch.save(net, pickled)
    data = pickled.getvalue()
    loads["pickle"] = lambda: torch.load(io.BytesIO(data), weights_only=False)
    sizes |= {"pt2": len(pt2), "pickle": len(data)}
    if formats is None or "onnx" in formats:
        path = folder / "net.onnx"
        _write_onnx(net, subject.arguments(), path)
        loads["onnx"] = lambda: onnx.load(path)
        loads["onnx_session"] = lambda: _session(path)
        sizes["onnx"] = path.stat().st_size
    return loads, sizes


def _measured(loads: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of each load, one after the other in turns."""
    times: dict[str, list[float]] = {name: [] for name in loads}
    with one_thread():
        for turn in range(rounds + 1):
            for name, load in loads.items():
                remembered.cache_clear()  # a graph that was read before is not read again
                start = time.process_time()
                load()
                if turn:  # the first turn imports what loading needs
                    times[name].append(1000 * (time.process_time() - start))
    return times


@contextlib.contextmanager
def _published(subject: Subject, ours: ExportedGraph, folder: Path) -> Iterator[Callable[[], Any]]:
    """Loads the block from a registry on disk, nothing of it kept from the time before."""
    files = {GRAPH_FILE: ours.graph, WEIGHTS_FILE: ours.weights}
    manifest = Manifest.of("graph", parse_type(subject.signature), files, facts=ours.facts)
    registry = Registry.open(folder / "registry")
    try:
        registry.publish(f"bench/{subject.name}", manifest, files, exported=True)
        primitives = PrimitiveTable(())
        yield lambda: CatalogueLibrary(registry, primitives).load(manifest.digest)
    finally:
        registry.close()


def _pt2(net: nn.Module, arguments: tuple[torch.Tensor, ...]) -> bytes:
    batch = torch.export.Dim("B", min=1, max=1024)
    shapes = tuple({0: batch} for _ in arguments)
    program = torch.export.export(net, arguments, dynamic_shapes=shapes)
    file = io.BytesIO()
    torch.export.save(program, file)
    return file.getvalue()


def _write_onnx(net: nn.Module, arguments: tuple[torch.Tensor, ...], path: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            net, arguments, str(path), dynamo=True, external_data=False, verbose=False
        )


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
