"""Blocks that several tests of the graph format look at; exported once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_registry.graph import ExportedGraph, GraphModule, export_module, load_graph

SIGNATURE = "image[1,8,8] -> logits[5]"


def small_net() -> nn.Module:
    """Convolution, batch norm, dropout and a linear map, with names two levels deep."""
    torch.manual_seed(7)
    encoder = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)
    )
    head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 5))
    net = nn.Sequential()
    net.add_module("encoder", encoder)
    net.add_module("head", head)
    for _ in range(3):
        net(torch.rand(6, 1, 8, 8))
    return net


@pytest.fixture
def net() -> nn.Module:
    return small_net()


@pytest.fixture(scope="session")
def block() -> ExportedGraph:
    return export_module(small_net(), SIGNATURE)


@pytest.fixture
def loaded(block: ExportedGraph) -> GraphModule:
    return load_graph(block.graph, block.weights)
