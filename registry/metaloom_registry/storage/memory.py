"""Blobs in memory: for tests, and for a registry that lives as long as the process."""

from __future__ import annotations

from collections.abc import Iterator

from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.storage.store import verified


class MemoryBlobs:
    """A store that forgets everything when the process ends; `held` is what it holds."""

    def __init__(self) -> None:
        self.held: dict[Digest, bytes] = {}

    def put(self, data: bytes) -> Digest:
        digest = Digest.of(data)
        self.held[digest] = bytes(data)
        return digest

    def get(self, digest: Digest) -> bytes:
        try:
            data = self.held[digest]
        except KeyError:
            raise NotFound(f"the memory holds no blob {digest}") from None
        return verified(data, digest, f"the blob {digest.short} in memory")

    def has(self, digest: Digest) -> bool:
        return digest in self.held

    def digests(self) -> Iterator[Digest]:
        return iter(tuple(self.held))
