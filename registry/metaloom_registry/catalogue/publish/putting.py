"""Blobs put, then listed: in turns with the removal of blobs that nothing lists.

A publish puts its blobs before the transaction that lists them, and a collection removes blobs that
nothing lists.  So that it never removes what is about to be listed, it counts in the row `sweep`:
once before it removes any, in a transaction of its own, and once in the transaction in which it
removes them.  The count is odd in between, and stays so where a collection was killed.  A publish
begins at an even count, and its transaction looks at the count first: where it has changed since
the blobs were put, and one of them is there no more, they are put again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy as core
from sqlmodel import Session, select

from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound, StorageError
from metaloom_registry.storage.cached import origin_of
from metaloom_registry.storage.store import BlobStore

T = TypeVar("T")
_SWEEPS = core.select(tables.METADATA.tables["sweep"].c.count)
_SWEEPS_SHARED = _SWEEPS.with_for_update(read=True)
WRITERS = 8
"""How many blobs are put at once."""

TRIES = 1_000
"""How often blobs are put again; a collection spares what was put after it began."""


class Swept(Exception):
    """Blobs were removed since those of this publish were put."""


def put_all(store: BlobStore, contents: Mapping[Digest, bytes]) -> Iterable[Digest]:
    """Put blobs side by side: what waits for a disk or a network waits at once."""
    *others, largest = sorted(contents.values(), key=len)
    with ThreadPoolExecutor(max(1, min(len(others), WRITERS - 1))) as writers:
        waiting = [writers.submit(store.put, data) for data in others]
        store.put(largest)  # here, while the others are put elsewhere
        for one in waiting:
            one.result()
    return contents


def put_and_write(
    database: Database,
    store: BlobStore,
    put: Callable[[], Iterable[Digest]],
    change: Callable[[Session], T],
) -> T:
    """Put blobs, then make a change that lists them; the blobs are there when it is made.

    `put` puts them into the store, and says which.
    """
    kept = origin_of(store)
    for _ in range(TRIES):
        with database.reading() as session:
            before = sweeps(session)
        if before % 2:
            before = database.write(end_sweep)
        try:
            digests = put()
        except NotFound:  # what it looked for again may have been removed meanwhile
            with database.reading() as session:
                if sweeps(session) == before:
                    raise
            continue

        def unswept(
            session: Session, before: int = before, digests: Iterable[Digest] = digests
        ) -> T:
            if sweeps(session, shared=True) != before and not all(map(kept.has, digests)):
                raise Swept
            return change(session)

        try:
            return database.write(unswept)
        except Swept:
            continue
    raise StorageError("blobs are removed again and again while this is published; try later")


def sweeps(session: Session, *, shared: bool = False) -> int:
    """How often removals began and ended; `shared` lets none begin until the transaction ends."""
    found = session.connection().execute(_SWEEPS_SHARED if shared else _SWEEPS)
    return int(found.scalar_one())


def begin_sweep(session: Session) -> int:
    """The count of a removal to come, which others may share: odd, once this is committed."""
    row = hold_publishes(session)
    row.count += 1 - row.count % 2
    return row.count


def end_sweep(session: Session) -> int:
    """The even count once a removal is through, or is known not to take place in this count."""
    row = hold_publishes(session)
    row.count += row.count % 2
    return row.count


def hold_publishes(session: Session) -> tables.Sweep:
    """The row that counts removals; no publish lists blobs until the transaction ends."""
    row = session.exec(select(tables.Sweep).with_for_update()).one()
    session.add(row)
    return row
