"""A store by its address: a folder, or the URL of an object store with copies on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from metaloom_registry import storage
from metaloom_registry.digest import Digest
from metaloom_registry.storage.cached import LIMIT, CachedBlobs
from metaloom_registry.storage.folder import FolderBlobs
from metaloom_registry.storage.store import Collectable


def open_blobs(
    address: str | os.PathLike[str],
    cache: str | os.PathLike[str],
    *,
    limit: int = LIMIT,
    offline: bool = False,
) -> Collectable:
    """The store at a path or a URL; a URL's blobs are copied to a folder of their own in `cache`.

    Raises MissingExtra or StorageError where the address is not that of a store.
    """
    text = os.fspath(address)
    if "://" not in text:
        return FolderBlobs(text)
    copies = Path(cache).expanduser() / "blobs" / Digest.of(text.encode()).hex[:16]
    return CachedBlobs(storage.FsspecBlobs(text), copies, limit=limit, offline=offline)
