"""Trained modules in the registry: validated when published, loaded as ordinary modules."""

import json

import pytest
import torch
from torch import nn

from metaloom_registry import (
    CatalogueLibrary,
    Manifest,
    ParseError,
    PrimitiveTable,
    Refused,
    Registry,
    TypeMismatch,
    dump_canonical,
    parse_type,
)
from metaloom_registry.graph import export_module

SIGNATURE = parse_type("vec[3] -> vec[2]")


@pytest.fixture(scope="module")
def files():
    torch.manual_seed(0)
    exported = export_module(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), SIGNATURE)
    return {"graph.json": exported.graph, "weights.safetensors": exported.weights}


@pytest.fixture
def opened(tmp_path):
    return Registry.open(tmp_path)


def test_a_published_module_computes_what_the_original_computed(opened, files):
    version = opened.publish("me/mlp", Manifest.of("graph", SIGNATURE, files), files)
    module = CatalogueLibrary(opened, PrimitiveTable([])).load(version.digest)
    assert isinstance(module, nn.Module)
    torch.manual_seed(0)
    original = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    torch.testing.assert_close(module(x), original(x))


def refused(opened, files, signature=SIGNATURE) -> None:
    opened.publish("me/mlp", Manifest.of("graph", signature, files), files)


def test_a_graph_with_an_op_outside_the_table_is_refused_by_name(opened, files):
    document = json.loads(files["graph.json"])
    document["nodes"][0]["op"] = "os.system/1"
    spoilt = {**files, "graph.json": dump_canonical(document)}
    with pytest.raises(Refused, match="system"):
        refused(opened, spoilt)
    assert opened.names().items == ()
    assert list(opened.blobs.digests()) == []


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("graph.json", b"{}"),
        ("graph.json", b"\x80\x04cos\nsystem\n"),
        ("weights.safetensors", b""),
        ("weights.safetensors", b"\xff" * 64),
    ],
)
def test_a_graph_or_weights_that_are_not_is_refused(opened, files, path, data):
    with pytest.raises((Refused, ParseError)):
        refused(opened, {**files, path: data})
    assert opened.names().items == ()


def test_a_graph_without_weights_is_refused(opened, files):
    with pytest.raises(Refused, match=r"no file weights\.safetensors"):
        refused(opened, {"graph.json": files["graph.json"]})


def test_a_graph_that_is_not_of_its_signature_is_refused(opened, files):
    with pytest.raises(TypeMismatch, match=r"vec\[5\]"):
        refused(opened, files, parse_type("vec[5] -> vec[2]"))
