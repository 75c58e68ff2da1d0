"""Leakage: blocks that saw in training the very classes that an evaluation tells apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlmodel import col, select

from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.digest import Digest

BATCH = 500


@dataclass(frozen=True, slots=True)
class Leak:
    """A block, and those of the classes that it, or a block it came from, was trained on."""

    block: Digest
    classes: frozenset[Digest]


def leaks(
    database: Database, blocks: Iterable[Digest], classes: Iterable[Digest]
) -> tuple[Leak, ...]:
    """Those of the blocks that have seen some of the classes, by digest."""
    keys = sorted({digest.hex for digest in blocks})
    wanted = sorted({digest.hex for digest in classes})
    found: dict[str, set[Digest]] = {}
    with database.reading() as session:
        for start in range(0, len(wanted) if keys else 0, BATCH):
            query = (
                select(tables.Node.key, tables.ClassSetMember.digest)
                .join(tables.Block, col(tables.Block.id) == tables.Node.id)
                .join(
                    tables.ClassSetMember,
                    col(tables.ClassSetMember.class_set_id) == tables.Block.class_set_id,
                )
                .where(col(tables.Node.key).in_(keys))
                .where(col(tables.ClassSetMember.digest).in_(wanted[start : start + BATCH]))
            )
            for key, digest in session.exec(query):
                found.setdefault(key, set()).add(Digest(digest))
    return tuple(Leak(Digest(key), frozenset(seen)) for key, seen in sorted(found.items()))
