"""Blobs of a remote store with copies on this machine: read once over the network, then here."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, NotFound, StorageError
from metaloom_registry.storage.folder import FolderBlobs
from metaloom_registry.storage.store import BlobStore, Collectable, verified

LIMIT = 10 << 30
"""How many bytes of copies are kept unless something else is said: 10 GiB."""

KEPT = 0.9
"""The share of the limit that is left after an eviction, so that not every read evicts."""


class CachedBlobs:
    """A remote store, with copies in `folder` of what was read, at most `limit` bytes of them.

    What the remote serves is checked against its digest before it is kept or returned, and a copy
    that was damaged is fetched again.  Beyond the limit the copies go that were used longest ago.
    `offline` asks the remote for nothing.  Any number of processes may share a folder, and each may
    be a tenth of the limit beyond it.
    """

    def __init__(
        self,
        remote: Collectable,
        folder: str | os.PathLike[str],
        *,
        limit: int = LIMIT,
        offline: bool = False,
    ) -> None:
        self.remote = remote
        self.copies = FolderBlobs(folder)
        self.limit = limit
        self.offline = offline
        self._lock = threading.Lock()
        self._size: int | None = None
        self._added = 0

    def put(self, data: bytes) -> Digest:
        """Put into the remote, and keep a copy. Raises StorageError offline."""
        self._require_online(f"put {len(data)} bytes")
        digest = self.remote.put(data)
        self._keep(data)
        return digest

    def get(self, digest: Digest) -> bytes:
        """The copy, else what the remote holds.

        Raises StorageError offline where there is no copy that can be read, and as the remote does.
        """
        try:
            data = self.copies.get(digest)
        except NotFound:
            pass
        except Corrupt:
            self._forget(digest)
        except StorageError:  # a disk that fails, or the copy of somebody who lets nobody read it
            if self.offline:
                raise
        else:
            with contextlib.suppress(OSError):  # evicted meanwhile, or not ours to mark
                os.utime(self.copies.path(digest))
            return data
        self._require_online(f"read the blob {digest}, of which there is no copy")
        data = verified(self.remote.get(digest), digest, f"what the remote serves as {digest}")
        self._keep(data)
        return data

    def has(self, digest: Digest) -> bool:
        return self.copies.has(digest) or (not self.offline and self.remote.has(digest))

    def digests(self) -> Iterator[Digest]:
        """What the remote holds; offline the copies."""
        return self.copies.digests() if self.offline else self.remote.digests()

    def last_put(self, digest: Digest) -> float:
        self._require_online(f"ask for the age of {digest}")
        return self.remote.last_put(digest)

    def remove(self, digest: Digest) -> None:
        """Remove from the remote, and the copy of this machine."""
        self._require_online(f"remove {digest}")
        self.remote.remove(digest)
        self._forget(digest)

    def _require_online(self, doing: str) -> None:
        if self.offline:
            raise StorageError(
                f"cannot {doing}: METALOOM_OFFLINE forbids to ask the remote store; "
                "unset it, or read the block once while there is a connection"
            )

    def _keep(self, data: bytes) -> None:
        """Keep a copy, unless the disk cannot take it: whoever reads has the bytes anyway."""
        if len(data) > self.limit:
            return
        with contextlib.suppress(StorageError):
            self.copies.put(data)
        with contextlib.suppress(StorageError), self._lock:
            self._added += len(data)
            if self._size is None or self._added > (1 - KEPT) * self.limit:
                self._size, self._added = self._total(), 0
            else:
                self._size += len(data)
            if self._size > self.limit:
                self._evict()

    def _forget(self, digest: Digest) -> None:
        with contextlib.suppress(StorageError):
            self.copies.remove(digest)

    def _total(self) -> int:
        """The bytes of all copies, whoever made them: counted now and then, else kept up.

        What killed processes left half-written is removed by the way.
        """
        self.copies.remove_unfinished(0)
        return sum(size for _, size, _ in self._listed())

    def _evict(self) -> None:
        """Remove the copies used longest ago until there is room; others may evict meanwhile."""
        listed = self._listed()
        total = sum(size for _, size, _ in listed)
        for _, size, path in listed if total > self.limit else ():
            if total <= KEPT * self.limit:
                break
            try:
                path.unlink(missing_ok=True)
            except OSError:  # the copy of somebody else, who may evict it
                continue
            total -= size
        self._size = total

    def _listed(self) -> list[tuple[float, int, Path]]:
        """When each copy was last used, its bytes and its path; the latest at the end."""
        found = []
        for digest in self.copies.digests():
            path = self.copies.path(digest)
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found)


def origin_of(store: BlobStore) -> BlobStore:
    """The store without its copies on this machine, unless nothing may be asked of it."""
    return store.remote if isinstance(store, CachedBlobs) and not store.offline else store
