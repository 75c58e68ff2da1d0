"""A library whose blobs are in S3, against a real server of this machine."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.hub.conftest import encoder
from tests.registry.storage.conftest import s3 as s3

from metaloom import Hub
from metaloom_registry import AlreadyExists, Corrupt, StorageError
from metaloom_registry.storage import CachedBlobs, FsspecBlobs

SIGNATURE = "image[1,4,4] -> vec[8]"


@pytest.fixture
def address(s3: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A new bucket, reached as people reach theirs: by the variables of AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3["secret"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3["endpoint_url"])
    monkeypatch.setenv("METALOOM_CACHE", str(tmp_path / "cache"))
    bucket = uuid.uuid4().hex
    FsspecBlobs(f"s3://{bucket}", **s3).files.mkdir(bucket)
    return f"s3://{bucket}/blobs"


@pytest.fixture
def opened(address: str, home: Path) -> Callable[[], Hub]:
    return lambda: Hub.open(home, blobs=address)


def test_a_library_remembers_where_its_blobs_are(opened, home, address):
    net = encoder()
    with opened() as hub:
        hub.publish("me/net", net, SIGNATURE)
        assert isinstance(hub.registry.blobs, CachedBlobs)
    with Hub.open(home) as again:
        x = torch.rand(2, 1, 4, 4)
        loaded: Any = again["me/net"].load()
        assert torch.equal(loaded(x), net(x))
        assert again.verify().sound
    assert not (home / "blobs").exists()
    with pytest.raises(AlreadyExists, match=f"its blobs at {address}, not at s3://other"):
        Hub.open(home, blobs="s3://other/blobs")


def test_a_library_with_its_own_blobs_is_not_moved(home, hub, address):
    hub.publish("me/net", encoder(), SIGNATURE)
    with pytest.raises(AlreadyExists, match="has its blobs in its folder"):
        Hub.open(home, blobs=address)


def test_what_was_read_once_is_there_offline(opened, monkeypatch, tmp_path):
    with opened() as hub:
        hub.publish("me/net", encoder(), SIGNATURE)
    monkeypatch.setenv("METALOOM_OFFLINE", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with opened() as offline:
        assert offline["me/net"].load() is not None
        with pytest.raises(StorageError, match="METALOOM_OFFLINE"):
            offline.publish("me/other", encoder(1), SIGNATURE)
        assert "me/other" not in offline
    monkeypatch.setenv("METALOOM_CACHE", str(tmp_path / "another"))
    with opened() as elsewhere, pytest.raises(StorageError, match="there is no copy"):
        elsewhere["me/net"].load()


def test_a_server_that_serves_other_bytes_is_caught(opened, monkeypatch, tmp_path):
    with opened() as hub:
        block = hub.publish("me/net", encoder(), SIGNATURE)
        file = block.manifest.files["weights.safetensors"]
        remote = hub.registry.blobs.remote
        remote.files.pipe_file(remote.path(file.digest), b"x" * file.size)
    monkeypatch.setenv("METALOOM_CACHE", str(tmp_path / "another"))
    with opened() as again:
        with pytest.raises(Corrupt, match=r"weights\.safetensors.*is damaged"):
            again["me/net"].load()
        assert len(again.verify().problems) == 1
