"""Blobs in an object store that fsspec reaches: `memory://`, and with its extra `s3://`.

An object store puts an object whole or not at all.  A folder of the local disk does not, which is
what `FolderBlobs` is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fsspec.core import url_to_fs

from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, MissingExtra, NotFound, StorageError
from metaloom_registry.storage.store import verified


class FsspecBlobs:
    """A store under a URL; `options` go to the file system, such as an S3 endpoint."""

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
        digest = Digest.of(data)
        path = self.path(digest)
        try:
            try:
                verified(self.files.cat_file(path), digest, path)
            except (FileNotFoundError, Corrupt):
                self.files.pipe_file(path, data)
        except OSError as error:
            raise StorageError(f"cannot write into the store {self.url}: {error}") from error
        return digest

    def get(self, digest: Digest) -> bytes:
        path = self.path(digest)
        try:
            data: bytes = self.files.cat_file(path)
        except FileNotFoundError:
            raise NotFound(f"the store {self.url} holds no blob {digest}") from None
        except OSError as error:
            raise StorageError(f"cannot read {path} of the store {self.url}: {error}") from error
        return verified(data, digest, f"the blob {path} of the store {self.url}")

    def has(self, digest: Digest) -> bool:
        return bool(self.files.exists(self.path(digest)))

    def digests(self) -> Iterator[Digest]:
        try:
            found = self.files.find(f"{self.root.rstrip('/')}/sha256")
        except FileNotFoundError:
            return
        for path in found:
            first, _, rest = path.rpartition("/")
            name = first.rpartition("/")[2] + rest
            if len(name) == 64:
                yield Digest(name)
