"""Blocks of a term that feed one another run as one graph."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from metaloom_metalearn import TermModule, compile_term
from metaloom_registry import Digest, Reference, parse_term, parse_type
from metaloom_registry.graph import Fused, GraphModule, export_module, load_graph


@pytest.fixture(scope="module")
def blocks() -> dict[str, tuple[str, GraphModule]]:
    torch.manual_seed(0)
    modules = {
        "widen": ("vec[4] -> vec[6]", nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6))),
        "narrow": ("vec[6] -> vec[4]", nn.Sequential(nn.Tanh(), nn.Linear(6, 4))),
    }
    found = {}
    for name, (signature, module) in modules.items():
        block = export_module(module, signature)
        found[name] = signature, load_graph(block.graph, block.weights)
    return found


def compiled(blocks, text: str) -> TermModule:
    names = {name: Reference(None, Digest.of(name.encode())) for name in blocks}
    types = {names[name]: parse_type(signature) for name, (signature, _) in blocks.items()}
    loaded = {names[name]: block for name, (_, block) in blocks.items()}
    return compile_term(parse_term(text, names), types.__getitem__, loaded.__getitem__)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ran: whole compositions and single graphs."""
    seen: list[str] = []
    for owner, name in ((Fused, "__call__"), (GraphModule, "forward")):
        inner = getattr(owner, name)

        def noted(self, *args, _inner=inner, _name=owner.__name__):
            seen.append(_name)
            return _inner(self, *args)

        monkeypatch.setattr(owner, name, noted)
    return seen


def test_a_chain_of_blocks_is_one_graph(blocks, calls):
    module = compiled(blocks, "(lam (narrow (widen (narrow (widen $0)))))").eval()
    x = torch.rand(5, 4)
    found = module(x)
    assert calls == ["Fused"]
    widen, narrow = (block for _, block in blocks.values())
    assert torch.equal(found, narrow(widen(narrow(widen(x)))))


def test_a_copy_of_the_whole_has_parameters_of_its_own(blocks):
    module = compiled(blocks, "(lam (narrow (widen $0)))").eval()
    other, x = copy.deepcopy(module), torch.rand(2, 4)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(other(x), torch.zeros(2, 4))
    assert module(x).abs().sum() > 0


def test_a_hook_sees_each_call(blocks, calls):
    module = compiled(blocks, "(lam (narrow (widen $0)))").eval()
    seen = []
    part = module.blocks[0]
    handle = part.register_forward_hook(lambda *given: seen.append(given[2].shape))
    try:
        module(torch.rand(2, 4))
    finally:
        handle.remove()
    assert len(seen) == 1
    assert calls == ["GraphModule", "GraphModule"]


def test_a_block_put_in_the_place_of_another_is_called(blocks, calls):
    module = compiled(blocks, "(lam (narrow (widen $0)))").eval()
    places = [i for i, block in enumerate(module.blocks) if block is blocks["widen"][1]]
    module.blocks[places[0]] = nn.Linear(4, 6)
    assert module(torch.rand(2, 4)).shape == (2, 4)
    assert calls == ["GraphModule"]
