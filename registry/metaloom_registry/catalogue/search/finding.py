"""Search: blocks by words, type, behaviour, tasks, kind and tags, each with why it matched.

Filters combine.  The order is that of the first of these that is asked for: the nearest behaviour,
the best on similar tasks, the best match of words; else the most used come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal, TypeAlias

import sqlalchemy as core
from sqlalchemy import Connection, bindparam, exists, func

from metaloom_registry.canonical import Json, dump_canonical
from metaloom_registry.catalogue.naming.versions import (
    Page,
    Version,
    current,
    current_of,
    version_of,
)
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among, many
from metaloom_registry.catalogue.schema.cursors import Place, read_cursor, write_cursor
from metaloom_registry.catalogue.search.fitting import TypeIndex, Wanted
from metaloom_registry.catalogue.search.likeness import Nearest, Target, successes
from metaloom_registry.catalogue.search.using import (
    STATEMENTS_KEPT,
    Conditions,
    Filters,
    Form,
    asking,
    ids_of_most_used,
    most_used,
)
from metaloom_registry.catalogue.search.words import Match, holding, match, words_of
from metaloom_registry.digest import Digest
from metaloom_registry.errors import ParseError

MAX_LIMIT = 1_000
MANY_BLOCKS = 2_000
"""Up to so many blocks that have all tags are looked at one by one."""

COUNTED = 20_000
"""Up to so many blocks of a tag are counted, to begin with the rarest."""

FEW_BLOCKS = 500
"""Where a type or a tag leaves so few blocks, each is asked for the words."""

DECIDED_TYPES = 100
"""Of so many types that may fit it is decided which do, before blocks are looked for by words."""

MOST_SCORED = 1_000
"""More than words can score: what is found among the next names comes after all before."""

FEW_TYPES = 1_000
"""So many types that may fit are told to the database; more are looked at here."""

Given: TypeAlias = Literal["words", "blocks"]
"""By what hits were found: names by their words, or blocks."""


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
        near = (self.like, self.task)
        points = [None if at is None else f"{at.space} {at.point.hex()}" for at in near]
        shown: Json = [self.text, self.kind, sorted(self.tags), types, points]
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
    match: Match | None = None
    why: tuple[str, ...] = ()
    listed: core.Row[*tuple[Any, ...]] | None = None


def search(
    connection: Connection,
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
    after, newest = (None, None) if cursor is None else _resumed(cursor, query)
    finder = _Finder(connection, types, nearest, query, newest)
    rows = finder.rows(limit + 1, after)
    kept = rows[:limit]
    unread = iter(current(connection, [row.name for row in kept if row.listed is None]))
    hits = tuple(
        Hit(next(unread) if row.listed is None else version_of(row.listed), finder.why(row))
        for row in kept
    )
    if len(rows) <= limit:
        return Page(hits)
    further = write_cursor(query.mark, kept[-1].place)
    return Page(hits, further if query.text is None else f"{finder.newest}.{further}")


def _resumed(cursor: str, query: Query) -> tuple[Place, int | None]:
    """The place of a cursor, and the newest name there was when words were first looked for.

    What is published between two pages pushes no hit from one to another then.
    """
    newest, dot, further = cursor.partition(".")
    if not dot:
        return read_cursor(cursor, query.mark), None
    if not _ID.fullmatch(newest):
        raise ParseError(f"{cursor[:40]!r} is not a cursor; give the one of the page before")
    return read_cursor(further, query.mark), int(newest)


class _Finder:
    """One query: its filters, and its hits in their order."""

    def __init__(
        self,
        connection: Connection,
        types: TypeIndex,
        nearest: Nearest,
        query: Query,
        newest: int | None,
    ) -> None:
        self.connection = connection
        self.nearest = nearest
        self.query = query
        self.fitting = types.fitting(connection, query.wanted) if query.wanted else None
        self.filters = _filters(query)
        if newest is None and query.text is not None:
            newest = connection.execute(_NEWEST).scalar_one() or 0
        self.newest = newest or 0
        """The newest of the names among which words are looked for."""

    def rows(self, limit: int, after: Place | None) -> list[_Row]:
        """At most so many hits after a place."""
        if self.fitting is not None and not self.fitting.narrowed:
            return []
        by_words = self.query.like is None and self.query.task is None
        words = None
        if self.query.text is not None:
            words = self._words(self.query.text, limit, after if by_words else None)
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

    def why(self, row: _Row) -> tuple[str, ...]:
        """Why a hit matched."""
        said = list(() if row.match is None else row.match.why)
        said += row.why
        if self.fitting is not None:
            said += self.fitting.among(self.connection, [row.signature])[row.signature]
        if self.query.kind is not None:
            said.append(f"is a {self.query.kind}")
        said += (f"is tagged {tag}" for tag in self.query.tags)
        return tuple(said)

    def _words(self, text: str, enough: int, after: Place | None) -> dict[int, _Row]:
        """The hits that hold the words, by their names: enough of them after a place."""
        words = words_of(text)
        few = self._few_blocks()
        only = None if few is None else self._names_of(few)
        found: dict[int, _Row] = {}
        beyond = 0
        for tier, lot in enumerate(holding(self.connection, words, self.newest, only)):
            for name, block, signature, uses, title, tags in self._among("words", lot):
                matched = match(words, title, tags)
                place = (float(matched.score - tier * MOST_SCORED), uses, name)
                found[name] = _Row(name, block, signature, place, matched)
                beyond += after is None or place < after
            if beyond >= enough:
                break
        return found

    def _names_of(self, blocks: Sequence[int]) -> list[int]:
        """The names whose current versions these blocks are, without those that are too new."""
        return [name for name, *_ in self._among("blocks", blocks) if name <= self.newest]

    def _few_blocks(self) -> Sequence[int] | None:
        """The blocks that may be hits by their type or a tag; None where they are not few."""
        asked: list[tuple[core.Select[Any], Mapping[str, Any]]] = []
        if self.fitting is not None and len(self.fitting.narrowed) <= DECIDED_TYPES:
            types = self.fitting.all(self.connection)
            asked.append((_OF_TYPES, {"types": types, "kind": self.query.kind}))
        asked += [(_OF_TAG, {"tag": tag}) for tag in self.query.tags]
        for query, values in asked:
            given = {**values, "limit": FEW_BLOCKS + 1}
            blocks = self.connection.execute(query, given).scalars().all()
            if len(blocks) <= FEW_BLOCKS:
                return blocks
        return None

    def _near(
        self, target: Target, words: dict[int, _Row] | None, limit: int, after: Place | None
    ) -> list[_Row]:
        """The hits that behave most like the target."""
        passed: dict[int, list[_Row]] = {}

        def comes(block: int, distance: float) -> bool:
            """Whether a block is a hit after the place."""
            places = [(-distance, -block, row.name) for row in passed[block]]
            return block != target.node and any(after is None or p < after for p in places)

        def keep(near: Sequence[tuple[int, float]]) -> set[int]:
            new = [block for block, _ in near if block not in passed]
            passed.update((block, []) for block in new)
            for name, block, signature, _ in self._among("blocks", new):
                if words is None or name in words:
                    match = None if words is None else words[name].match
                    passed[block].append(_Row(name, block, signature, (0.0, 0, 0), match))
            return {block for block, distance in near if comes(block, distance)}

        only = None if words is None else [row.block for row in words.values()]
        found = []
        for block, distance in self.nearest(self.connection, target, limit + 1, keep, only):
            said = (f"behaves like {target.label}: {distance:.3g} apart",)
            for row in passed[block]:
                found.append(replace(row, place=(-distance, -block, row.name), why=said))
        return found

    def _successful(self, task: Target, words: dict[int, _Row] | None) -> list[_Row]:
        """The hits that did well on tasks like this one."""
        known = successes(self.connection, self.nearest, task)
        found = []
        for name, block, signature, uses in self._among("blocks", list(known)):
            if words is None or name in words:
                success = known[block]
                match = None if words is None else words[name].match
                place = (success.score, uses, name)
                found.append(_Row(name, block, signature, place, match, (success.why,)))
        return found

    def _among(self, of: Given, ids: Sequence[int]) -> Iterator[Any]:
        """The name, block, type and uses of the current versions among these that pass.

        Of names that were found by their words also the title and the tags.
        """
        types = () if self.fitting is None else self.fitting.narrowed
        few = 0 < len(types) <= FEW_TYPES
        query = _among(self.filters.conditions, of, few)
        values = {**self.filters.values, "ids": ids, **({"types": types} if few else {})}
        rows = self.connection.execute(query, values).all()
        if self.fitting is not None:
            fits = self.fitting.among(self.connection, (row[2] for row in rows))
            rows = [row for row in rows if row[2] in fits]
        yield from rows

    def _used(self, limit: int, after: Place | None) -> list[_Row]:
        """The most used hits."""
        place = None if after is None else (int(after[0]), after[1])
        filters = _few(self.connection, self.query) or self.filters
        if self.fitting is None:
            form, bound = asking(filters, place)
            found = self.connection.execute(_most_used(form), {**bound, "limit": limit + 1})
        else:
            used = most_used(self.connection, filters, self.fitting, limit + 1, after=place)
            found = self.connection.execute(_OF_BLOCKS, {"ids": [one.block for one in used]})
        rows = [
            _Row(row.name, row.block, row.signature_id, (row.uses, row.block, row.name), listed=row)
            for row in found
        ]
        rows.sort(key=lambda row: row.place, reverse=True)
        return [row for row in rows if after is None or row.place < after][:limit]


_NAMES, _BLOCKS, _TAGS, _VERSIONS, _DOCUMENTS = (
    tables.METADATA.tables[name] for name in ("name", "block", "tag", "version", "document")
)
_CURRENT = core.select(
    _NAMES.c.id, _VERSIONS.c.block_id, _BLOCKS.c.signature_id, _BLOCKS.c.uses
).where(
    _VERSIONS.c.name_id == _NAMES.c.id,
    _VERSIONS.c.number == _NAMES.c.current,
    _BLOCKS.c.id == _VERSIONS.c.block_id,
)


@lru_cache(STATEMENTS_KEPT)
def _among(conditions: Conditions, of: Given, typed: bool) -> core.Select[*tuple[Any, ...]]:
    """The current versions of the names, or of the blocks, that are bound as `ids`.

    Where it says so, of the types that are bound as `types`.
    """
    query = _CURRENT.where(*conditions)
    if typed:
        query = query.where(Among(_BLOCKS.c.signature_id, many("types")))
    if of == "blocks":
        return query.where(Among(_BLOCKS.c.id))
    query = query.add_columns(_DOCUMENTS.c.title, _DOCUMENTS.c.tags)
    return query.where(_DOCUMENTS.c.id == _NAMES.c.id, Among(_NAMES.c.id))


@lru_cache(STATEMENTS_KEPT)
def _most_used(form: Form) -> core.Select[*tuple[Any, ...]]:
    """The current versions that the most used blocks are."""
    return current_of(ids_of_most_used(form))


_OF_BLOCKS = current_of()
_NEWEST = core.select(func.max(_NAMES.c.id))
_ID = re.compile(r"[0-9]{1,9}", re.ASCII)


def _filters(query: Query) -> Filters:
    """What a block has to be, apart from its type."""
    values: dict[str, Any] = {f"tag_{i}": tag for i, tag in enumerate(query.tags)}
    if query.kind is not None:
        values["kind"] = query.kind
    return Filters(_conditions(query.kind is not None, len(query.tags)), values)


def _few(connection: Connection, query: Query) -> Filters | None:
    """The same as a list of the blocks that have all tags; None where they are many."""
    if not query.tags:
        return None
    tags = list(query.tags)
    if len(tags) > 1:  # the rarest comes first, whose blocks are looked through

        def count(tag: str) -> int:
            found = connection.execute(_HOW_MANY, {"tag": tag, "limit": COUNTED})
            return int(found.scalar_one())

        tags.sort(key=count)
    asked: dict[str, Any] = {f"tag_{i}": tag for i, tag in enumerate(tags)}
    found = connection.execute(_having_all(len(tags)), {**asked, "limit": MANY_BLOCKS + 1})
    blocks = found.scalars().all()
    if len(blocks) > MANY_BLOCKS:
        return None
    values = {"tagged": blocks, **({} if query.kind is None else {"kind": query.kind})}
    return Filters((*_conditions(query.kind is not None, 0), _ONE_OF_FEW), values, few=True)


@lru_cache(STATEMENTS_KEPT)
def _conditions(kind: bool, tags: int) -> Conditions:
    """That a block is of a kind and has so many tags."""
    has = [exists(_tagged(f"tag_{i}").where(_TAGS.c.block_id == _BLOCKS.c.id)) for i in range(tags)]
    return (*([_BLOCKS.c.kind == bindparam("kind")] if kind else ()), *has)


_ONE_OF_FEW = Among(_BLOCKS.c.id, many("tagged"))


@lru_cache(STATEMENTS_KEPT)
def _having_all(tags: int) -> core.Select[Any]:
    """At most `limit` of the blocks that have so many tags, among those that have the first."""
    query = _tagged("tag_0")
    for i in range(1, tags):
        other = _TAGS.alias()
        also = core.select(other.c.block_id).where(other.c.tag == bindparam(f"tag_{i}"))
        query = query.where(exists(also.where(other.c.block_id == _TAGS.c.block_id)))
    return query.limit(bindparam("limit", type_=core.Integer))


def _tagged(name: str) -> core.Select[Any]:
    return core.select(_TAGS.c.block_id).where(_TAGS.c.tag == bindparam(name))


_OF_TAG = _tagged("tag").limit(bindparam("limit", type_=core.Integer))
_HOW_MANY = core.select(func.count()).select_from(_OF_TAG.subquery())
_OF_TYPES = (
    core.select(_BLOCKS.c.id)
    .where(
        *(Among(_BLOCKS.c.signature_id, many("types")), _BLOCKS.c.current.is_(True)),
        _BLOCKS.c.kind == func.coalesce(bindparam("kind", type_=core.String), _BLOCKS.c.kind),
    )
    .limit(bindparam("limit", type_=core.Integer))
)
