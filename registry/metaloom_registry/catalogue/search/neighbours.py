"""The nearest points of a space: an exact search of all embeddings, eight bits a number.

Every embedding has a record in one file beside the database, mapped into memory: its numbers as
int8 times a scale, and how far that is from the point itself.  A query is one pass over the records
in pieces that the processor's cache holds; by the triangle inequality the distance to a point
differs from that to its record by at most what the record lost, so only records that may be among
the nearest are measured again by the points in the database.

The database alone is the truth.  A search first adds what the database has since been given; the
file counts what it holds in its header, written after the records are on the disk, so a crash loses
nothing that is not added again; a file that is missing or not of this database is made again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, func
from sqlmodel import col, select

from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among
from metaloom_registry.catalogue.search.embeddings import LENGTH

RECORD = np.dtype(
    [
        ("node", "<i8"),
        ("space", "<i8"),
        ("scale", "<f4"),
        ("square", "<f4"),
        ("lost", "<f4"),
        ("unused", "<f4"),
        ("values", "i1", (LENGTH,)),
    ]
)
"""A point is about `scale * values`, whose squared length is `square`; it is `lost` away."""

PIECE = 4_096
"""Records scanned at once: two megabytes of float32."""

COLUMNS = ("node", "space", "scale", "square", "lost")
"""The parts of a record that are read for every query, kept side by side in memory."""

ADDED = 20_000
"""Records added at once."""

AHEAD = 1_000
"""By how many records a file may be ahead of what a reader sees of the database."""

ROUNDING = 4e-6
"""What float32 may lose of a squared distance, of the squared lengths of both points."""

_HEADER = struct.Struct("<8sQQI")
_MAGIC = b"MLNEAR01"
_HEADER_BYTES = 64


class Neighbours:
    """The records of one catalogue's embeddings; in memory alone where there is no file."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._last = 0
        self._records: NDArray[np.void] = np.zeros(0, RECORD)
        self._columns = {name: self._records[name].copy() for name in COLUMNS}

    def nearest(
        self,
        connection: Connection,
        space: int,
        point: bytes,
        limit: int,
        keep: Callable[[Sequence[tuple[int, float]]], set[int]] | None = None,
        only: Sequence[int] | None = None,
    ) -> list[tuple[int, float]]:
        """The nearest nodes in a space with their Euclidean distances, the nearest first.

        `keep` says which of some nodes and distances count, `only` among which nodes to look.
        """
        query = np.frombuffer(point, "<f2").astype(np.float64)
        if only is None:
            self.update(connection)
            nodes, low, high = self._bounds(space, query.astype(np.float32))
        else:
            nodes = np.array(sorted(only), np.int64)
            low, high = np.zeros(len(nodes), np.float32), np.zeros(len(nodes), np.float32)
        wanted = len(nodes) if only is not None else min(max(limit, 1), len(nodes))
        while True:
            found = _first(connection, space, nodes, low, high, query, wanted)
            if keep is not None:
                kept = keep(found)
                found = [near for near in found if near[0] in kept]
            if len(found) >= limit or wanted == len(nodes):
                return found[:limit]
            wanted = min(wanted * 4, len(nodes))

    def update(self, connection: Connection) -> None:
        """Add what the database was given since the last time."""
        newest = connection.execute(select(func.max(tables.Embedding.id))).scalar_one() or 0
        if newest == self._last:
            return
        if self._file is not None:
            try:
                self._update_file(self._file, connection)
            except OSError:  # a folder that cannot be written: the records are kept in memory
                self._file, self._last = None, 0
                self._hold(np.zeros(0, RECORD))
        if self._file is None:
            pieces = [self._records]
            for records, last in _added(connection, self._last):
                pieces.append(records)
                self._last = last
            self._hold(np.concatenate(pieces))

    def _update_file(self, file: Path, connection: Connection) -> None:
        with _locked(file.with_suffix(".lock")):
            count, last = _held(file, connection)
            if not count:
                _begin(file)
            with file.open("r+b") as opened:
                opened.seek(_HEADER_BYTES + count * RECORD.itemsize)
                for records, newest in _added(connection, last):
                    opened.write(records.tobytes())
                    count, last = count + len(records), newest
                opened.flush()
                os.fsync(opened.fileno())
                os.pwrite(opened.fileno(), _header(count, last), 0)
                os.fsync(opened.fileno())
        self._last = last
        if count:
            self._hold(np.memmap(file, RECORD, "r", offset=_HEADER_BYTES, shape=(count,)))

    def _hold(self, records: NDArray[np.void]) -> None:
        self._records = records
        self._columns = {name: np.ascontiguousarray(records[name]) for name in COLUMNS}

    def _bounds(
        self, space: int, query: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """The nodes of a space, and between which bounds the distance to each lies."""
        nodes, lows, highs = [], [], []
        length = float(query @ query)
        values = self._records["values"]
        floats = np.empty((PIECE, LENGTH), np.float32)
        for begin in range(0, len(values), PIECE):
            part = slice(begin, min(begin + PIECE, len(values)))
            here: slice | NDArray[np.int64] = part
            count = part.stop - begin
            inside = self._columns["space"][part] == space
            if not inside.all():
                here = np.flatnonzero(inside) + begin
                count = len(here)
            if not count:
                continue
            node, _, scale, square, lost = (self._columns[name][here] for name in COLUMNS)
            np.copyto(floats[:count], values[here])
            distance = square - 2 * scale * (floats[:count] @ query) + length
            slack = ROUNDING * (square + length)
            nodes.append(node)
            lows.append(np.sqrt(np.maximum(distance - slack, 0)) - lost)
            highs.append(np.sqrt(np.maximum(distance + slack, 0)) + lost)
        if not nodes:
            return np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.float32)
        return np.concatenate(nodes), np.concatenate(lows), np.concatenate(highs)


def _first(
    connection: Connection,
    space: int,
    nodes: NDArray[np.int64],
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    query: NDArray[np.float64],
    count: int,
) -> list[tuple[int, float]]:
    """The `count` nearest nodes and their distances; of equal distance the older first."""
    if not count:
        return []
    within = np.partition(high, count - 1)[count - 1]
    points: dict[int, bytes] = {}
    some = nodes[low <= within].tolist()
    for begin in range(0, len(some), 500):
        rows = connection.execute(_POINTS, {"ids": some[begin : begin + 500], "space": space})
        points.update((node, at) for node, at in rows)
    known = np.array(sorted(points), np.int64)
    exact = np.frombuffer(b"".join(points[node] for node in known.tolist()), "<f2")
    apart = exact.reshape(len(known), LENGTH).astype(np.float64) - query
    distances = np.sqrt((apart * apart).sum(1))
    order = np.lexsort((known, distances))[:count]
    return [(int(known[i]), float(distances[i])) for i in order]


_embedding = tables.METADATA.tables["embedding"]
_POINTS = select(_embedding.c.node_id, _embedding.c.point).where(
    Among(_embedding.c.node_id), _embedding.c.space == bindparam("space")
)


def _added(connection: Connection, after: int) -> Iterator[tuple[NDArray[np.void], int]]:
    """The records of the embeddings after an id, and the last id of each lot."""
    while True:
        rows = connection.execute(
            select(
                tables.Embedding.id,
                tables.Embedding.node_id,
                tables.Embedding.space,
                tables.Embedding.point,
            )
            .where(col(tables.Embedding.id) > after)
            .order_by(col(tables.Embedding.id))
            .limit(ADDED)
        ).all()
        if not rows:
            return
        after = rows[-1][0] or after
        _, nodes, spaces, points = zip(*rows, strict=True)
        yield records_of(nodes, spaces, points), after


def records_of(
    nodes: Sequence[int], spaces: Sequence[int], points: Sequence[bytes]
) -> NDArray[np.void]:
    """The records of these embeddings."""
    exact = np.frombuffer(b"".join(points), "<f2").reshape(len(points), LENGTH).astype(np.float64)
    scale = (np.abs(exact).max(1) / 127).astype(np.float32)
    scale[scale == 0] = 1
    records = np.zeros(len(points), RECORD)
    records["node"], records["space"], records["scale"] = nodes, spaces, scale
    records["values"] = np.rint(exact / scale[:, None])
    about = records["values"] * scale[:, None].astype(np.float64)
    records["square"] = (about * about).sum(1)
    lost = np.sqrt(((about - exact) ** 2).sum(1)).astype(np.float32)
    records["lost"] = np.nextafter(lost, np.float32(np.inf))
    return records


def _held(file: Path, connection: Connection) -> tuple[int, int]:
    """How many records a file holds and the last id; nothing where it is not of this database."""
    try:
        with file.open("rb") as opened:
            header = opened.read(_HEADER.size)
            magic, count, last, check = _HEADER.unpack(header)
            if magic != _MAGIC or check != zlib.crc32(header[:-4]) or not count:
                return 0, 0
            tail = min(count, AHEAD)
            opened.seek(_HEADER_BYTES + (count - tail) * RECORD.itemsize)
            newest = np.frombuffer(opened.read(tail * RECORD.itemsize), RECORD)
    except (FileNotFoundError, struct.error, ValueError):
        return 0, 0
    row = connection.execute(
        select(
            tables.Embedding.id,
            tables.Embedding.node_id,
            tables.Embedding.space,
            tables.Embedding.point,
        )
        .where(col(tables.Embedding.id) <= last)
        .order_by(col(tables.Embedding.id).desc())
        .limit(1)
    ).first()
    if row is None:
        return 0, 0
    id_, node, space, point = row
    record = records_of([node], [space], [point]).tobytes()
    known = newest[-1:] if id_ == last else newest  # others added what came after this reader began
    return (count, last) if record in {one.tobytes() for one in known} else (0, 0)


def _begin(file: Path) -> None:
    """Put an empty file in place; who has the one before mapped keeps it."""
    new = file.with_suffix(".new")
    new.write_bytes(_header(0, 0).ljust(_HEADER_BYTES, b"\0"))
    new.replace(file)


def _header(count: int, last: int) -> bytes:
    said = _HEADER.pack(_MAGIC, count, last, 0)[:-4]
    return said + struct.pack("<I", zlib.crc32(said))


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One process at a time."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
