"""Kinds of module: a sample of those that convert, and those that are refused by name."""

from __future__ import annotations

import pytest
import torch
from benchmarks.kinds import KINDS

from metaloom_registry.errors import Refused
from metaloom_registry.graph import export_module

BY_NAME = {kind.name: kind for kind in KINDS}
CONVERTED = (
    "linear", "conv1d", "conv2d", "conv_transpose2d", "depthwise_conv", "grouped_conv",
    "batch_norm", "group_norm", "layer_norm", "instance_norm", "rms_norm", "pooling", "activations",
    "softmax", "dropout", "residual_block", "conv4", "squeeze_excite", "convnext_block", "film",
    "unet", "trees", "lora", "cosine_head", "upsample", "einsum", "multihead_attention", "gpt",
)  # fmt: skip


def exported(name: str):
    torch.manual_seed(0)
    kind = BY_NAME[name]
    example = None if kind.example is None else kind.example()
    return export_module(kind.build(), kind.signature, example=example)


@pytest.mark.parametrize("name", CONVERTED)
def test_a_kind_does_everything_after_loading(name):
    facts = exported(name).facts
    assert all(facts["capabilities"].values())


@pytest.mark.parametrize(("name", "op"), [("gru", "aten.gru"), ("spectral_conv", "aten.fft_rfft")])
def test_a_kind_that_is_not_in_the_table_is_refused_by_its_operation(name, op):
    with pytest.raises(Refused, match=op):
        exported(name)


def test_kinds_have_names_of_their_own():
    assert len(BY_NAME) == len(KINDS)
