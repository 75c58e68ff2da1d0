"""Garbage collection: bytes that no block has are removed once they are old enough."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, select

from metaloom_registry.catalogue.publish import publishing
from metaloom_registry.catalogue.publish.putting import begin_sweep, end_sweep, hold_publishes
from metaloom_registry.catalogue.registry import Registry
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.digest import Digest
from metaloom_registry.errors import MetaloomError, NotFound, StorageError
from metaloom_registry.storage.folder import FolderBlobs
from metaloom_registry.storage.store import BlobStore, Collectable

DAY = 86_400.0
TURN = 0.1
"""Seconds for which one transaction removes blobs, and for which publishes go before the next."""


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
    removed = [] if dry else _remove(registry, blobs, old, before, reachable)
    unfinished = 0
    if isinstance(blobs, FolderBlobs) and not dry:
        unfinished = blobs.remove_unfinished(grace)
    found = tuple(old if dry else removed)
    return Collected(found, len(unreachable) - len(found), unfinished)


def _remove(
    registry: Registry,
    blobs: Collectable,
    old: Sequence[Digest],
    before: float,
    reachable: Reachable,
) -> list[Digest]:
    """Remove those of these blobs that are still old and that still no block has."""
    removed: list[Digest] = []
    while old:
        count = registry.database.write(begin_sweep)

        def change(
            session: Session, count: int = count, waiting: Sequence[Digest] = old
        ) -> tuple[int, list[Digest]]:
            if hold_publishes(session).count != count:  # somebody ended it, so begin another
                return 0, []
            reachable.extend(session)
            until = time.monotonic() + TURN
            turn, gone = 0, []
            while turn < len(waiting) and (turn == 0 or time.monotonic() < until):
                digest = waiting[turn]
                if digest not in reachable.digests and _is_old(blobs, digest, before):
                    blobs.remove(digest)
                    gone.append(digest)
                turn += 1
            end_sweep(session)
            return turn, gone

        turn, gone = registry.database.write(change)
        removed += gone
        old = old[turn:]
        if old:
            time.sleep(TURN)
    return removed


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
        except NotFound:  # taken away for good meanwhile
            return
        except MetaloomError as error:
            raise StorageError(
                f"nothing is removed: which blobs the block {block} has cannot be read: {error}; "
                "`metaloom verify` lists what is damaged, `metaloom repair` restores it"
            ) from error
        self.digests.add(block)
        self.digests.update(file.digest for file in manifest.files.values())


def _last_block(session: Session) -> int:
    hold_publishes(session)
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
