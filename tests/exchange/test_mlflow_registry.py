"""Blocks in MLflow's own registry, and models from there, against a real SQLite store."""

from __future__ import annotations

from typing import Any

import pytest
import torch

mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")

from tests.exchange.conftest import SIGNATURE  # noqa: E402

from metaloom.exchange import from_pretrained, import_block, register_model  # noqa: E402
from metaloom.lineage import Sender, block_of_model, trace_run  # noqa: E402
from metaloom_metalearn import Examples, Task  # noqa: E402
from metaloom_registry import (  # noqa: E402
    Consent,
    Corrupt,
    Digest,
    NotFound,
    ParseError,
    Refused,
    StorageError,
    parse_type,
)


@pytest.fixture
def uri(tmp_path, monkeypatch):
    """A tracking server in a file, for a moment the one that MLflow uses by itself."""
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(address)
    client = mlflow.MlflowClient()
    client.create_experiment("metaloom", artifact_location=(tmp_path / "artifacts").as_uri())
    yield address
    mlflow.set_tracking_uri(before)


def test_a_registered_block_comes_back_as_the_same_block(block, other, uri, images):
    address = register_model(block, "small", uri)
    assert address == "models:/small/1"
    assert register_model(block, "small", uri) == "models:/small/2"
    client = mlflow.MlflowClient()
    version = client.get_model_version("small", "1")
    assert version.tags["metaloom.digest"] == str(block.digest)
    assert block_of_model(client, "models:/small/1") == block.digest
    logged = version.source.removeprefix("models:/")
    assert block_of_model(client, logged) == block.digest
    served = mlflow.pyfunc.load_model(address).predict(images.numpy())
    expected = block.load().eval()(images).detach()
    assert torch.allclose(torch.as_tensor(served), expected, atol=1e-6)
    copy = import_block(other, "me/back", address)
    assert copy.digest == block.digest
    with pytest.raises(Corrupt, match="was asked for"):
        from_pretrained(other, address, "me/x", digest=Digest.of(b"x"))
    again = from_pretrained(other, address, "me/again", digest=block.digest)
    assert again.digest == block.digest


def test_a_pytorch_model_is_a_pickle_and_needs_trust(other, uri, net, images):
    with mlflow.start_run():
        mlflow.pytorch.log_model(
            net,
            name="plain",
            registered_model_name="plain",
            pip_requirements=[],
            serialization_format="pickle",
        )
    with pytest.raises(Refused, match=r"models:/plain/1 is a pickled model.*--trust"):
        import_block(other, "me/plain", "models:/plain/1", SIGNATURE)
    with pytest.raises(NotFound, match=r"models:/plain/1 is no block .*metaloom import NAME"):
        from_pretrained(other, "models:/plain/1", "me/plain")
    made: Any = import_block(
        other, "me/plain", "models:/plain/1", SIGNATURE, consent=Consent(trust=True)
    )
    assert torch.allclose(made.load().eval()(images), net(images), atol=1e-6)
    with pytest.raises(NotFound, match=r"no tag metaloom\.digest"):
        block_of_model(mlflow.MlflowClient(), "models:/plain/1")


def test_what_is_not_registered_is_named(other, uri):
    with pytest.raises(StorageError, match=r"models:/none/1 cannot be fetched.*check the name"):
        import_block(other, "me/x", "models:/none/1", SIGNATURE)


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "100%", "'"])
def test_a_name_that_mlflow_does_not_take_is_refused(block, uri, name):
    with pytest.raises(ParseError, match="is no name of an MLflow model"):
        register_model(block, name, uri)


def test_where_the_mirror_is_off_a_server_has_to_be_named(block, monkeypatch):
    monkeypatch.setenv("METALOOM_MLFLOW_URI", "off")
    with pytest.raises(StorageError, match="METALOOM_MLFLOW_URI is off"):
        register_model(block, "small")


def test_what_is_pushed_is_pulled_from_the_same_server(block, other, tmp_path, monkeypatch):
    """Both take the server that the library is mirrored to, whatever MLflow's own settings are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("METALOOM_MLFLOW_URI", f"sqlite:///{tmp_path / 'shared.db'}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'another.db'}")
    address = register_model(block, "small")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'shared.db'}")
    client.set_registered_model_alias("small", "champion", "1")
    assert from_pretrained(other, address, "me/back").digest == block.digest
    assert import_block(other, "me/champion", "models:/small@champion").digest == block.digest
    assert import_block(other, "me/latest", "models:/small/latest").digest == block.digest
    assert block_of_model(client, "models:/small@champion") == block.digest
    assert not (tmp_path / "mlflow.db").exists(), "nothing is left where the command was given"


def test_a_block_is_registered_as_the_model_that_its_run_gave(hub, uri):
    client = mlflow.MlflowClient()
    task = Task(parse_type("int -> int"), Examples(((1, 4, 9),), (2, 5, 10)), name="next")
    block = hub.publish("me/next", hub.solve(task, "10s"))
    Sender(hub.home, hub.registry.outbox, uri).flush()
    version = client.get_model_version(
        "next", register_model(block, "next", uri).rpartition("/")[2]
    )
    run = client.get_run(version.run_id)
    assert run.info.run_name == "next"
    [given] = run.outputs.model_outputs
    assert version.source == f"models:/{given.model_id}"
    assert trace_run(client, version.run_id).outputs == (block.digest,)


def test_a_model_of_a_run_and_a_pt2_file_are_read_where_they_are_trusted(
    other, uri, net, images, monkeypatch
):
    monkeypatch.setenv("METALOOM_MLFLOW_URI", uri)
    with mlflow.start_run() as run:
        mlflow.pytorch.log_model(
            net.eval(),
            name="exported",
            pip_requirements=[],
            serialization_format="pt2",
            input_example=images.numpy(),
        )
    address = f"runs:/{run.info.run_id}/exported"
    with pytest.raises(Refused, match=r"runs:/.*/exported is a \.pt2 file.*--trust"):
        import_block(other, "me/exported", address, SIGNATURE)
    made: Any = import_block(other, "me/exported", address, SIGNATURE, consent=Consent(trust=True))
    assert torch.allclose(made.load().eval()(images), net(images), atol=1e-6)


@pytest.mark.parametrize(
    "address", ["models:/", "models:/a/b/c", "models:/a/Production", "runs:/x"]
)
def test_an_address_that_is_none_is_refused(other, uri, address):
    with pytest.raises(StorageError, match=r"is no address of"):
        import_block(other, "me/x", address, SIGNATURE)
