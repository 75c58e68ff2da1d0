"""A loaded graph as a module of torch's own."""

import copy
import io
from typing import Any

import pytest
import torch
from torch import nn

from metaloom_registry import Refused, export_module, load_graph, plain_module
from metaloom_registry.graph import GraphModule, exported_program


def loaded(module: nn.Module, signature: str, **example: Any) -> GraphModule:
    exported = export_module(module, signature, **example)
    return load_graph(exported.graph, exported.weights)


@pytest.fixture(scope="module")
def graph() -> GraphModule:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))
        net[3].bias.requires_grad_(False)
        for _ in range(3):
            net(torch.randn(16, 6))
        return loaded(net, "vec[6] -> logits[3]")


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(5, 6, generator=torch.Generator().manual_seed(1))


def test_it_computes_the_same_at_any_batch_size(graph, x):
    plain = plain_module(graph)

    for rows in (1, 2, 5):
        assert torch.equal(plain(x[:rows]), graph(x[:rows]))


def test_its_class_is_torchs(graph):
    homes = {kind.__module__.partition(".")[0] for kind in type(plain_module(graph)).__mro__}

    assert homes == {"torch", "builtins"}


def test_it_has_the_state_of_the_graph_and_numbers_of_its_own(graph):
    plain = plain_module(graph)

    assert list(plain.state_dict()) == list(graph.state_dict())
    flags = {name: p.requires_grad for name, p in graph.named_parameters()}
    assert {name: p.requires_grad for name, p in plain.named_parameters()} == flags
    theirs = {tensor.data_ptr() for tensor in graph.state_dict().values()}
    assert theirs.isdisjoint(tensor.data_ptr() for tensor in plain.state_dict().values())


def test_its_gradients_are_those_of_the_graph(graph, x):
    plain = plain_module(graph)
    ours = torch.autograd.grad(graph(x).square().sum(), graph.get_parameter("0.weight"))[0]
    theirs = torch.autograd.grad(plain(x).square().sum(), plain.get_parameter("0.weight"))[0]

    torch.testing.assert_close(theirs, ours, rtol=0, atol=0)


def test_in_training_it_drops_out_and_counts_as_the_graph_does(graph, x):
    plain = plain_module(graph, training=True)
    ours = copy.deepcopy(graph).train()

    with torch.random.fork_rng():
        torch.manual_seed(11)
        expected = ours(x)
        torch.manual_seed(11)
        given = plain(x)

    torch.testing.assert_close(given, expected)
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(plain.get_buffer(name), buffer)


@pytest.mark.filterwarnings("ignore:`isinstance")
def test_it_is_copied_and_saved_like_any_module(graph, x):
    plain = plain_module(graph).train().eval()
    file = io.BytesIO()
    torch.save(plain, file)

    assert b"metaloom" not in file.getvalue()
    for again in (
        copy.deepcopy(plain),
        torch.load(io.BytesIO(file.getvalue()), weights_only=False),
    ):
        assert list(again.state_dict()) == list(plain.state_dict())
        assert torch.equal(again(x), graph(x))


@pytest.mark.filterwarnings("ignore:`isinstance")
def test_a_module_for_training_is_copied_but_not_saved_whole(graph):
    plain = plain_module(graph, training=True)

    assert list(copy.deepcopy(plain).state_dict()) == list(plain.state_dict())
    with pytest.raises(Refused, match=r"save its state_dict\(\)"):
        torch.save(plain, io.BytesIO())


def test_shared_parameters_stay_shared():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
            self.decode.weight = self.encode.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.decode(torch.tanh(self.encode(x)))

    plain = plain_module(loaded(Tied(), "vec[4] -> vec[4]"))

    assert plain.get_parameter("decode.weight") is plain.get_parameter("encode.weight")


def test_inputs_and_outputs_keep_their_tree():
    class Tree(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(2, 2)

        def forward(self, given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {"sum": self.line(given["a"]) + given["b"], "a": given["a"] * 2}

    example = ({"a": torch.randn(3, 2), "b": torch.randn(3, 2)},)
    graph = loaded(Tree(), "vec[2] -> vec[2]", example=example)
    ours, theirs = graph(*example), plain_module(graph)(*example)

    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_buffers_that_are_not_saved_stay_so():
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale: torch.Tensor
            self.shift: torch.Tensor
            self.register_buffer("scale", torch.full((2,), 3.0), persistent=False)
            self.register_buffer("shift", torch.full((2,), 1.0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale + self.shift

    plain = plain_module(loaded(Scaled(), "vec[2] -> vec[2]"))

    assert list(plain.state_dict()) == ["shift"]
    assert torch.equal(plain(torch.ones(1, 2)), torch.tensor([[4.0, 4.0]]))


def test_a_traced_program_tells_no_path_of_this_machine(graph):
    program = exported_program(graph)

    assert [n for n in program.graph.nodes if "stack_trace" in n.meta] == []


def test_what_torch_cannot_trace_is_refused(graph, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("specialised the batch")

    monkeypatch.setattr(torch.export, "export", fail)
    with pytest.raises(Refused, match=r"cannot trace this graph for all of its sizes: .*specialis"):
        plain_module(graph)
