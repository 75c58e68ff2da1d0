"""A real S3 server of this machine, which keeps its buckets in memory."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from metaloom_registry.storage import FsspecBlobs


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, Any]]:
    """The options of fsspec for the server."""
    pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
    server_module = pytest.importorskip("moto.server", reason="moto is not installed")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "key": "key",
        "secret": "secret",
        "endpoint_url": f"http://{host}:{port}",
        "config_kwargs": {"retries": {"max_attempts": 1}, "connect_timeout": 5},
    }
    server.stop()


@pytest.fixture
def bucket(s3: dict[str, Any]) -> Callable[[], FsspecBlobs]:
    """Makes an empty store in a bucket of its own."""

    def make() -> FsspecBlobs:
        name = uuid.uuid4().hex
        store = FsspecBlobs(f"s3://{name}/blobs", **s3)
        store.files.mkdir(name)
        return store

    return make
