"""Garbage collection: bytes that no block has are removed once they are old enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import func
from sqlmodel import Session, select

from metaloom_registry.catalogue import publishing, tables
from metaloom_registry.catalogue.putting import begin_sweep
from metaloom_registry.catalogue.registry import Registry
from metaloom_registry.digest import Digest
from metaloom_registry.errors import MetaloomError, NotFound, StorageError
from metaloom_registry.storage.folder import FolderBlobs
from metaloom_registry.storage.store import BlobStore, Collectable

DAY = 86_400.0
BATCH = 200
"""Blobs removed in one transaction: so long a publish waits at most."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed, how many unreachable blobs it spared, and files half written."""

    removed: tuple[Digest, ...]
    spared: int
    unfinished: int


def collect(registry: Registry, grace: float = DAY, *, dry: bool = False) -> Collected:
    """Remove the blobs that no block has and that were last put more than `grace` seconds ago.

    Publishes may run meanwhile, at any grace: each removal is one transaction, in turns with
    theirs.  A blob from the future, after a clock jumped back, is spared.  `dry` removes nothing.
    Raises StorageError where the manifest of a block cannot be read, for then nobody knows which
    blobs it has.
    """
    blobs = _collectable(registry.blobs)
    before = registry.now() - grace
    reachable = Reachable(registry)
    unreachable = [digest for digest in blobs.digests() if digest not in reachable.digests]
    old = [digest for digest in unreachable if _is_old(blobs, digest, before)]
    removed: list[Digest] = []
    for batch in [] if dry else _batches(old):

        def change(session: Session, batch: Sequence[Digest] = batch) -> list[Digest]:
            begin_sweep(session)
            reachable.extend(session)
            gone = [d for d in batch if d not in reachable.digests and _is_old(blobs, d, before)]
            for digest in gone:
                blobs.remove(digest)
            return gone

        removed += registry.database.write(change)
    unfinished = 0
    if isinstance(blobs, FolderBlobs) and not dry:
        unfinished = blobs.remove_unfinished(grace)
    found = tuple(old if dry else removed)
    return Collected(found, len(unreachable) - len(found), unfinished)


class Reachable:
    """The blobs that blocks have: those of all blocks, and later those of new ones."""

    def __init__(self, registry: Registry) -> None:
        self.digests: set[Digest] = set()
        self._registry = registry
        self._after = 0
        # Ids are given in order of commits only while publishes wait, so one look makes them.
        last = registry.database.write(_last_block)
        while self._after < last:
            with registry.database.reading() as session:
                rows = publishing.blocks_after(session, self._after)
            for id_, key in rows:
                if id_ <= last:
                    self._add(Digest(key))
            self._after = min(last, rows[-1][0]) if rows else last

    def extend(self, session: Session) -> None:
        """Add the blobs of the blocks published since; publishes wait for this transaction."""
        while rows := publishing.blocks_after(session, self._after):
            for id_, key in rows:
                self._add(Digest(key))
                self._after = id_

    def _add(self, block: Digest) -> None:
        try:
            manifest = self._registry.read_manifest(block)
        except MetaloomError as error:
            raise StorageError(
                f"nothing is removed: which blobs the block {block} has cannot be read: {error}; "
                "`metaloom verify` lists what is damaged, `metaloom repair` restores it"
            ) from error
        self.digests.add(block)
        self.digests.update(file.digest for file in manifest.files.values())


def _last_block(session: Session) -> int:
    begin_sweep(session)
    return session.exec(select(func.max(tables.Block.id))).one() or 0


def _collectable(blobs: BlobStore) -> Collectable:
    if not (hasattr(blobs, "remove") and hasattr(blobs, "last_put")):
        raise StorageError(
            f"a {type(blobs).__name__} cannot remove blobs; see metaloom_registry.Collectable"
        )
    found: Collectable = blobs  # type: ignore[assignment]
    return found


def _is_old(blobs: Collectable, digest: Digest, before: float) -> bool:
    try:
        return blobs.last_put(digest) < before
    except NotFound:  # another collection was first
        return False


def _batches(digests: Iterable[Digest]) -> Iterator[list[Digest]]:
    rest = iter(digests)
    while batch := list(islice(rest, BATCH)):
        yield batch
