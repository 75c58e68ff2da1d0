"""Blocks written by every past opset load, and compute what they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load

from metaloom_registry.digest import Digest
from metaloom_registry.graph import load_graph, validate_graph
from metaloom_registry.graph.ops import OPSET

from . import numpy_reader

GOLDEN = Path(__file__).parent / "golden"
BLOCKS = sorted(path.parent for path in GOLDEN.glob("opset*/*/graph.json"))

DIGESTS = {
    "opset1/conv": "567c1efc1ada",
    "opset1/norms": "a35fa0f6746e",
    "opset1/pair": "e62daccec494",
    "opset2/bags": "7eca9c69e528",
    "opset2/recurrent": "6a4a3b550a12",
    "opset2/waves": "c26bd45df11e",
}


def same(ours: Any, expected: Any) -> bool:
    if isinstance(ours, np.ndarray | np.generic):
        ours = torch.as_tensor(ours)
    if isinstance(ours, torch.Tensor):
        wanted = torch.tensor(expected)
        return ours.shape == wanted.shape and torch.allclose(
            ours.double(), wanted.double(), atol=1e-5
        )
    if isinstance(ours, dict):
        return ours.keys() == expected.keys() and all(same(ours[k], expected[k]) for k in ours)
    return len(ours) == len(expected) and all(map(same, ours, expected))


@pytest.mark.parametrize("folder", BLOCKS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_golden_block_computes_what_it_did(folder):
    graph = (folder / "graph.json").read_bytes()
    weights = (folder / "weights.safetensors").read_bytes()
    expected = json.loads((folder / "expected.json").read_text())
    validate_graph(graph, weights)
    inputs = [torch.tensor(x) for x in expected["inputs"]]
    assert same(load_graph(graph, weights)(*inputs), expected["outputs"])
    assert load(weights).keys()


@pytest.mark.parametrize("folder", BLOCKS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_second_reader_written_from_the_specification_computes_the_same(folder):
    graph = (folder / "graph.json").read_bytes()
    weights = (folder / "weights.safetensors").read_bytes()
    expected = json.loads((folder / "expected.json").read_text())
    inputs = [np.array(x) for x in expected["inputs"]]
    assert same(numpy_reader.compute(graph, weights, inputs), expected["outputs"])


def test_golden_blocks_are_never_changed():
    found = {
        f"{path.parent.parent.name}/{path.parent.name}": Digest.of(path.read_bytes()).short
        for path in GOLDEN.glob("opset*/*/graph.json")
    }
    assert found == DIGESTS


def test_every_opset_has_golden_blocks():
    assert {path.parent.name for path in BLOCKS} == {f"opset{n}" for n in range(1, OPSET + 1)}
