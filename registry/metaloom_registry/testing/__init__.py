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
    from metaloom_registry.testing.blobs import CollectableSuite as CollectableSuite
    from metaloom_registry.testing.declarations import PrimitiveSuite as PrimitiveSuite
    from metaloom_registry.testing.generating import terms as terms
    from metaloom_registry.testing.generating import types as types
    from metaloom_registry.testing.generating import values as values
    from metaloom_registry.testing.importers import ImporterSuite as ImporterSuite
    from metaloom_registry.testing.interpreter import interpret as interpret
    from metaloom_registry.testing.libraries import LibrarySuite as LibrarySuite
    from metaloom_registry.testing.postgresql import postgres as postgres
    from metaloom_registry.testing.postgresql import postgres_binaries as postgres_binaries
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "blobs": (
                "BlobStoreSuite",
                "CollectableSuite",
            ),
            "declarations": ("PrimitiveSuite",),
            "generating": (
                "terms",
                "types",
                "values",
            ),
            "importers": ("ImporterSuite",),
            "interpreter": ("interpret",),
            "libraries": ("LibrarySuite",),
            "postgresql": (
                "postgres",
                "postgres_binaries",
            ),
        },
    )
