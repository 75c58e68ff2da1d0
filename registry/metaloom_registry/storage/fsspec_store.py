"""Blobs in an object store that fsspec reaches: `memory://`, and with its extra `s3://`.

An object store puts an object whole or not at all.  A folder of the local disk does not, which is
what `FolderBlobs` is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fsspec.core import url_to_fs

from metaloom_registry.digest import Digest
from metaloom_registry.errors import MetaloomError, MissingExtra, NotFound, StorageError
from metaloom_registry.storage.store import verified

_BLOB = re.compile(r"/sha256/([0-9a-f]{2})/([0-9a-f]{62})\Z", re.ASCII)


class FsspecBlobs:
    """A store under a URL; `options` go to the file system, such as S3's `endpoint_url`."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        try:
            self.files, self.root = url_to_fs(url, **options)
        except ImportError as error:
            raise MissingExtra(
                f"the store {url} needs a package that is not installed: {error}; "
                "for s3:// run `pip install 'metaloom[s3]'`"
            ) from None
        except ValueError as error:
            raise StorageError(f"{url!r} is not the URL of a store: {error}") from None
        if "file" in (self.files.protocol, *self.files.protocol):
            raise StorageError(f"{url!r} is a folder of this machine; open it with FolderBlobs")

    def path(self, digest: Digest) -> str:
        """Where the bytes of a digest are kept."""
        return f"{self.root.rstrip('/')}/sha256/{digest.hex[:2]}/{digest.hex[2:]}"

    def put(self, data: bytes) -> Digest:
        """Send the bytes, those that are there too: it costs no more than to read them again."""
        digest = Digest.of(data)
        with self._reached(f"write {len(data)} bytes into"):
            self.files.pipe_file(self.path(digest), data)
        return digest

    def get(self, digest: Digest) -> bytes:
        path = self.path(digest)
        with self._reached(f"read {path} of", digest):
            data: bytes = self.files.cat_file(path)
        return verified(data, digest, f"the blob {path} of the store {self.url}")

    def has(self, digest: Digest) -> bool:
        with self._reached(f"look for {digest} in"):
            self.files.invalidate_cache()
            return bool(self.files.exists(self.path(digest)))

    def digests(self) -> Iterator[Digest]:
        with self._reached("list"):
            self.files.invalidate_cache()
            try:
                found = self.files.find(f"{self.root.rstrip('/')}/sha256")
            except FileNotFoundError:
                return
        for path in found:
            if blob := _BLOB.search(path):
                yield Digest(blob[1] + blob[2])

    def last_put(self, digest: Digest) -> float:
        with self._reached(f"look for {digest} in", digest):
            self.files.invalidate_cache()
            return float(self.files.modified(self.path(digest)).timestamp())

    def remove(self, digest: Digest) -> None:
        with self._reached(f"remove {digest} from"):
            try:
                self.files.rm_file(self.path(digest))
            except FileNotFoundError:
                return

    @contextmanager
    def _reached(self, doing: str, digest: Digest | None = None) -> Iterator[None]:
        """Say what a failing store means; a missing file is NotFound where a digest is wanted.

        What fails is of many kinds: of the network, of the store's own protocol, of its time-outs.
        """
        try:
            yield
        except MetaloomError:
            raise
        except Exception as error:
            if digest is not None and isinstance(error, FileNotFoundError):
                raise NotFound(f"the store {self.url} holds no blob {digest}") from None
            raise StorageError(
                f"cannot {doing} the store {self.url}: {type(error).__name__}: "
                f"{str(error)[:300]}; check the connection, the address and the credentials"
            ) from error
