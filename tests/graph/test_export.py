"""Exporting a module: what is refused and why, and that the module is left alone."""

from __future__ import annotations

import copy
import random
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from metaloom_registry.digest import Digest
from metaloom_registry.errors import ParseError, Refused, TypeMismatch
from metaloom_registry.graph import export_module, load_graph, read_graph, validate_graph
from metaloom_registry.types import parse_type

LINEAR = "vec[4] -> vec[4]"


def of(forward, **parts: nn.Module) -> nn.Module:
    """A module with a linear layer, other parts and a forward pass."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            for name, part in parts.items():
                self.add_module(name, part)

    Net.forward = forward
    return Net()


def test_the_same_module_gives_the_same_bytes(net, block):
    again = export_module(net, "image[1,8,8] -> logits[5]")
    assert Digest.of(again.graph) == Digest.of(block.graph)
    assert Digest.of(again.weights) == Digest.of(block.weights)
    assert again.facts == block.facts


def test_the_module_is_left_alone(net):
    net.train()
    net[0][0].eval()
    state = copy.deepcopy(net.state_dict())
    modes = [module.training for module in net.modules()]
    random = torch.random.get_rng_state()
    export_module(net, "image[1,8,8] -> logits[5]")
    assert modes == [module.training for module in net.modules()]
    assert torch.equal(random, torch.random.get_rng_state())
    assert all(p.grad is None for p in net.parameters())
    for name, value in net.state_dict().items():
        assert torch.equal(value, state[name])


def test_what_is_exported_is_valid_and_has_its_signature(block):
    validate_graph(block.graph, block.weights, parse_type("image[1,8,8] -> logits[5]"))


def test_a_signature_may_leave_dimensions_open():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    block = export_module(net, "image[3,h,w] -> vec[4]")
    loaded = load_graph(block.graph, block.weights)
    names = {d.name: d.low for d in read_graph(block.graph).dimensions}
    assert set(names) == {"B", "h", "w"}
    for shape in ((2, 3, 9, 11), (1, 3, 40, 5)):
        x = torch.rand(shape)
        assert torch.equal(loaded(x), net(x))


def test_several_inputs_and_a_tuple_of_them():
    net = of(lambda self, a, pair: (self.layer(a) + pair[0], pair[1] * 2))
    block = export_module(net, "vec[4] -> (vec[4], vec[3]) -> (vec[4], vec[3])")
    loaded = load_graph(block.graph, block.weights)
    inputs = torch.rand(2, 4), (torch.rand(2, 4), torch.rand(2, 3))
    ours, theirs = loaded(*inputs), net(*inputs)
    assert isinstance(ours, tuple)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_sizes_are_read_when_it_runs():
    net = of(
        lambda self, x: self.layer(x).view(x.shape[0] * 2, -1).reshape(x.size(0), 4) / x.size(1)
    )
    block = export_module(net, LINEAR)
    loaded = load_graph(block.graph, block.weights)
    x = torch.rand(7, 4)
    assert torch.equal(loaded(x), net(x))


class WrongBackward(torch.autograd.Function):
    """The identity, with twice its gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


def loop_over_the_batch(self: Any, x: Tensor) -> Tensor:
    return torch.stack([self.layer(x[i]) for i in range(x.shape[0])])


def branch_on_values(self: Any, x: Tensor) -> Tensor:
    return self.layer(x) if x.sum() > 0 else x


def other_in_training(self: Any, x: Tensor) -> Tensor:
    return self.layer(x) if self.training else torch.tanh(self.layer(x))


def change_through_a_view(self: Any, x: Tensor) -> Tensor:
    y = self.layer(x)
    view = y.view(-1)
    y.mul_(2)
    return y + view.view(-1, 4)


def change_a_parameter(self: Any, x: Tensor) -> Tensor:
    self.layer.weight.data.mul_(0.5)
    return self.layer(x)


def without_gradient(self: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        y = self.layer(x)
    return y + x


def item_of_a_tensor(self: Any, x: Tensor) -> Tensor:
    return self.layer(x) * x.sum().item()


def size_from_values(self: Any, x: Tensor) -> Tensor:
    return self.layer(x)[:, : int(x.sum().abs()) + 1]


def drawn_by_python(self: Any, x: Tensor) -> Tensor:
    return self.layer(x) * random.random()


def other_for_large_batches(self: Any, x: Tensor) -> Tensor:
    return self.layer(x) * (2 if x.shape[0] > 4 else 1)


def rows_that_are_positive(self: Any, x: Tensor) -> Tensor:
    return self.layer(x[x[:, 0] > 0])


def fixed_batch(self: Any, x: Tensor) -> Tensor:
    return self.layer(x).reshape(3, 4)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda self, x: torch.linalg.qr(self.layer(x))[0], "operation aten.linalg_qr"),
        (lambda self, x: WrongBackward.apply(self.layer(x)), "custom autograd.Function"),
        (loop_over_the_batch, "one batch size only"),
        (fixed_batch, "batch"),
        (branch_on_values, r"branches on the values of tensors.*use torch\.where"),
        (item_of_a_tensor, r"becomes a Python number.*keep it a tensor"),
        (size_from_values, "branches on the values of tensors"),
        (drawn_by_python, r"is drawn by Python.*use dropout"),
        (other_for_large_batches, "one batch size only"),
        (rows_that_are_positive, r"aten\.index\.Tensor is not in the table"),
        (lambda self, x: self.layer(x) + torch.rand(4), r"aten\.rand\.default is not in the table"),
        (other_in_training, "something else in training than in eval mode"),
        (change_through_a_view, "also used through a view"),
        (change_a_parameter, r"in place|cannot be captured"),
        (without_gradient, r"stop gradients with detach\(\)"),
        (lambda self, x: (self.layer(x), 3), "an output is int"),
        (lambda self, x: self.layer(x).tolist(), "torch"),
        (lambda self, x: self.layer(x[:, :3]), r"cannot be captured by torch\.export"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_reason(forward, message):
    with pytest.raises(Refused, match=message):
        export_module(of(forward), LINEAR)


def two_arguments(self, x, y):
    return self.layer(x) + y


def two_outputs(self, x):
    return self.layer(x), x


@pytest.mark.parametrize(
    ("forward", "signature", "message"),
    [
        (
            lambda self, x: self.layer(x),
            "vec[5] -> vec[4]",
            r"the signature says, \[B, 5\], and be",
        ),
        (two_arguments, LINEAR, r"'y'.*\[B, 4\], and be.*two tensors has the type A -> B -> C"),
        (two_arguments, "(vec[4], vec[2]) -> vec[4]", r"says, \(\[B, 4\], \[B, 2\]\), and be"),
    ],
)
def test_a_forward_that_takes_something_else_is_told_what_the_signature_says(
    forward, signature, message
):
    with pytest.raises(Refused, match=message):
        export_module(of(forward), signature)


def test_what_torch_prints_of_an_export_that_failed_stays_off_the_terminal(capfd):
    with pytest.raises(Refused, match="branches on the values"):
        export_module(of(branch_on_values), LINEAR)
    assert capfd.readouterr().err == ""


def test_what_a_forward_prints_is_printed(capfd):
    def talks(self, x):
        sys.stderr.write("def of x\n")
        return self.layer(x)

    export_module(of(talks), LINEAR)
    assert "def of x\n" in capfd.readouterr().err


def test_a_lazy_layer_that_has_no_size_yet_is_refused():
    with pytest.raises(Refused, match=r"1\.weight of Sequential has no shape yet; call the module"):
        export_module(nn.Sequential(nn.Linear(4, 4), nn.LazyLinear(4)), LINEAR)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_scripted_module_is_refused():
    with pytest.raises(Refused, match=r"publish the nn\.Module that it was made of"):
        export_module(torch.jit.script(nn.Linear(4, 4)), LINEAR)


def test_several_outputs_are_written_as_a_tuple():
    exported = export_module(of(two_outputs), "vec[4] -> (vec[4], vec[4])")
    with pytest.raises(TypeMismatch, match=r"gives 1 tensor; the graph gives 2 tensors; two are"):
        validate_graph(exported.graph, exported.weights, parse_type(LINEAR))


def test_an_operation_outside_the_table_is_refused_with_its_place_and_the_remedy():
    inner = of(lambda self, x: torch.linalg.det(self.layer(x)[:, :, None] * x[:, None])[:, None])
    net = nn.Sequential(nn.Linear(4, 4), inner)
    with pytest.raises(Refused, match=r"in 1: the operation aten.linalg_det.*block-format.md"):
        export_module(net, "vec[4] -> vec[1]")


@pytest.mark.parametrize("signature", ["list[vec[4]] -> vec[4]", "int -> vec[4]", "vec[4]"])
def test_a_signature_that_is_not_made_of_tensors_is_refused(signature):
    with pytest.raises(Refused, match=r"not a tensor|no function"):
        export_module(nn.Linear(4, 4), signature)


def test_a_text_that_is_no_type_is_an_error():
    with pytest.raises(ParseError, match="is not a type"):
        export_module(nn.Linear(4, 4), "vec[4] ->")


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64"])
def test_other_dtypes_are_kept(name):
    dtype = getattr(torch, name)
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2)).to(dtype)
    block = export_module(net, "vec[4] -> vec[2]")
    loaded = load_graph(block.graph, block.weights)
    assert {p.dtype for p in loaded.parameters()} == {dtype}
    x = torch.rand(3, 4).to(dtype)
    assert torch.equal(loaded(x), net(x))


class Counter(nn.Module):
    """A buffer that every pass changes, in both modes."""

    def __init__(self) -> None:
        super().__init__()
        self.passes = nn.Buffer(torch.zeros((), dtype=torch.int64))
        self.mean = nn.Buffer(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.passes.add_(1)
        self.mean.copy_(0.5 * self.mean + 0.5 * x.detach().mean(0))
        return x - self.mean


def test_buffers_of_ones_own_are_updated():
    net = Counter()
    block = export_module(net, LINEAR)
    loaded = load_graph(block.graph, block.weights)
    for _ in range(3):
        x = torch.rand(5, 4)
        assert torch.allclose(loaded(x), net(x))
    assert loaded.get_buffer("passes") == 3
    assert torch.allclose(loaded.get_buffer("mean"), net.mean)


def test_a_frozen_module_keeps_its_mask_and_its_infinities():
    class Causal(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.mask = nn.Buffer(torch.full((4, 4), -torch.inf).triu(1))

        def forward(self, x: Tensor) -> Tensor:
            return functional.softmax(self.layer(x)[:, None] + self.mask, -1).flatten(1)

    block = export_module(Causal(), "vec[4] -> vec[16]")
    assert torch.isinf(load_graph(block.graph, block.weights).get_buffer("mask")).any()


def test_nan_in_the_weights_is_refused_at_publish_time():
    net = nn.Linear(4, 4)
    net.weight.data[1, 2] = torch.nan
    with pytest.raises(Refused, match="NaN or infinity in weight"):
        export_module(net, LINEAR)
