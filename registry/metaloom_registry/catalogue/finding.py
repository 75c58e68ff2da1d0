"""Search: blocks by words, type, kind and tag, each with the reasons why it matched."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, exists, or_, union_all
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col, select

from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.catalogue import tables
from metaloom_registry.catalogue.fitting import TypeIndex, Wanted
from metaloom_registry.catalogue.versions import Page, Version, described
from metaloom_registry.catalogue.words import matches
from metaloom_registry.digest import Digest
from metaloom_registry.errors import MetaloomError, ParseError

MAX_LIMIT = 1_000
MANY_TYPES = 100
"""Up to how many types each is looked up by itself, in the order of the index."""

MANY_BLOCKS = 2_000
"""Up to how many blocks a tag is rare."""


@dataclass(frozen=True)
class Query:
    """What is looked for; what is None does not matter."""

    text: str | None = None
    wanted: Wanted = field(default_factory=Wanted)
    kind: str | None = None
    tag: str | None = None

    @property
    def mark(self) -> str:
        """A text that tells this query from others."""
        parts = [self.text, self.kind, self.tag]
        types = [self.wanted.whole, self.wanted.takes, self.wanted.gives]
        shown = [*parts, *(None if t is None else str(t) for t in types)]
        return Digest.of(dump_canonical(shown)).short


@dataclass(frozen=True, slots=True)
class Hit:
    """A version that matches, and why."""

    version: Version
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    """What is known of a hit before it is described; ordered by `place`, the largest first."""

    name: int
    signature: int
    place: tuple[int, int, int]


def search(
    session: Session, types: TypeIndex, query: Query, limit: int, cursor: str | None
) -> Page[Hit]:
    """The current versions that match: by words the best first, else the most used first.

    Raises ParseError for a query without words and for a cursor of another query.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    after = None if cursor is None else _read_cursor(cursor, query)
    reasons: dict[int, tuple[str, ...]] | None = None
    if query.wanted:
        reasons = {fit.signature: fit.why for fit in types.fitting(session, query.wanted)}
        if not reasons:
            return Page(())
    said: dict[int, tuple[str, ...]] = {}
    if query.text is not None:
        found = matches(session, query.text, limit)
        said = {match.name: match.why for match in found}
        scores = {match.name: match.score for match in found}
        rows = _among(session, query, scores, reasons)
        rows = [row for row in rows if after is None or row.place < after][: limit + 1]
    else:
        rows = _most_used(session, query, reasons, after, limit + 1)
    kept = rows[:limit]
    hits = tuple(
        Hit(version, (*said.get(row.name, ()), *_why(query, reasons, row)))
        for row, version in zip(kept, _current(session, [r.name for r in kept]), strict=True)
    )
    return Page(hits, _write_cursor(query, kept[-1].place) if len(rows) > limit else None)


def _current(session: Session, names: Sequence[int]) -> list[Version]:
    """The current versions of these names, in the same order."""
    found = session.exec(
        select(tables.Name, tables.Version)
        .where(
            tables.Version.name_id == tables.Name.id,
            tables.Version.number == tables.Name.current,
        )
        .where(col(tables.Name.id).in_(names))
    )
    rows = {version.name_id: (name, version, version.block_id) for name, version in found}
    return described(session, [rows[name] for name in names])


def _why(query: Query, reasons: dict[int, tuple[str, ...]] | None, row: _Row) -> Iterable[str]:
    if reasons is not None:
        yield from reasons[row.signature]
    if query.kind is not None:
        yield f"is a {query.kind}"
    if query.tag is not None:
        yield f"is tagged {query.tag}"


def _filters(session: Session, query: Query) -> list[ColumnElement[bool]]:
    """What a block has to be, apart from its type and from being current."""
    found: list[ColumnElement[bool]] = []
    if query.kind is not None:
        found.append(col(tables.Block.kind) == query.kind)
    if query.tag is not None:
        found.append(_tagged(session, query.tag))
    return found


def _tagged(session: Session, tag: str) -> ColumnElement[bool]:
    """A rare tag is looked up, a common one is looked for block by block."""
    tagged = select(tables.Tag.block_id).where(tables.Tag.tag == tag)
    ids = session.exec(tagged.limit(MANY_BLOCKS + 1)).all()
    if len(ids) <= MANY_BLOCKS:
        return col(tables.Block.id).in_(ids)
    return exists(tagged.where(tables.Tag.block_id == tables.Block.id))


def _among(
    session: Session,
    query: Query,
    scores: dict[int, int],
    reasons: dict[int, tuple[str, ...]] | None,
) -> list[_Row]:
    """Those of these names that pass the filters, the best first."""
    rows = []
    names = list(scores)
    for start in range(0, len(names), 500):
        found = session.exec(
            select(tables.Name.id, tables.Block.signature_id, tables.Block.uses)
            .where(
                tables.Version.name_id == tables.Name.id,
                tables.Version.number == tables.Name.current,
                tables.Block.id == tables.Version.block_id,
                *_filters(session, query),
            )
            .where(col(tables.Name.id).in_(names[start : start + 500]))
        )
        for name, signature, uses in found:
            if name is not None and (reasons is None or signature in reasons):
                rows.append(_Row(name, signature, (scores[name], uses, name)))
    return sorted(rows, key=lambda row: row.place, reverse=True)


def _most_used(
    session: Session,
    query: Query,
    reasons: dict[int, tuple[str, ...]] | None,
    after: tuple[int, int, int] | None,
    limit: int,
) -> list[_Row]:
    """Current versions of the blocks that pass the filters, the most used first."""
    filters = [col(tables.Block.current).is_(True), *_filters(session, query)]
    if after is not None:
        uses, block = after[:2]
        filters.append(
            or_(
                col(tables.Block.uses) < uses,
                and_(col(tables.Block.uses) == uses, col(tables.Block.id) <= block),
            )
        )
    blocks = most_used(session, filters, None if reasons is None else list(reasons), limit + 1)
    found = session.exec(
        select(
            tables.Name.id, tables.Block.signature_id, tables.Block.uses, tables.Version.block_id
        )
        .where(
            tables.Version.name_id == tables.Name.id,
            tables.Version.number == tables.Name.current,
            tables.Block.id == tables.Version.block_id,
        )
        .where(col(tables.Block.id).in_(blocks))
    )
    rows = [
        _Row(name, signature, (uses, block, name))
        for name, signature, uses, block in found
        if name is not None
    ]
    rows.sort(key=lambda row: row.place, reverse=True)
    return [row for row in rows if after is None or row.place < after][:limit]


def most_used(
    session: Session,
    filters: Sequence[ColumnElement[bool]],
    signatures: Sequence[int] | None,
    limit: int,
) -> list[int]:
    """The ids of the most used blocks of these types; each type's own come ordered by its index."""
    order = (col(tables.Block.uses).desc(), col(tables.Block.id).desc())
    ranked = select(tables.Block.uses, tables.Block.id).where(*filters)
    if signatures is None:
        return [block for _, block in session.exec(ranked.order_by(*order).limit(limit))]
    found: list[tuple[int, int]] = []
    if len(signatures) <= MANY_TYPES:
        each = [
            select(
                ranked.where(tables.Block.signature_id == signature)
                .order_by(*order)
                .limit(limit)
                .subquery()
            )
            for signature in signatures
        ]
        found += [(row[0], row[1]) for row in session.connection().execute(union_all(*each))]
    else:
        for start in range(0, len(signatures), 5_000):
            some = col(tables.Block.signature_id).in_(signatures[start : start + 5_000])
            found += session.exec(ranked.where(some).order_by(*order).limit(limit))
    return [block for _, block in sorted(found, reverse=True)[:limit]]


def _write_cursor(query: Query, place: tuple[int, int, int]) -> str:
    data = dump_canonical({"query": query.mark, "place": place})
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _read_cursor(cursor: str, query: Query) -> tuple[int, int, int]:
    try:
        data = base64.urlsafe_b64decode(cursor[:400] + "=" * (-len(cursor) % 4))
        value: Any = load_strict(data, "the cursor")
        mark, (first, second, third) = value["query"], value["place"]
        place = (int(first), int(second), int(third))
    except (binascii.Error, MetaloomError, KeyError, TypeError, ValueError):
        raise ParseError(
            f"{cursor[:40]!r} is not a cursor; give the one of the page before"
        ) from None
    if mark != query.mark:
        raise ParseError("the cursor is of another query; begin this query without one")
    return place
