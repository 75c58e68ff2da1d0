"""The document: reading and writing are inverse, and values are counted as it says."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.errors import Refused, TypeMismatch
from metaloom_registry.graph import check_graph, check_signature, read_graph, write_graph
from metaloom_registry.graph.document import (
    FINDINGS_KEPT,
    Dimension,
    Graph,
    Leaf,
    Node,
    State,
    leaves,
)
from metaloom_registry.graph.rules import Ref
from metaloom_registry.types import parse_type


def test_reading_is_the_inverse_of_writing(block):
    graph = read_graph(block.graph)
    assert write_graph(graph) == block.graph
    assert read_graph(write_graph(graph)) == graph


def test_a_document_is_canonical_json(block):
    assert dump_canonical(load_strict(block.graph)) == block.graph


names = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
chains = st.lists(st.sampled_from(["relu/1", "tanh/1", "exp/1", "negative/1"]), max_size=8)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(chains, st.lists(names, unique=True, max_size=4), st.integers(1, 9))
def test_graphs_of_any_length_come_back_as_they_were(ops, state, width):
    count = len(state)
    graph = Graph(
        (Dimension("B"),),
        (Leaf("float32", ("B", width)),),
        tuple(State(name, "buffer", "int64", (2,)) for name in state),
        tuple(Node(op, (0 if i == 0 else count + i,)) for i, op in enumerate(ops)),
        (count + len(ops) if ops else 0, 0),
    )
    assert read_graph(write_graph(graph)) == graph
    assert check_graph(graph).activation_bytes == 4 * width * len(ops)


def test_sizes_keep_their_references():
    node = Node("reshape/1", (0,), {"sizes": (Ref(1), -1)})
    size = Node("size/1", (0,), {"dim": 0})
    graph = Graph((Dimension("B"),), (Leaf("float32", ("B", 2, 3)),), (), (size, node), 2)
    assert read_graph(write_graph(graph)) == graph
    assert node.sizes == (1,)


def test_what_follows_from_a_graph_is_found_once_and_goes_with_no_copy():
    graph = Graph((Dimension("B"),), (Leaf("float32", ("B", 2)),), (), (), 0)
    asked: list[int] = []

    def find(key: int) -> int:
        asked.append(key)
        return -key

    assert [graph.once(key, partial(find, key)) for key in (1, 2, 1)] == [-1, -2, -1]
    assert asked == [1, 2]
    for key in range(3, 3 + FINDINGS_KEPT):
        graph.once(key, partial(find, key))
    assert graph.once(1, lambda: find(1)) == -1
    assert asked[-1] == 1, "only so much is remembered"
    copied = pickle.loads(pickle.dumps(graph))
    assert copied == graph
    assert copied.once(1, lambda: "anew") == "anew"


def test_leaves_of_dictionaries_come_by_key():
    tree: Any = {"b": 1, "a": (2, {"d": 3, "c": 4})}
    assert list(leaves(tree)) == [2, 4, 3, 1]


def test_cost_is_counted_at_batch_one(block):
    cost = check_graph(read_graph(block.graph))
    convolution, linear = 2 * 4 * 64 * 9, 2 * 64 * 5
    normalisation, pooling, counter = 8 * 256, 4 * 64, 1
    assert cost.flops == convolution + linear + normalisation + pooling + 256 + 64 + counter
    assert cost.peak_bytes >= 2 * 4 * 256


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        ("image[1,8,9] -> logits[5]", r"takes image\[1,8,9\]; the graph takes float32\[B,1,8,8\]"),
        ("image[1,8,8] -> logits[6]", r"gives logits\[6\]; the graph gives float32\[3,5\]"),
        ("image[1,8,8] -> label[5]", "gives label"),
        ("image[1,8,8] -> vec[1] -> logits[5]", "takes 2 tensors; the graph takes 1 tensor"),
        ("image[1,8,8] -> (logits[5], vec[1])", "gives 2 tensors; the graph gives 1"),
        ("image[1,8,8] -> int", "not a tensor"),
    ],
)
def test_a_signature_that_is_not_the_graphs_is_refused(block, signature, message):
    with pytest.raises(TypeMismatch, match=message):
        check_signature(read_graph(block.graph), parse_type(signature))


@pytest.mark.parametrize("signature", ["image[1,8,8] -> vec[5]", "image[1,8,8] -> vec[n]"])
def test_a_signature_may_say_less_than_the_graph(block, signature):
    check_signature(read_graph(block.graph), parse_type(signature))


def test_a_graph_without_outputs_is_refused(block):
    document = load_strict(block.graph)
    document["outputs"] = {"tuple": []}
    with pytest.raises(Refused, match="gives at least one value"):
        read_graph(dump_canonical(document))
