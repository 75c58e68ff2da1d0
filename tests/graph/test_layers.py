"""LSTM layers are found again in their loops, and torch computes them whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from metaloom_registry.graph import GraphModule, export_module, load_graph
from metaloom_registry.graph.layers import Lstm


class Whole(nn.Module):
    """All that an LSTM gives for sequences alone."""

    def __init__(self, **settings) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True, **settings)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, (h, c) = self.lstm(x)
        return torch.cat(
            [y.flatten(1), h.transpose(0, 1).flatten(1), c.transpose(0, 1).flatten(1)], 1
        )


SETTINGS = [
    {},
    {"bias": False},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True},
]


def exported(**settings) -> tuple[nn.Module, GraphModule]:
    torch.manual_seed(0)
    module = Whole(**settings).eval()
    width = 4 * (2 if settings.get("bidirectional") else 1)
    size = 5 * width + 2 * width * settings.get("num_layers", 1)
    block = export_module(module, f"table[5,3] -> vec[{size}]")
    return module, load_graph(block.graph, block.weights)


def layers(module: GraphModule) -> int:
    steps = module._prepare(training=False).steps
    return sum(isinstance(step[0], Lstm) for step in steps)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_layer_is_computed_whole_without_gradients_and_by_its_loop_with_them(settings):
    module, loaded = exported(**settings)
    ways = 2 if settings.get("bidirectional") else 1
    assert layers(loaded) == ways * settings.get("num_layers", 1)
    for batch in (1, 6):
        x = torch.randn(batch, 5, 3)
        with torch.no_grad():
            assert torch.allclose(loaded(x), module(x), atol=1e-6)
        assert torch.allclose(loaded(x), module(x), atol=1e-6)
        ours = torch.autograd.grad(loaded(x).square().sum(), list(loaded.parameters()))
        theirs = torch.autograd.grad(module(x).square().sum(), list(module.parameters()))
        assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(ours, theirs, strict=True))


def test_no_examples_at_all_never_reach_the_kernel():
    _, loaded = exported()
    with torch.no_grad():
        assert loaded(torch.zeros(0, 5, 3)).shape == (0, 28)


def test_vmap_over_parameters_runs_the_loop():
    module, loaded = exported()
    x = torch.randn(2, 5, 3)
    stacked = {name: torch.stack([p, 2 * p]) for name, p in loaded.named_parameters()}
    with torch.no_grad():
        found = torch.vmap(lambda p: torch.func.functional_call(loaded, p, (x,)))(stacked)
        assert torch.allclose(found[0], module(x), atol=1e-6)


def test_a_loop_that_is_no_lstm_stays_a_loop():
    _, loaded = exported()
    graph = loaded.graph.value
    changed = []
    for node in graph.nodes:
        if node.op == "scan/1":
            body = node.arguments["body"]
            nodes = tuple(replace(n, op="sigmoid/1") if n.op == "tanh/1" else n for n in body.nodes)
            node = replace(node, arguments={**node.arguments, "body": replace(body, nodes=nodes)})
        changed.append(node)
    other = GraphModule(replace(graph, nodes=tuple(changed)), loaded.tensors()).eval()
    assert layers(other) == 0
    with torch.no_grad():
        assert not torch.allclose(other(torch.ones(1, 5, 3)), loaded(torch.ones(1, 5, 3)))
