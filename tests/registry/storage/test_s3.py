"""Blobs in S3, against a real server of this machine."""

import itertools
import socket
import threading

import pytest

from metaloom_registry import Corrupt, Digest, NotFound, StorageError
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


class Server:
    """A server of this machine that answers each connection once, and hangs up."""

    def answers(self):
        """What it says to one connection after another."""
        raise NotImplementedError

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *_):
        self.socket.close()

    def _serve(self):
        for answer in self.answers():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(65536)
                head = answer.index(b"\r\n\r\n") + 4
                connection.sendall(answer[:head] if asked.startswith(b"HEAD") else answer)


def answer(status, length, data):
    head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + data


class Falling(Server):
    """Answers with some bytes of a megabyte."""

    def answers(self):
        return itertools.repeat(answer("200 OK", len(MEBIBYTE), MEBIBYTE[:1000]))


class Busy(Server):
    """Is busy at first, and then falls, before it gives the blob."""

    def answers(self):
        yield answer("503 Slow Down", 0, b"")
        yield answer("200 OK", len(MEBIBYTE), MEBIBYTE[:1000])
        yield from itertools.repeat(answer("200 OK", len(MEBIBYTE), MEBIBYTE))


class Lying(Server):
    """Answers with more bytes than are in the blob."""

    def answers(self):
        return itertools.repeat(answer("200 OK", len(MEBIBYTE) + 4, MEBIBYTE + b"more"))


def test_a_network_lost_in_the_middle_of_a_blob_is_an_error_that_names_the_store(s3):
    with Falling() as endpoint:
        store = FsspecBlobs("s3://bucket/blobs", **{**s3, "endpoint_url": endpoint})
        store.files.retries = 1
        with pytest.raises(StorageError, match=r"cannot read .* of the store s3://bucket/blobs"):
            store.get(Digest.of(MEBIBYTE))


def test_a_server_that_is_busy_for_a_while_is_asked_again(s3):
    with Busy() as endpoint:
        store = FsspecBlobs("s3://bucket/blobs", **{**s3, "endpoint_url": endpoint})
        assert store.get(Digest.of(MEBIBYTE)) == MEBIBYTE


def test_a_server_that_gives_too_many_bytes_is_caught(s3):
    with Lying() as endpoint:
        store = FsspecBlobs("s3://bucket/blobs", **{**s3, "endpoint_url": endpoint})
        with pytest.raises(Corrupt, match=r"of the store s3://bucket/blobs is damaged"):
            store.get(Digest.of(MEBIBYTE))
