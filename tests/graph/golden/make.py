"""Writes the golden blocks of the newest opset: `python tests/graph/golden/make.py`.

Golden blocks are never changed once an opset is released: they are what old blocks look like.  A
new opset gets a folder of its own, of what it brought.  Each holds graph.json,
weights.safetensors, and expected.json: inputs and outputs in eval mode, as nested lists.
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


class Waves(nn.Module):
    """A product in frequency with a complex parameter, and a size that follows the dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 3, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        waves = torch.fft.rfft(x)[..., :3] * self.weight
        y = torch.fft.irfft(waves, n=6)
        return y + x.new_ones(x.shape[0], 1, 1)


class Bags(nn.Module):
    """Distances of bags to rows of the table they are drawn from."""

    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.EmbeddingBag(5, 3, mode="mean", padding_idx=0)

    def forward(self, tokens: Tensor) -> Tensor:
        return torch.cdist(self.bags(tokens), self.bags.weight)


NETS: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
    "recurrent": (nn.LSTM(3, 2, batch_first=True, bidirectional=True), (torch.rand(2, 4, 3),)),
    "waves": (Waves(), (torch.rand(2, 2, 6),)),
    "bags": (Bags(), (torch.tensor([[1, 2, 0], [4, 4, 3]]),)),
}


def main() -> None:
    """Write the folder of this opset, which must not exist yet."""
    torch.manual_seed(0)
    for name, (net, given) in NETS.items():
        folder = HERE / f"opset{OPSET}" / name
        folder.mkdir(parents=True)
        inputs = [x.mul(8).round() / 8 if x.is_floating_point() else x for x in given]
        block = export_module(net, "vec[1] -> vec[1]", example=tuple(inputs))
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
