"""Writes the golden blocks of the newest opset: `python -m tests.graph.golden.make`.

Golden blocks are never changed once an opset is released: they are what old blocks look like.  A
new opset gets a folder of its own.  Each holds graph.json, weights.safetensors, and expected.json:
inputs and outputs in eval mode, as nested lists.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from metaloom_registry.graph import export_module, load_graph
from metaloom_registry.graph.ops import OPSET

HERE = Path(__file__).parent


class Pair(nn.Module):
    """Takes two tensors, gives a dictionary; reads a size, shares a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.two.weight = self.one.weight

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Any]:
        y = torch.tanh(self.one(a)) + self.two(b)
        return {"parts": (y.view(y.shape[0], 3, -1), y.argmax(1)), "mean": y.mean(1)}


NETS: dict[str, tuple[nn.Module, str, list[tuple[int, ...]]]] = {
    "conv": (
        nn.Sequential(
            nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.2), nn.Linear(8, 3), nn.LogSoftmax(-1),
        ),
        "image[1,4,4] -> logits[3]",
        [(2, 1, 4, 4)],
    ),
    "norms": (
        nn.Sequential(
            nn.Conv1d(2, 4, 2), nn.GroupNorm(2, 4), nn.GELU(), nn.InstanceNorm1d(4, affine=True),
            nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 2), nn.SiLU(),
        ),
        "table[2,6] -> vec[2]",
        [(2, 2, 6)],
    ),
    "pair": (Pair(), "vec[3] -> vec[3] -> vec[3]", [(2, 3), (2, 3)]),
}  # fmt: skip


def main() -> None:
    """Write the folder of this opset, which must not exist yet."""
    torch.manual_seed(0)
    for name, (net, signature, shapes) in NETS.items():
        folder = HERE / f"opset{OPSET}" / name
        folder.mkdir(parents=True)
        inputs = [torch.rand(shape).mul(8).round() / 8 for shape in shapes]
        block = export_module(net, signature)
        loaded = load_graph(block.graph, block.weights)
        (folder / "graph.json").write_bytes(block.graph)
        (folder / "weights.safetensors").write_bytes(block.weights)
        expected = {"inputs": [x.tolist() for x in inputs], "outputs": plain(loaded(*inputs))}
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def plain(tree: Any) -> Any:
    """Tensors as nested lists, tuples as lists."""
    if isinstance(tree, Tensor):
        return tree.tolist()
    if isinstance(tree, dict):
        return {key: plain(item) for key, item in tree.items()}
    return [plain(item) for item in tree]


if __name__ == "__main__":
    main()
