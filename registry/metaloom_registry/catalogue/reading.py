"""The bytes of blocks: their manifests, which are remembered, and their files, all verified."""

from __future__ import annotations

from collections.abc import Callable

from metaloom_registry.catalogue.publish import custody
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, NotFound
from metaloom_registry.manifest import Manifest

MANIFESTS_KEPT = 4096


class Reader:
    """Reads the blocks that a database lists; `get` gives the verified bytes of a blob."""

    def __init__(self, database: Database, get: Callable[[Digest], bytes]) -> None:
        self._database = database
        self._get = get
        self._manifests: dict[Digest, Manifest] = {}

    def manifest(self, digest: Digest) -> Manifest:
        """The manifest of a block. Raises NotFound or Corrupt."""
        known = self._manifests.get(digest)
        if known is None:
            with self._database.reading() as session:
                custody.require_held(session, digest)
            known = self.read_manifest(digest)
            if len(self._manifests) >= MANIFESTS_KEPT:
                self._manifests = {}
            self._manifests[digest] = known
        return known

    def read(self, digest: Digest, path: str) -> bytes:
        """The bytes of one file of a block, verified. Raises NotFound or Corrupt."""
        manifest = self.manifest(digest)
        file = manifest.files.get(path)
        if file is None:
            there = ", ".join(manifest.files) or "no files"
            raise NotFound(f"the block {digest} has no file {path[:80]!r}; it has {there}")
        return self.read_file(digest, path, file.digest)

    def files(self, digest: Digest) -> dict[str, bytes]:
        """The bytes of every file of a block, verified."""
        return {path: self.read(digest, path) for path in self.manifest(digest).files}

    def read_file(self, block: Digest, path: str, file: Digest) -> bytes:
        """The bytes of one file as the manifest of a block names it. Raises NotFound or Corrupt."""
        return self._blob(block, file, f"file {path!r}")

    def read_manifest(self, digest: Digest) -> Manifest:
        """The manifest, read from the store whatever is remembered.

        Raises Corrupt, or NotFound where the block was taken away for good.
        """
        return Manifest.parse(self._blob(digest, digest, "manifest"))

    def _blob(self, block: Digest, digest: Digest, what: str) -> bytes:
        try:
            return self._get(digest)
        except Corrupt as error:
            raise Corrupt(f"the block {block}, {what}: {error}") from None
        except NotFound as error:
            with self._database.reading() as session:
                custody.require_held(session, block)  # or it was taken away since it was remembered
            raise Corrupt(
                f"the block {block}, {what}: {error}, although it is listed; "
                "publish the block again or restore the file from a copy"
            ) from None
