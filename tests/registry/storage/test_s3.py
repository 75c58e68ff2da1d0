"""Blobs in S3, against a real server of this machine."""

import socket
import threading

import pytest

from metaloom_registry import Digest, NotFound, StorageError
from metaloom_registry.storage import FsspecBlobs
from metaloom_registry.testing import CollectableSuite

MEBIBYTE = bytes(range(256)) * 4096


class TestS3Blobs(CollectableSuite):
    @pytest.fixture
    def store(self, bucket):
        return bucket()

    def damage(self, store, digest, data):
        store.files.pipe_file(store.path(digest), data)


def test_two_clients_see_what_the_other_puts_and_removes(bucket, s3):
    one = bucket()
    other = FsspecBlobs(one.url, **s3, skip_instance_cache=True)
    digest = one.put(b"words")
    assert list(other.digests()) == [digest]
    other.remove(digest)
    assert not one.has(digest)
    assert list(one.digests()) == []


def test_a_bucket_that_is_not_there_is_named(s3):
    store = FsspecBlobs("s3://no-such-bucket/blobs", **s3)
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/blobs.*check the connection"):
        store.put(b"words")
    with pytest.raises(NotFound, match=r"s3://no-such-bucket/blobs holds no blob"):
        store.get(Digest.of(b"words"))


class Falling:
    """A server that takes a connection, answers with some bytes of a megabyte, and hangs up."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(MEBIBYTE)}\r\n\r\n".encode()
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(head + MEBIBYTE[:1000])


def test_a_network_lost_in_the_middle_of_a_blob_is_an_error_that_names_the_store(s3):
    with Falling() as endpoint:
        store = FsspecBlobs("s3://bucket/blobs", **{**s3, "endpoint_url": endpoint})
        store.files.retries = 1
        with pytest.raises(StorageError, match=r"cannot read .* of the store s3://bucket/blobs"):
            store.get(Digest.of(MEBIBYTE))
