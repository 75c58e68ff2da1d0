"""Kinds of module: a sample of those that convert, and what eager itself lacks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from benchmarks.blocks.conversion import NEEDED, shortfall
from benchmarks.blocks.kinds import KINDS

from metaloom_registry.graph import export_module, load_graph

BY_NAME = {kind.name: kind for kind in KINDS}
SAMPLE = (
    "linear", "conv1d", "conv2d", "conv_transpose2d", "depthwise_conv", "grouped_conv",
    "batch_norm", "group_norm", "layer_norm", "instance_norm", "rms_norm", "pooling", "activations",
    "softmax", "dropout", "residual_block", "squeeze_excite", "convnext_block", "film", "unet",
    "trees", "lora", "cosine_head", "upsample", "einsum", "multihead_attention", "gpt",
    "embedding_bag", "cdist_head", "spectral_conv", "gru", "lstm",
)  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_a_kind_does_everything_after_loading(name):
    torch.manual_seed(0)
    kind = BY_NAME[name]
    module = kind.build()
    example = None if kind.example is None else kind.example()
    block = export_module(module, kind.signature, example=example)
    capabilities: Any = block.facts["capabilities"]
    assert all(capabilities[ability] for ability in NEEDED)
    assert capabilities["batch_independent"]
    assert capabilities["deterministic"]
    assert shortfall(kind, module, block, load_graph(block.graph, block.weights), 0) == ""


def test_kinds_have_names_of_their_own():
    assert len(BY_NAME) == len(KINDS)
