"""Embeddings: the points by which blocks that behave alike and tasks that look alike are found.

A block's point is the fingerprint that was measured of it: 128 numbers of what it gives for probe
inputs.  Only blocks that take the same inputs were probed with the same, so those share a space.
A task's point is whatever its owner computes of its examples, in a space of its own name.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy import text as sql
from sqlmodel import Session

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.rows import add_rows
from metaloom_registry.catalogue.search import shapes
from metaloom_registry.digest import Digest
from metaloom_registry.errors import ParseError
from metaloom_registry.manifest import Manifest

LENGTH = 128
LARGEST = 65504.0
"""The largest float16."""

_POINT = struct.Struct(f"<{LENGTH}e")
_ORDER_LOCK = 0x6D6C656D62
"""The advisory lock under which PostgreSQL numbers embeddings in the order of commits."""


def packed(fingerprint: object) -> bytes | None:
    """The point of the fact `fingerprint`; None where it is no such fact or has no numbers."""
    values = fingerprint.get("values") if isinstance(fingerprint, Mapping) else None
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != LENGTH:
        return None
    floats = set(map(type, values)) == {float}  # as nearly always, and looked at in one go
    if floats and not (all(map(math.isfinite, values)) and max(map(abs, values)) <= LARGEST):
        return None
    if not floats and not all(map(_fits, values)):
        return None
    return _POINT.pack(*values)


def point_of(values: Sequence[float]) -> bytes:
    """Numbers as a point. Raises ParseError where they are not 128 numbers that float16 holds."""
    found = packed({"values": list(values)})
    if found is None:
        raise ParseError(
            f"{len(values)} values are no point; give {LENGTH} finite numbers up to {LARGEST:.0f}"
        )
    return found


def values_of(point: bytes) -> tuple[float, ...]:
    """A point as numbers."""
    return _POINT.unpack(point)


def block_space(fingerprint: Mapping[str, Any], arguments: Iterable[str]) -> int:
    """The space of the fingerprints of blocks probed alike; arguments by their key in the index."""
    said = [fingerprint.get("probe"), fingerprint.get("inputs"), list(arguments)]
    return space_of(dump_canonical(said).decode())


def space_of(name: str) -> int:
    """The number of a space by its name; below 2^63."""
    return int(Digest.of(name.encode()).hex[:16], 16) >> 1


def task_space() -> int:
    """The space of the points of tasks."""
    return space_of("task")


def block_embedding(manifest: Manifest) -> tuple[int, bytes] | None:
    """The space and point of a block; None where it has no fingerprint."""
    fingerprint = manifest.facts.get("fingerprint")
    point = packed(fingerprint)
    if point is None:
        return None
    assert isinstance(fingerprint, Mapping)
    parts = shapes.indexed(shapes.canonical(manifest.signature))
    keys = [key for position, _, key in sorted(parts) if position >= 0]
    return block_space(fingerprint, keys), point


def add_embedding(session: Session, node: int, space: int, point: bytes) -> None:
    """Give a node its point."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer at a time
        session.connection().execute(sql(f"SELECT pg_advisory_xact_lock({_ORDER_LOCK})"))
    add_rows(session, "embedding", [{"node_id": node, "space": space, "point": point}])


def embedding(connection: Connection, node: int) -> tuple[int, bytes] | None:
    """The space and point of a node, if it has one."""
    row = connection.execute(_POINT_OF, {"node": node}).first()
    return None if row is None else (row[0], row[1])


_embedding = tables.METADATA.tables["embedding"]
_POINT_OF = select(_embedding.c.space, _embedding.c.point).where(
    _embedding.c.node_id == bindparam("node")
)


def _fits(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= LARGEST
