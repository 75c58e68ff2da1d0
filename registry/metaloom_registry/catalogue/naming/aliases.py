"""Aliases: moved from version to version, each move remembered, here and in archives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from metaloom_registry.catalogue.naming.versions import moment
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.errors import NotFound


@dataclass(frozen=True, slots=True)
class AliasMove:
    """What an alias named from `when` on; no version where it was taken away."""

    alias: str
    number: int | None
    when: datetime


def microseconds(when: datetime) -> int:
    """A moment as the catalogue has it; the inverse of `moment`."""
    return (when - moment(0)) // timedelta(microseconds=1)


def move_alias(
    session: Session, name: tables.Name, alias: str, version: tables.Version | None, now: int
) -> None:
    """Let an alias name a version, or, with None, take it away. Raises NotFound where it is not."""
    assert name.id is not None
    row = session.get(tables.Alias, (name.id, alias))
    if version is None:
        if row is None:
            raise NotFound(f"{name.spelling} has no alias {alias!r} to take away")
        session.delete(row)
    elif row is not None and row.version_id == version.id:
        return
    else:
        _point(session, name, alias, version)
    moved_to = None if version is None else version.id
    session.add(tables.AliasEvent(name_id=name.id, alias=alias, version_id=moved_to, created=now))


def _point(session: Session, name: tables.Name, alias: str, version: tables.Version) -> None:
    assert name.id is not None
    assert version.id is not None
    row = session.get(tables.Alias, (name.id, alias))
    row = row or tables.Alias(name_id=name.id, alias=alias, version_id=version.id)
    row.version_id = version.id
    session.add(row)


def alias_moves(session: Session, name: tables.Name) -> list[AliasMove]:
    """Every move of every alias of a name, the oldest first."""
    return moves_of(session, [name]).get(name.spelling, [])


def moves_of(
    session: Session, names: Sequence[tables.Name], held: Container[int] | None = None
) -> dict[str, list[AliasMove]]:
    """The moves of all aliases of these names by its spelling, the oldest first.

    With `held`, versions, by id, that are not among these are nothing that an alias could name.
    """
    spellings = {name.id: name.spelling for name in names}
    found: dict[str, list[AliasMove]] = defaultdict(list)
    ids = list(spellings)
    for start in range(0, len(ids), 500):
        rows = session.exec(
            select(tables.AliasEvent, tables.Version.number)
            .join(
                tables.Version, col(tables.AliasEvent.version_id) == tables.Version.id, isouter=True
            )
            .where(col(tables.AliasEvent.name_id).in_(ids[start : start + 500]))
            .order_by(col(tables.AliasEvent.id))
        )
        for event, number in rows:
            kept = number if held is None or event.version_id in held else None
            found[spellings[event.name_id]].append(
                AliasMove(event.alias, kept, moment(event.created))
            )
    return found


def add_moves(
    session: Session,
    name: tables.Name,
    moves: Sequence[AliasMove],
    versions: Mapping[int, tables.Version],
) -> None:
    """Remember the moves of those aliases of a name that never were here, and set them.

    What became of an alias here is not rewritten.
    """
    assert name.id is not None
    query = select(tables.AliasEvent.alias).where(tables.AliasEvent.name_id == name.id)
    here = set(session.exec(query.distinct()))
    last: dict[str, tables.Version | None] = {}
    for move in moves:
        if move.alias in here:
            continue
        version = None if move.number is None else versions[move.number]
        last[move.alias] = version
        moved_to = None if version is None else version.id
        session.add(
            tables.AliasEvent(
                name_id=name.id,
                alias=move.alias,
                version_id=moved_to,
                created=microseconds(move.when),
            )
        )
        session.flush()  # ids are the order of events
    for alias, version in last.items():
        if version is not None:
            _point(session, name, alias, version)
