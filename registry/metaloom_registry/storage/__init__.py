"""Where bytes are kept, each under its digest.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.storage.folder import FolderBlobs as FolderBlobs
    from metaloom_registry.storage.fsspec_store import FsspecBlobs as FsspecBlobs
    from metaloom_registry.storage.memory import MemoryBlobs as MemoryBlobs
    from metaloom_registry.storage.store import BlobStore as BlobStore
    from metaloom_registry.storage.store import verified as verified
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "folder": ("FolderBlobs",),
            "fsspec_store": ("FsspecBlobs",),
            "memory": ("MemoryBlobs",),
            "store": ("BlobStore", "verified"),
        },
    )
