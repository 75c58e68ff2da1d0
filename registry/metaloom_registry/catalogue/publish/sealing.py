"""The seals of the blocks in a catalogue: added once they hold, and listed."""

from __future__ import annotations

from collections.abc import Iterable

from sqlmodel import Session, col, select

from metaloom_registry.catalogue.schema import tables
from metaloom_registry.digest import Digest
from metaloom_registry.errors import Refused
from metaloom_registry.keys import PublicKey
from metaloom_registry.manifest import Manifest
from metaloom_registry.seals import MAX_SEALS, Seal


def check_seals(manifest: Manifest, seals: Iterable[Seal]) -> None:
    """Raises BadSeal where one does not hold for the manifest."""
    for seal in seals:
        seal.check(manifest.to_bytes())


def add_seals(session: Session, block: int, seals: Iterable[Seal]) -> None:
    """Keep seals of a block; a later one by the same key takes the place of an earlier one."""
    seals = tuple(seals)
    if not seals:
        return
    for seal in seals:
        row = session.get(tables.Seal, (block, seal.key.hex))
        if row is None:
            row = tables.Seal(block_id=block, key=seal.key.hex, signed=0, signature="")
        elif row.signed >= seal.signed:
            continue
        row.signed, row.signature = seal.signed, seal.signature
        session.add(row)
    session.flush()
    if len(listed(session, block)) > MAX_SEALS:
        raise Refused(f"a block has at most {MAX_SEALS} signatures; this one would have more")


def listed(session: Session, block: int) -> tuple[Seal, ...]:
    """The seals of a block, the earliest first."""
    rows = session.exec(
        select(tables.Seal)
        .where(tables.Seal.block_id == block)
        .order_by(col(tables.Seal.signed), col(tables.Seal.key))
    )
    return tuple(Seal(PublicKey(row.key), row.signed, row.signature) for row in rows)


def sealed(session: Session) -> tuple[Digest, ...]:
    """Every block that has a seal."""
    query = select(tables.Node.key).where(
        col(tables.Node.id).in_(select(tables.Seal.block_id).distinct())
    )
    return tuple(Digest(key) for key in session.exec(query.order_by(col(tables.Node.id))))
