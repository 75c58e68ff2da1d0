"""The loop: it computes what an unrolled one does, forward, twice differentiated and batched."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.errors import Refused
from metaloom_registry.graph import (
    GraphModule,
    check_graph,
    export_module,
    load_graph,
    read_graph,
    write_graph,
)
from metaloom_registry.graph.document import Body, Dimension, Graph, Leaf, Node


def loop(body: Body, **arguments: Any) -> Node:
    given = {"carries": 1, "sequences": 1, "length": None, "reverse": False, **arguments}
    return Node("scan/1", (0, 1), {**given, "body": body})


RUNNING = Body(2, (Node("add/1", (0, 1)), Node("tanh/1", (2,))), (3, 2))
"""h' = tanh(h + x), which gives h + x at each step."""


def graph_of(*nodes: Node, outputs: Any = (2, 3)) -> Graph:
    leaves = (Leaf("float32", ("B", 3)), Leaf("float32", ("t", "B", 3)))
    dimensions = (Dimension("B"), Dimension("t"))
    return Graph(dimensions, leaves, (), nodes, outputs, opset=2)


def by_hand(h: Tensor, x: Tensor, *, reverse: bool) -> tuple[Tensor, Tensor]:
    rows = []
    for row in x.flip(0) if reverse else x:
        rows.append(h + row)
        h = torch.tanh(rows[-1])
    return h, torch.stack(rows[::-1] if reverse else rows)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_computes_what_its_steps_compute(reverse):
    h, x = torch.rand(2, 3), torch.rand(5, 2, 3)
    module = GraphModule(graph_of(loop(RUNNING, reverse=reverse)), {})
    ours, theirs = module(h, x), by_hand(h, x, reverse=reverse)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1], theirs[1])


def test_no_step_leaves_the_carries_and_gives_nothing():
    h = torch.rand(2, 3)
    last, rows = GraphModule(graph_of(loop(RUNNING)), {})(h, torch.rand(0, 2, 3))
    assert torch.equal(last, h)
    assert rows.shape == (0, 2, 3)


def test_an_empty_batch_goes_through():
    last, rows = GraphModule(graph_of(loop(RUNNING)), {})(torch.rand(0, 3), torch.rand(4, 0, 3))
    assert last.shape == (0, 3)
    assert rows.shape == (4, 0, 3)


def test_a_loop_is_written_read_and_paid_for_by_the_step():
    graph = graph_of(loop(RUNNING))
    assert read_graph(write_graph(graph)) == graph
    once = check_graph(graph).flops
    long = Graph((Dimension("B"), Dimension("t", 10)), graph.inputs, (), graph.nodes, (2, 3), (), 2)
    assert check_graph(long).flops == 10 * once


def nested(depth: int) -> Graph:
    """Loops in loops, each of two steps."""
    body = Body(1, (Node("tanh/1", (0,)),), (1,))
    for _ in range(depth - 1):
        inner = {"carries": 1, "sequences": 0, "length": 2, "reverse": False, "body": body}
        body = Body(1, (Node("scan/1", (0,), inner),), (1,))
    outer = {"carries": 1, "sequences": 0, "length": 2, "reverse": False, "body": body}
    leaf = Leaf("float32", ("B", 3))
    return Graph((Dimension("B"),), (leaf,), (), (Node("scan/1", (0,), outer),), 1, opset=2)


def test_loops_stand_in_loops_at_most_three_deep():
    x = torch.rand(2, 3)
    wanted = x
    for _ in range(8):
        wanted = torch.tanh(wanted)
    assert torch.equal(GraphModule(read_graph(write_graph(nested(3))), {})(x), wanted)
    with pytest.raises(Refused, match="nests loops deeper than 3"):
        read_graph(write_graph(nested(4)))


def spoiled(change: Any) -> bytes:
    document = load_strict(write_graph(graph_of(loop(RUNNING))))
    change(document["nodes"][0])
    return dump_canonical(document)


def set_in(path: tuple[Any, ...], value: Any) -> Any:
    def change(node: Any) -> None:
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    return change


BODY = ("arguments", "body")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in(BODY, 3), "where an object is wanted"),
        (set_in((*BODY, "inputs"), 0), "body.inputs is 0"),
        (set_in((*BODY, "outputs"), []), "at least one value"),
        (set_in((*BODY, "outputs"), [3, 4]), "takes value 4"),
        (set_in((*BODY, "nodes", 0, "inputs"), [0, 9]), r"nodes\[0\] \(add/1\) takes value 9"),
        (set_in((*BODY, "nodes", 0, "op"), "system/1"), "not in the table"),
        (set_in((*BODY, "nodes", 0, "when"), "training"), "a loop has none of"),
    ],
)
def test_a_body_that_breaks_a_rule_is_refused_by_name(change, message):
    with pytest.raises(Refused, match=message):
        read_graph(spoiled(change))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (loop(Body(2, (Node("sum/1", (0,), {"dims": (0,), "keep": False}),), (2, 0))), "a carry"),
        (loop(RUNNING, length=3), "a length stands"),
        (loop(Body(3, RUNNING.nodes, (3, 2))), "2 inputs; its body takes 3"),
        (loop(RUNNING, carries=2), "3 or more are wanted"),
    ],
)
def test_a_loop_that_does_not_fit_is_refused(node, message):
    with pytest.raises(Refused, match=message):
        check_graph(graph_of(node, outputs=2))


def test_a_loop_that_never_ends_is_refused_before_it_runs():
    graph = nested(1)
    node = graph.nodes[0]
    long = Node(node.op, node.inputs, {**node.arguments, "length": 1 << 30})
    with pytest.raises(Refused, match="1073741824 steps of 1 calls"):
        check_graph(Graph(graph.dimensions, graph.inputs, (), (long,), 1, opset=2))


class Cells(nn.Module):
    """An LSTM cell, then a GRU cell on what it remembers, then a plain one."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.LSTMCell(4, 3), nn.GRUCell(3, 3, bias=False)
        self.third = nn.RNNCell(3, 2, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        h, memory = self.first(x)
        found: Tensor = self.third(self.second(h, memory))
        return found


class WithStates(nn.Module):
    """A GRU that is given its first state."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.GRU(4, 3, batch_first=True)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        found: Tensor = self.net(x, h.unsqueeze(0))[0]
        return found


SERIES = (torch.rand(3, 5, 4),)
NETS = {
    "deep_lstm": (nn.LSTM(4, 3, 2, batch_first=True, bidirectional=True, dropout=0.3), SERIES),
    "projected_lstm": (nn.LSTM(4, 5, proj_size=2, batch_first=True), SERIES),
    "plain": (nn.RNN(4, 3, 2, batch_first=True, nonlinearity="relu", bias=False), SERIES),
    "both_ways_gru": (nn.GRU(4, 3, batch_first=True, bidirectional=True), SERIES),
    "given_state": (WithStates(), (*SERIES, torch.rand(3, 3))),
    "cells": (Cells(), (torch.rand(3, 4),)),
}


@pytest.mark.parametrize("name", sorted(NETS))
def test_recurrent_nets_do_everything_after_loading(name):
    torch.manual_seed(0)
    net, example = NETS[name]
    block = export_module(net, "vec[1] -> vec[1]", example=example)
    capabilities: Any = block.facts["capabilities"]
    wanted = ("second_gradient", "vmap", "vmap_gradient", "functional_train", "float64")
    assert all(capabilities[ability] for ability in wanted)


def test_gradients_of_a_recurrent_net_are_batched_where_torch_cannot():
    torch.manual_seed(0)
    net = nn.GRU(4, 3, batch_first=True)
    block = export_module(net, "vec[1] -> vec[1]", example=SERIES)
    loaded = load_graph(block.graph, block.weights)
    x = torch.rand(2, 5, 4)
    stacked = {n: torch.stack([p, 2 * p]).detach() for n, p in loaded.named_parameters()}

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return functional_call(loaded, parameters, (x,))[0].square().sum()

    ours = vmap(grad(loss))(stacked)
    for k in range(2):
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter.copy_(stacked[name][k])
        net.zero_grad()
        net(x)[0].square().sum().backward()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None
            assert torch.allclose(ours[name][k], parameter.grad, atol=1e-5), name


def test_a_loop_compiles():
    torch.manual_seed(0)
    block = export_module(nn.GRU(4, 3, batch_first=True), "vec[1] -> vec[1]", example=SERIES)
    loaded = load_graph(block.graph, block.weights)
    fast = torch.compile(loaded, backend="aot_eager", fullgraph=True)
    for batch in (2, 4):
        x = torch.rand(batch, 5, 4)
        ours, theirs = fast(x)[0], loaded(x)[0]
        assert torch.allclose(ours, theirs, atol=1e-6)
        slopes = [torch.autograd.grad(y.sum(), list(loaded.parameters())) for y in (ours, theirs)]
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*slopes, strict=True))
