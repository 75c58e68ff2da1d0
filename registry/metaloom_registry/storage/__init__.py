"""Where bytes are kept, each under its digest.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.storage.addresses import open_blobs as open_blobs
    from metaloom_registry.storage.cached import CachedBlobs as CachedBlobs
    from metaloom_registry.storage.folder import FolderBlobs as FolderBlobs
    from metaloom_registry.storage.fsspec_store import FsspecBlobs as FsspecBlobs
    from metaloom_registry.storage.memory import MemoryBlobs as MemoryBlobs
    from metaloom_registry.storage.store import BlobStore as BlobStore
    from metaloom_registry.storage.store import Collectable as Collectable
    from metaloom_registry.storage.store import verified as verified
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "addresses": ("open_blobs",),
            "cached": ("CachedBlobs",),
            "folder": ("FolderBlobs",),
            "fsspec_store": ("FsspecBlobs",),
            "memory": ("MemoryBlobs",),
            "store": (
                "BlobStore",
                "Collectable",
                "verified",
            ),
        },
    )
