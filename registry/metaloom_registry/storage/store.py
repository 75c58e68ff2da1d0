"""A store of bytes, each under its digest: the port that every kind of storage implements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt


class BlobStore(Protocol):
    """Keeps bytes by their digest, and gives back those bytes or an error, never others."""

    def put(self, data: bytes) -> Digest:
        """Keep the bytes; once this returns they outlive a crash.

        Bytes that are there already are not written again, damaged ones are made good.  Raises
        StorageError where the store cannot be written.
        """
        ...

    def get(self, digest: Digest) -> bytes:
        """The bytes, verified.

        Raises NotFound where they are not there, Corrupt where others are, StorageError where the
        store cannot be read.
        """
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the bytes are there; they are not verified."""
        ...

    def digests(self) -> Iterator[Digest]:
        """Every digest the store holds, in no order."""
        ...


class Collectable(BlobStore, Protocol):
    """A store from which what nobody needs can be removed."""

    def last_put(self, digest: Digest) -> float:
        """When the bytes were last put, in seconds since 1970; putting them again renews it.

        Raises NotFound, or StorageError where the store cannot be read.
        """
        ...

    def remove(self, digest: Digest) -> None:
        """Hold these bytes no longer; nothing where they are not held. Raises StorageError."""
        ...


def verified(data: bytes, digest: Digest, where: str) -> bytes:
    """The bytes, once they are known to be those the digest names. Raises Corrupt."""
    found = Digest.of(data)
    if found != digest:
        raise Corrupt(
            f"{where} is damaged: its {len(data)} bytes have the digest {found} instead of "
            f"{digest}; publish the block again or restore the file from a copy"
        )
    return data
