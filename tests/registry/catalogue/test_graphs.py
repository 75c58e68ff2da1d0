"""Trained modules in the registry: validated when published, loaded as ordinary modules."""

import json

import pytest
import torch
from sqlalchemy import text
from sqlmodel import select
from torch import nn

from metaloom_registry import (
    CatalogueLibrary,
    Manifest,
    ParseError,
    PrimitiveTable,
    Refused,
    Registry,
    TypeMismatch,
    WrongFact,
    dump_canonical,
    parse_type,
)
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.graph import export_module, load_graph
from metaloom_registry.workers import Pool, Verdict

SIGNATURE = parse_type("vec[3] -> vec[2]")


@pytest.fixture(scope="module")
def files():
    torch.manual_seed(0)
    exported = export_module(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), SIGNATURE)
    return {"graph.json": exported.graph, "weights.safetensors": exported.weights}


@pytest.fixture(scope="module")
def pool():
    with Pool() as shared:
        yield shared


@pytest.fixture
def opened(tmp_path, pool):
    return Registry.open(tmp_path, pool=pool)


def test_a_published_module_computes_what_the_original_computed(opened, files):
    version = opened.publish("me/mlp", Manifest.of("graph", SIGNATURE, files), files)
    module = CatalogueLibrary(opened, PrimitiveTable([])).load(version.digest)
    assert isinstance(module, nn.Module)
    torch.manual_seed(0)
    original = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    x = torch.randn(5, 3)
    torch.testing.assert_close(module(x), original(x))


def test_a_fingerprint_is_measured_again_unless_this_process_measured_that_very_one(opened, files):
    false = {"probe": "metaloom-1", "inputs": [], "values": [9.0] * 128}
    manifest = Manifest.of("graph", SIGNATURE, files, facts={"fingerprint": false})
    conversions = opened.admission.conversions
    conversions.measured(manifest.files, {**false, "values": [8.0] * 128})
    with pytest.raises(WrongFact, match="fingerprint"):
        opened.publish("me/mlp", manifest, files, exported=True)
    conversions.measured(manifest.files, false)
    assert opened.publish("me/mlp", manifest, files, exported=True).number == 1


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


@pytest.fixture
def counting(tmp_path, files):
    """A registry whose worker is a fake that accepts, and the trials it was given."""
    trials = []

    class Fake:
        def validate(self, trial):
            trials.append(trial)
            return Verdict("accepted")

        def close(self):
            """Nothing to end."""

    return Registry.open(tmp_path, pool=Fake()), trials


def test_a_block_of_unknown_origin_is_tried_once(counting, files):
    registry, trials = counting
    manifest = Manifest.of("graph", SIGNATURE, files)
    version = registry.publish("me/mlp", manifest, files)
    registry.publish("me/again", manifest, files)
    CatalogueLibrary(registry, PrimitiveTable([])).load(version.digest)
    assert [trial.signature for trial in trials] == ["vec[3] -> vec[2]"]


def test_a_block_that_was_exported_here_is_not_tried_again(counting, files):
    registry, trials = counting
    manifest = Manifest.of("graph", SIGNATURE, files)
    version = registry.publish("me/mlp", manifest, files, exported=True)
    CatalogueLibrary(registry, PrimitiveTable([])).load(version.digest)
    assert trials == []


def test_a_block_that_older_rules_accepted_is_tried_again_before_it_is_loaded(counting, files):
    registry, trials = counting
    version = registry.publish("me/mlp", Manifest.of("graph", SIGNATURE, files), files)
    registry.database.write(lambda session: session.exec(text("UPDATE verdict SET validator = 0")))
    for _ in range(2):
        CatalogueLibrary(registry, PrimitiveTable([])).load(version.digest)
    reopened = Registry(registry.blobs, registry.database, pool=registry._pool)
    CatalogueLibrary(reopened, PrimitiveTable([])).load(version.digest)
    assert len(trials) == 2


def test_numbers_of_a_block_that_was_accepted_are_not_looked_at_again(files):
    spoilt = files["weights.safetensors"][:-4] + b"\x00\x00\xc0\x7f"
    with pytest.raises(Refused, match="NaN"):
        load_graph(files["graph.json"], spoilt)
    assert load_graph(files["graph.json"], spoilt, checked=True) is not None


def test_a_refusal_is_remembered_too(opened, files, pool):
    spoilt = {**files, "graph.json": b"{}"}
    for _ in range(2):
        with pytest.raises(Refused, match="lacks"):
            refused(opened, spoilt)
    with opened.database.reading() as session:
        assert [row.outcome for row in session.exec(select(tables.Verdict))] == ["refused"]


def test_what_may_be_the_fault_of_the_machine_is_not_remembered(tmp_path, files):
    class Slow:
        def validate(self, trial):
            return Verdict("silent", "did not end within 1 s")

        def close(self):
            """Nothing to end."""

    registry = Registry.open(tmp_path, pool=Slow())
    with pytest.raises(Refused, match="did not end"):
        refused(registry, files)
    with registry.database.reading() as session:
        assert session.exec(select(tables.Verdict)).all() == []
