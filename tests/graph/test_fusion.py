"""A composition of graphs is one graph that does what its parts do one after the other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.graph import (
    Call,
    Fused,
    GraphModule,
    check_graph,
    export_module,
    fuse,
    load_graph,
    read_graph,
    write_graph,
)


def loaded(module: nn.Module, signature: str) -> GraphModule:
    block = export_module(module, signature)
    return load_graph(block.graph, block.weights)


@pytest.fixture(scope="module")
def encoder() -> GraphModule:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    return loaded(nn.Sequential(*layers), "image[1,4,4] -> vec[64]")


@pytest.fixture(scope="module")
def head() -> GraphModule:
    torch.manual_seed(1)
    return loaded(nn.Sequential(nn.Linear(64, 3), nn.Tanh()), "vec[64] -> vec[3]")


class Sum(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + 2 * b


@pytest.fixture(scope="module")
def mixture() -> GraphModule:
    return loaded(Sum(), "vec[n] -> vec[n] -> vec[n]")


CHAIN = Call(1, (Call(0, (0,)),))


def test_a_chain_gives_what_its_parts_give_one_after_the_other(encoder, head):
    x = torch.rand(5, 1, 4, 4)
    assert torch.equal(Fused(CHAIN)([encoder, head], [x]), head(encoder(x)))


def test_each_part_keeps_its_own_mode_and_its_buffers(encoder, head):
    x, other = torch.rand(5, 1, 4, 4), copy.deepcopy(encoder).train()
    whole = Fused(CHAIN)
    before = whole([encoder, head], [x])
    trained = copy.deepcopy(encoder).train()
    assert torch.equal(whole([trained, head], [x]), head(other(x)))
    for one, two in zip(trained.buffers(), other.buffers(), strict=True):
        assert torch.equal(one, two)
    assert torch.equal(whole([encoder, head], [x]), before)


def test_second_gradients_are_those_of_the_parts(encoder, head):
    x = torch.rand(3, 1, 4, 4)
    found = []
    for run in (lambda: Fused(CHAIN)([encoder, head], [x]), lambda: head(encoder(x))):
        first = torch.autograd.grad(run().square().sum(), encoder.parameters(), create_graph=True)
        square = sum(g.square().sum() for g in first)
        found.append(torch.autograd.grad(square, [*encoder.parameters(), *head.parameters()]))
    assert all(torch.allclose(a, b) for a, b in zip(*found, strict=True))


def test_a_part_called_twice_is_there_once(encoder, mixture):
    trained = copy.deepcopy(encoder).train()
    other = copy.deepcopy(trained)
    call = Call(1, (Call(0, (0,)), Call(0, (1,))))
    x, y = torch.rand(4, 1, 4, 4), torch.rand(4, 1, 4, 4)
    assert torch.equal(Fused(call)([trained, mixture], [x, y]), mixture(other(x), other(y)))
    assert torch.equal(
        dict(trained.named_buffers())["1.running_mean"], other.get_buffer("1.running_mean")
    )
    graph = fuse(call, [encoder.graph.value, mixture.graph.value])
    assert len(graph.state) == len(encoder.graph.value.state)


def test_the_whole_is_a_document_like_any_other(encoder, head):
    graph = fuse(CHAIN, [encoder.graph.value, head.graph.value])
    assert read_graph(write_graph(graph)) == graph
    assert check_graph(graph).flops > 0
    names = [state.name for state in graph.state]
    assert names[0] == "0.0.weight"
    assert names[-1] == "1.0.bias"
    owned = {f"0.{name}": value for name, value in encoder.tensors().items()}
    owned |= {f"1.{name}": value for name, value in head.tensors().items()}
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(GraphModule(graph, owned).eval()(x), head(encoder(x)))


def test_a_fixed_size_of_one_part_closes_an_open_one_of_another(head, mixture):
    shared = fuse(Call(0, (0, 0)), [mixture.graph.value])
    assert shared.leaves[0].shape == ("B", "n")
    closed = fuse(Call(0, (Call(1, (0,)), Call(1, (0,)))), [mixture.graph.value, head.graph.value])
    assert closed.leaves[0].shape == ("B", 64)


def test_parts_that_do_not_fit_are_refused_by_their_shapes(encoder, head):
    with pytest.raises(TypeMismatch, match=r"part 0 takes float32\[B, 1, 4, 4\]; .*comes in"):
        fuse(Call(0, (Call(1, (0,)),)), [encoder.graph.value, head.graph.value])


def test_parameters_can_be_exchanged_from_outside(encoder, head):
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([encoder, head])
            self.fused = Fused(CHAIN)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fused([part for part in self.parts if isinstance(part, GraphModule)], [x])

    whole, x = Whole(), torch.rand(2, 1, 4, 4)
    zeros = {name: torch.zeros_like(value) for name, value in whole.named_parameters()}
    assert torch.equal(functional_call(whole, zeros, (x,)), torch.zeros(2, 3))
    stacked = {n: torch.stack([v, 0 * v]) for n, v in whole.named_parameters()}
    both = torch.vmap(lambda p: functional_call(whole, p, (x,)))(stacked)
    assert torch.allclose(both[0], head(encoder(x)), atol=1e-6)
    assert torch.equal(both[1], torch.zeros(2, 3))
