"""Search: blocks by words, type, behaviour, tasks, kind and tags, each with why it matched.

Filters combine.  The order is that of the first of these that is asked for: the nearest behaviour,
the best on similar tasks, the best match of words; else the most used come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import exists
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col, select

from metaloom_registry.canonical import dump_canonical
from metaloom_registry.catalogue import tables
from metaloom_registry.catalogue.cursors import Place, read_cursor, write_cursor
from metaloom_registry.catalogue.fitting import TypeIndex, Wanted
from metaloom_registry.catalogue.likeness import Nearest, Target, successes
from metaloom_registry.catalogue.using import most_used
from metaloom_registry.catalogue.versions import Page, Version, described
from metaloom_registry.catalogue.words import Match, matches
from metaloom_registry.digest import Digest

MAX_LIMIT = 1_000
MANY_BLOCKS = 2_000
"""Up to how many blocks a tag is rare."""


@dataclass(frozen=True)
class Query:
    """What is looked for; what is None or empty does not matter.

    `like` is what hits shall behave like, `task` a task on whose like they shall have done well.
    """

    text: str | None = None
    wanted: Wanted = field(default_factory=Wanted)
    kind: str | None = None
    tags: tuple[str, ...] = ()
    like: Target | None = None
    task: Target | None = None

    @property
    def mark(self) -> str:
        """A text that tells this query from others."""
        types = [None if part is None else str(part) for part in self.wanted.parts]
        points = [None if t is None else [t.space, t.point.hex()] for t in (self.like, self.task)]
        shown = [self.text, self.kind, sorted(self.tags), types, points]
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
    block: int
    signature: int
    place: Place
    why: tuple[str, ...] = ()


def search(
    session: Session,
    types: TypeIndex,
    nearest: Nearest,
    query: Query,
    limit: int,
    cursor: str | None,
) -> Page[Hit]:
    """The current versions that match, the best first.

    Raises ParseError for a query without words and for a cursor of another query.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    after = None if cursor is None else read_cursor(cursor, query.mark)
    finder = _Finder(session, types, nearest, query)
    rows = finder.rows(limit + 1, after)
    kept = rows[:limit]
    versions = _current(session, [row.name for row in kept])
    hits = tuple(
        Hit(version, (*row.why, *finder.why(row)))
        for row, version in zip(kept, versions, strict=True)
    )
    more = len(rows) > limit
    return Page(hits, write_cursor(query.mark, kept[-1].place) if more else None)


class _Finder:
    """One query: its filters, and its hits in their order."""

    def __init__(self, session: Session, types: TypeIndex, nearest: Nearest, query: Query) -> None:
        self.session = session
        self.nearest = nearest
        self.query = query
        self.reasons: dict[int, tuple[str, ...]] | None = None
        if query.wanted:
            found = types.fitting(session, query.wanted)
            self.reasons = {fit.signature: fit.why for fit in found}
        self.filters = _filters(session, query)

    def rows(self, limit: int, after: Place | None) -> list[_Row]:
        """At most so many hits after a place."""
        if self.reasons is not None and not self.reasons:
            return []
        words = None if self.query.text is None else self._words(self.query.text, limit)
        if self.query.like is not None:
            rows = self._near(self.query.like, words, limit, after)
        elif self.query.task is not None:
            rows = self._successful(self.query.task, words)
        elif words is not None:
            rows = list(words.values())
        else:
            return self._used(limit, after)
        rows = sorted(rows, key=lambda row: row.place, reverse=True)
        return [row for row in rows if after is None or row.place < after][:limit]

    def why(self, row: _Row) -> Iterable[str]:
        """Why a hit passes the filters."""
        if self.reasons is not None:
            yield from self.reasons[row.signature]
        if self.query.kind is not None:
            yield f"is a {self.query.kind}"
        for tag in self.query.tags:
            yield f"is tagged {tag}"

    def _words(self, text: str, enough: int) -> dict[int, _Row]:
        """The hits that hold the words, by their names."""
        found: dict[int, _Row] = {}
        for lot in matches(self.session, text, enough):
            scores: dict[int, Match] = {match.name: match for match in lot}
            for row, uses in self._among(col(tables.Name.id), list(scores)):
                match = scores[row.name]
                place = (float(match.score), uses, row.name)
                found[row.name] = replace(row, place=place, why=match.why)
            if len(found) >= enough:
                break
        return found

    def _near(
        self, target: Target, words: dict[int, _Row] | None, limit: int, after: Place | None
    ) -> list[_Row]:
        """The hits that behave most like the target."""
        passed: dict[int, list[_Row]] = {}

        def keep(blocks: Sequence[int]) -> set[int]:
            new = [block for block in blocks if block not in passed]
            passed.update((block, []) for block in new)
            for row, _ in self._among(col(tables.Block.id), new):
                if words is None or row.name in words:
                    passed[row.block].append(row)
            return {block for block in blocks if passed[block] and block != target.node}

        def further(blocks: Sequence[tuple[int, float]]) -> set[int]:
            kept = keep([block for block, _ in blocks])
            return {b for b, d in blocks if b in kept and (after is None or comes(b, d, after))}

        def comes(block: int, distance: float, after: Place) -> bool:
            return any((-distance, -block, row.name) < after for row in passed[block])

        only = None if words is None else [row.block for row in words.values()]
        found = []
        for block, distance in self.nearest(self.session, target, limit + 1, further, only):
            for row in passed[block]:
                said = (f"behaves like {target.label}: {distance:.3g} apart",)
                why = (*words[row.name].why, *said) if words is not None else said
                found.append(replace(row, place=(-distance, -block, row.name), why=why))
        return found

    def _successful(self, task: Target, words: dict[int, _Row] | None) -> list[_Row]:
        """The hits that did well on tasks like this one."""
        known = successes(self.session, self.nearest, task)
        found = []
        for row, uses in self._among(col(tables.Block.id), list(known)):
            if words is None or row.name in words:
                success = known[row.block]
                why = (*words[row.name].why, success.why) if words is not None else (success.why,)
                found.append(replace(row, place=(success.score, uses, row.name), why=why))
        return found

    def _among(self, column: ColumnElement[int], ids: Sequence[int]) -> Iterable[tuple[_Row, int]]:
        """Of these names or blocks the current versions that pass the filters, with their uses."""
        for start in range(0, len(ids), 500):
            found = self.session.exec(
                select(
                    tables.Name.id,
                    tables.Version.block_id,
                    tables.Block.signature_id,
                    tables.Block.uses,
                )
                .where(
                    tables.Version.name_id == tables.Name.id,
                    tables.Version.number == tables.Name.current,
                    tables.Block.id == tables.Version.block_id,
                    *self.filters,
                )
                .where(column.in_(ids[start : start + 500]))
            )
            for name, block, signature, uses in found:
                assert name is not None
                if self.reasons is None or signature in self.reasons:
                    yield _Row(name, block, signature, (uses, block, name)), uses

    def _used(self, limit: int, after: Place | None) -> list[_Row]:
        """The most used hits."""
        filters = [col(tables.Block.current).is_(True), *self.filters]
        signatures = None if self.reasons is None else list(self.reasons)
        place = None if after is None else (int(after[0]), after[1])
        blocks = most_used(self.session, filters, signatures, limit + 1, place)
        rows = [row for row, _ in self._among(col(tables.Block.id), blocks)]
        rows.sort(key=lambda row: row.place, reverse=True)
        return [row for row in rows if after is None or row.place < after][:limit]


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


def _filters(session: Session, query: Query) -> list[ColumnElement[bool]]:
    """What a block has to be, apart from its type and from being current."""
    found: list[ColumnElement[bool]] = []
    if query.kind is not None:
        found.append(col(tables.Block.kind) == query.kind)
    found += [_tagged(session, tag) for tag in query.tags]
    return found


def _tagged(session: Session, tag: str) -> ColumnElement[bool]:
    """A rare tag is looked up, a common one is looked for block by block."""
    tagged = select(tables.Tag.block_id).where(tables.Tag.tag == tag)
    ids = session.exec(tagged.limit(MANY_BLOCKS + 1)).all()
    if len(ids) <= MANY_BLOCKS:
        return col(tables.Block.id).in_(ids)
    return exists(tagged.where(tables.Tag.block_id == tables.Block.id))
