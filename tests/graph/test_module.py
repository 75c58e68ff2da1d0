"""A loaded graph is an ordinary module, whatever is done with modules."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._functorch._aot_autograd.utils import make_boxed_func
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional

from metaloom_registry.errors import TypeMismatch
from metaloom_registry.graph import export_module, load_graph


@pytest.mark.parametrize("training", [False, True])
def test_it_computes_what_the_module_computes(net, loaded, training):
    x = torch.rand(9, 1, 8, 8)
    torch.manual_seed(0)
    wanted = net.train(training)(x)
    torch.manual_seed(0)
    assert torch.equal(loaded.train(training)(x), wanted)


def test_batch_norm_updates_its_buffers_in_training_only(net, loaded):
    x = torch.rand(9, 1, 8, 8)
    before = {name: b.clone() for name, b in loaded.named_buffers()}
    loaded.eval()(x)
    assert all(torch.equal(b, before[name]) for name, b in loaded.named_buffers())
    for _ in range(2):
        net.train()(x)
        loaded.train()(x)
    for name, wanted in net.named_buffers():
        assert torch.equal(loaded.get_buffer(name), wanted)
        assert not torch.equal(wanted, before[name])


def test_it_has_the_names_of_the_module(net, loaded):
    assert list(loaded.state_dict()) == list(net.state_dict())
    assert [n for n, _ in loaded.named_parameters()] == [n for n, _ in net.named_parameters()]
    loaded.load_state_dict(net.state_dict())
    assert torch.equal(loaded.encoder.get_submodule("0").weight, net.encoder[0].weight)


def test_it_learns(loaded):
    x, y = torch.rand(20, 1, 8, 8), torch.arange(20) % 5
    optimiser = torch.optim.Adam(loaded.train().parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        loss = functional.cross_entropy(loaded(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2


def test_a_copy_has_parameters_of_its_own(loaded):
    x = torch.rand(2, 1, 8, 8)
    other = copy.deepcopy(loaded)
    with torch.no_grad():
        other.head.get_submodule("2").bias.add_(1.0)
    assert torch.allclose(other(x), loaded(x) + 1.0)


def test_it_moves_to_another_dtype(net, loaded):
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    assert torch.allclose(loaded.double()(x), net.double().eval()(x), atol=1e-12)


def test_it_moves_to_a_device_without_memory(loaded):
    assert loaded.to("meta")(torch.empty(3, 1, 8, 8, device="meta")).shape == (3, 5)


def test_it_is_saved_like_any_state(loaded, block):
    file = io.BytesIO()
    torch.save(loaded.state_dict(), file)
    other = load_graph(block.graph, block.weights)
    other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(other(x), loaded(x))


def test_functional_call_takes_other_parameters(net, loaded):
    x = torch.rand(2, 1, 8, 8)
    doubled = {name: 2 * p for name, p in loaded.named_parameters()}
    wanted = functional_call(net.eval(), doubled, (x,))
    assert torch.equal(functional_call(loaded, doubled, (x,)), wanted)


def test_functional_call_updates_the_buffers_it_is_given(loaded):
    x = torch.rand(4, 1, 8, 8)
    own = {name: b.clone() for name, b in loaded.named_buffers()}
    given = {name: b.clone() for name, b in loaded.named_buffers()}
    parameters = dict(loaded.train().named_parameters())
    functional_call(loaded, (parameters, given), (x,))
    for name, buffer in loaded.named_buffers():
        assert torch.equal(buffer, own[name])
        assert not torch.equal(given[name], own[name])


def test_vmap_over_parameters_in_training_keeps_the_shared_buffers(loaded):
    x = torch.rand(4, 1, 8, 8)
    before = {name: b.clone() for name, b in loaded.named_buffers()}
    stacked = {n: torch.stack([p, p * 1.5]).detach() for n, p in loaded.named_parameters()}
    loaded.train()

    def run(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional_call(loaded, parameters, (x,))

    torch.manual_seed(0)
    both = vmap(run, randomness="same")(stacked)
    assert both.shape == (2, 4, 5)
    assert all(torch.equal(b, before[n]) for n, b in loaded.named_buffers())
    assert not any(torch._C._functorch.is_batchedtensor(b) for b in loaded.buffers())


def test_vmap_over_buffers_updates_each(loaded):
    x = torch.rand(4, 1, 8, 8)
    nets = [copy.deepcopy(loaded).train() for _ in range(2)]
    with torch.no_grad():
        nets[1].encoder.get_submodule("0").weight.mul_(2.0)
    parameters, buffers = stack_module_state(nets)
    kept = {name: b.detach().clone() for name, b in buffers.items()}

    def run(p, b):
        return functional_call(loaded.train(), (p, b), (x,)), b

    _, updated = vmap(run, randomness="same")(parameters, kept)
    for i, one in enumerate(nets):
        one(x)
        for name, wanted in one.named_buffers():
            assert torch.allclose(updated[name][i], wanted, atol=1e-6), name


def test_it_compiles(loaded):
    x = torch.rand(4, 1, 8, 8)
    for training in (False, True):
        eager, compiled = copy.deepcopy(loaded), copy.deepcopy(loaded)
        eager.train(training)
        fast = torch.compile(compiled.train(training), backend="eager", fullgraph=True)
        torch.manual_seed(0)
        wanted = eager(x)
        torch.manual_seed(0)
        assert torch.allclose(fast(x), wanted, atol=1e-6)
        for name, buffer in eager.named_buffers():
            assert torch.allclose(compiled.get_buffer(name), buffer)


def test_inputs_that_do_not_fit_are_named(loaded):
    with pytest.raises(TypeMismatch, match=r"shape \[2, 1, 8, 9\] where \[B, 1, 8, 8\] is wanted"):
        loaded(torch.rand(2, 1, 8, 9))
    with pytest.raises(TypeMismatch, match=r"shape \[1, 8, 8\]"):
        loaded(torch.rand(1, 8, 8))
    with pytest.raises(TypeMismatch, match="1 are wanted, 2 given"):
        loaded(torch.rand(2, 1, 8, 8), 3)
    with pytest.raises(TypeMismatch, match="a list where a tensor is wanted"):
        loaded([1.0])
    with pytest.raises(TypeMismatch, match="call the whole"):
        loaded.encoder(torch.rand(2, 1, 8, 8))


class Shared(nn.Module):
    """Two layers of one weight, a frozen parameter, a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight
        self.frozen = nn.Parameter(torch.ones(4), requires_grad=False)
        self.register_buffer("offset", torch.arange(4.0), persistent=False)

    def forward(self, x: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        y = self.two(torch.tanh(self.one(x))) * self.frozen + self.get_buffer("offset")
        return {"pair": (y, y.sum(1) * torch.tensor([2.0]))}


def test_shared_frozen_and_unsaved_tensors_stay_so():
    net = Shared()
    example = (torch.rand(3, 4),)
    block = export_module(net, "vec[4] -> vec[4]", example=example)
    loaded = load_graph(block.graph, block.weights)
    assert loaded.get_parameter("one.weight") is loaded.get_parameter("two.weight")
    assert not loaded.get_parameter("frozen").requires_grad
    assert list(loaded.state_dict()) == list(net.state_dict())
    assert len(list(loaded.parameters())) == len(list(net.parameters()))
    x = torch.rand(5, 4)
    assert torch.equal(loaded(x)["pair"][1], net(x)["pair"][1])
    doubled = {"one.weight": 2 * net.one.weight}
    assert torch.equal(
        functional_call(loaded, doubled, (x,))["pair"][0],
        functional_call(net, doubled, (x,))["pair"][0],
    )


def test_gradients_of_transforms_are_those_of_autograd(loaded):
    x, y = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 3])
    parameters = {n: p.detach() for n, p in loaded.named_parameters()}

    def loss(p: dict[str, torch.Tensor]) -> torch.Tensor:
        return functional.cross_entropy(functional_call(loaded, p, (x,)), y)

    ours = grad(loss)(parameters)
    functional.cross_entropy(loaded(x), y).backward()
    for name, parameter in loaded.named_parameters():
        assert torch.allclose(ours[name], parameter.grad, atol=1e-6), name


def test_it_travels_between_processes(loaded):
    x = torch.rand(2, 1, 8, 8)
    other = pickle.loads(pickle.dumps(loaded))
    assert torch.equal(other(x), loaded(x))


def test_forward_and_backward_compile_without_a_break_and_for_every_batch_size():
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3))
    block = export_module(net, "vec[4] -> vec[3]")
    eager, compiled = (load_graph(block.graph, block.weights) for _ in range(2))
    graphs: list[torch.fx.GraphModule] = []

    def backend(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> Any:
        graphs.append(graph)
        return make_boxed_func(graph.forward)

    fast = torch.compile(
        compiled, backend=aot_autograd(fw_compiler=backend), fullgraph=True, dynamic=True
    )
    for batch in (2, 3, 5, 17):
        x = torch.rand(batch, 4)
        ours, theirs = fast(x), eager(x)
        assert torch.allclose(ours, theirs, atol=1e-6)
        slopes = [
            torch.autograd.grad(y.square().sum(), list(module.parameters()))
            for module, y in ((compiled, ours), (eager, theirs))
        ]
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*slopes, strict=True))
    assert len(graphs) == 2  # forward and backward, once each


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_an_input_of_another_dtype_is_named_with_the_remedy(dtype):
    exported = export_module(nn.Linear(4, 3).to(dtype), "vec[4] -> vec[3]")
    module = load_graph(exported.graph, exported.weights)
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(
        TypeMismatch, match=rf"of float32 where {name} is wanted.*\.to\(torch\.{name}"
    ):
        module(torch.rand(2, 4))
    assert module(torch.rand(2, 4, dtype=dtype)).dtype == dtype


def test_a_module_that_was_converted_takes_inputs_of_its_new_dtype(loaded):
    x = torch.rand(2, 1, 8, 8)
    assert torch.allclose(loaded.double()(x.double()).float(), loaded.float()(x), atol=1e-5)
