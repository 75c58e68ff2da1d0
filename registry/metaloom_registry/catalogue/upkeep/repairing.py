"""Repair: what is damaged or missing in a store, restored from another that has it."""

from __future__ import annotations

from dataclasses import dataclass

from metaloom_registry.catalogue.integrity import Problem
from metaloom_registry.catalogue.registry import Registry
from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, MetaloomError, NotFound
from metaloom_registry.storage.cached import origin_of
from metaloom_registry.storage.store import BlobStore


@dataclass(frozen=True, slots=True)
class Repaired:
    """The blobs that were restored, and what could not be."""

    restored: tuple[Digest, ...]
    problems: tuple[Problem, ...]


def repair(registry: Registry, source: BlobStore) -> Repaired:
    """Read every blob of every block, and restore the damaged and missing ones from a source.

    They are read where they are kept, whatever copies there are.  What the source gives is checked
    against its digest.
    """
    kept = origin_of(registry.blobs)
    restored: list[Digest] = []
    problems: list[Problem] = []

    def whole(block: Digest, blob: Digest) -> bool:
        try:
            kept.get(blob)
        except (Corrupt, NotFound):
            try:
                registry.blobs.put(source.get(blob))
            except MetaloomError as error:
                problems.append(Problem(block, f"the blob {blob} cannot be restored: {error}"))
                return False
            restored.append(blob)
        return True

    for block in registry.digests():
        if whole(block, block):
            for file in registry.read_manifest(block).files.values():
                whole(block, file.digest)
    return Repaired(tuple(restored), tuple(problems))
