"""Suites that prove an implementation of a port; they need pytest.

    class TestMyBlobs(BlobStoreSuite):
        @pytest.fixture
        def store(self): ...

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.testing.blobs import BlobStoreSuite as BlobStoreSuite
    from metaloom_registry.testing.libraries import LibrarySuite as LibrarySuite
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "blobs": ("BlobStoreSuite",),
            "libraries": ("LibrarySuite",),
        },
    )
