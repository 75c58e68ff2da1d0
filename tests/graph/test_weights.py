"""Tensors as a safetensors file."""

import torch
from safetensors.torch import load

from metaloom_registry.graph.weights import write_weights


def test_tensors_are_written_as_they_are_read_whatever_memory_they_share():
    whole = torch.arange(8.0)
    wave = torch.randn(3, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    tensors = {
        "whole": whole,
        "again": whole,
        "part": whole[4:],
        "turned": whole.reshape(2, 4).T,
        "nothing": torch.empty(0),
        "no more": torch.empty(0),
        "number": torch.tensor(3),
        "conjugate": wave.conj(),
        "negative": wave.conj().imag,
        "learned": torch.nn.Parameter(torch.ones(2, 2)),
    }
    read = load(write_weights(tensors))
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor.detach().resolve_conj()), name
