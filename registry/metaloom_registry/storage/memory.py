"""Blobs in memory: for tests, and for a registry that lives as long as the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.storage.store import verified


class MemoryBlobs:
    """A store that forgets everything when the process ends; `held` is what it holds."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.held: dict[Digest, bytes] = {}
        self._now = now
        self._put: dict[Digest, float] = {}

    def put(self, data: bytes) -> Digest:
        digest = Digest.of(data)
        self._put[digest] = self._now()
        self.held[digest] = bytes(data)
        return digest

    def get(self, digest: Digest) -> bytes:
        try:
            data = self.held[digest]
        except KeyError:
            raise _not_held(digest) from None
        return verified(data, digest, f"the blob {digest.short} in memory")

    def has(self, digest: Digest) -> bool:
        return digest in self.held

    def digests(self) -> Iterator[Digest]:
        return iter(tuple(self.held))

    def last_put(self, digest: Digest) -> float:
        try:
            return self._put[digest]
        except KeyError:
            raise _not_held(digest) from None

    def remove(self, digest: Digest) -> None:
        self.held.pop(digest, None)
        self._put.pop(digest, None)


def _not_held(digest: Digest) -> NotFound:
    return NotFound(f"the memory holds no blob {digest}")
