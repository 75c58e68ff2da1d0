"""Names and numbered versions: found and listed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Generic, TypeAlias, TypeVar

import sqlalchemy as core
from sqlalchemy import Connection, Row, func
from sqlmodel import Session, col, select

from metaloom_registry.canonical import Json
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among
from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.names import BlockName, Reference
from metaloom_registry.types import Type, parse_type

T = TypeVar("T")
TYPES_KEPT = 20_000
"""How many types are remembered by their text."""


@dataclass(frozen=True, slots=True)
class Version:
    """A block as it is listed: under a name and a number, or under neither, by its digest alone.

    `yanked` is the reason why it is no longer offered; it can still be had by its number.
    `deprecated` is why another should be used, and `successor` that other.  `tombstone` is why its
    bytes were taken away for good.  `facts` are those of its manifest but for the fingerprint.
    """

    name: BlockName | None
    number: int | None
    digest: Digest
    kind: str
    type: Type
    licence: str | None
    size: int
    uses: int
    created: datetime
    yanked: str | None = None
    aliases: tuple[str, ...] = ()
    deprecated: str | None = None
    successor: Reference | None = None
    tombstone: str | None = None
    facts: Mapping[str, Json] = field(default_factory=dict, compare=False, repr=False)

    @property
    def reference(self) -> Reference:
        """`namespace/name@number`, or `@sha256:...` where it has no name."""
        return Reference(self.name, self.digest if self.name is None else self.number)

    @property
    def exactly(self) -> Reference:
        """`@sha256:...`: what terms and manifests say."""
        return Reference(None, self.digest)

    def __str__(self) -> str:
        return str(self.reference)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list; `cursor` asks for what follows, and is None at the end."""

    items: tuple[T, ...]
    cursor: str | None = None


def moment(microseconds: int) -> datetime:
    """A time of the catalogue as a datetime in UTC."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


@lru_cache(TYPES_KEPT)
def listed_type(text: str) -> Type:
    """The type that a text of the catalogue means; blocks share few."""
    return parse_type(text)


Found: TypeAlias = tuple[tables.Name | None, tables.Version | None, int]
"""The name, the version and the block's id; a block alone has neither."""


def find(session: Session, reference: Reference) -> Found:
    """What a reference means. Raises NotFound."""
    if reference.name is None:
        assert isinstance(reference.selector, Digest)
        return _by_digest(session, reference.selector)
    name = find_name(session, reference.name)
    version = _selected(session, name, reference)
    return name, version, version.block_id


def find_name(session: Session, name: BlockName) -> tables.Name:
    """The row of a name. Raises NotFound, naming the nearest names."""
    row = session.exec(select(tables.Name).where(tables.Name.key == name.key)).first()
    if row is None or row.spelling != str(name):
        near = [row.spelling] if row is not None else nearest(session, name)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise NotFound(f"there is no block {name}{hint}")
    return row


def nearest(session: Session, name: BlockName, count: int = 3) -> list[str]:
    """Names that look like this one, among those that share a part of it."""
    spelling = col(tables.Name.spelling)
    low = f"{name.namespace.lower()}/"
    same_part = select(spelling).where(tables.Name.part == name.name.lower()).limit(50)
    same_namespace = (
        select(spelling).where(tables.Name.key >= low, tables.Name.key < low + "\x7f").limit(1000)
    )
    some = select(spelling).order_by(col(tables.Name.id).desc()).limit(1000)
    known = {s: None for q in (same_part, same_namespace, some) for s in session.exec(q)}
    parts = [s for s in known if s.lower().endswith(f"/{name.name.lower()}")]
    close = difflib.get_close_matches(str(name), list(known), n=count, cutoff=0.7)
    return list(dict.fromkeys([*parts, *close]))[:count]


def called(session: Session, part: str, limit: int = 3) -> list[str]:
    """The newest names whose last part this is, in any case."""
    query = select(tables.Name.spelling).where(tables.Name.part == part.lower())
    return list(session.exec(query.order_by(col(tables.Name.id).desc()).limit(limit)))


def words_in_use(session: Session, limit: int = 1000) -> set[str]:
    """The words of the newest names, and the newest tags, in lower case."""
    spellings = select(tables.Name.spelling).order_by(col(tables.Name.id).desc()).limit(limit)
    tags = select(tables.Tag.tag).order_by(col(tables.Tag.block_id).desc()).limit(limit)
    texts = [*session.exec(spellings), *session.exec(tags)]
    return {word for text in texts for word in re.findall(r"[^\W_]+", text.lower())}


def _by_digest(session: Session, digest: Digest) -> Found:
    block = session.exec(
        select(tables.Node.id).where(tables.Node.key == digest.hex, tables.Node.kind == "block")
    ).first()
    if block is None:
        raise NotFound(
            f"the registry holds no block {digest}; pull it from where it was published, "
            "or check the digest"
        )
    assert block is not None
    return first_named(session, block)


def expanded(session: Session, prefix: str) -> Digest:
    """The digest of the one block that begins with these digits.

    Raises NotFound where there is none, or, naming them, where there are several.
    """
    key = col(tables.Node.key)
    found = session.exec(
        select(key)
        .where(key >= prefix, key < prefix + "g", tables.Node.kind == "block")
        .order_by(key)
        .limit(4)
    ).all()
    if len(found) == 1:
        return Digest(found[0])
    if not found:
        raise NotFound(f"the registry holds no block whose digest begins with {prefix}")
    shown = ", ".join(f"{text[: len(prefix) + 8]}..." for text in found[:3])
    raise NotFound(
        f"the digests of several blocks begin with {prefix}: {shown}; give more of its digits"
    )


def newest(session: Session, limit: int) -> list[Version]:
    """The blocks that were published last and have their bytes, the newest first."""
    query = select(tables.Block.id).where(col(tables.Block.tombstone).is_(None))
    blocks = session.exec(query.order_by(col(tables.Block.id).desc()).limit(limit)).all()
    return described(session, [first_named(session, block) for block in blocks])


def first_named(session: Session, block: int) -> Found:
    """A block with the first version it is, preferably not yanked, or with none."""
    row = session.exec(
        select(tables.Name, tables.Version)
        .where(tables.Version.name_id == tables.Name.id)
        .where(tables.Version.block_id == block)
        .order_by(col(tables.Version.yanked).is_not(None), col(tables.Version.id))
        .limit(1)
    ).first()
    return (None, None, block) if row is None else (*row, block)


def _selected(session: Session, name: tables.Name, reference: Reference) -> tables.Version:
    """The version that a number, an alias, a digest or nothing selects."""
    selector = reference.selector
    query = select(tables.Version).where(tables.Version.name_id == name.id)
    if selector is None:
        query = query.where(tables.Version.number == name.current)
    elif isinstance(selector, int):
        query = query.where(tables.Version.number == selector)
    elif isinstance(selector, Digest):
        query = query.join(tables.Node, col(tables.Node.id) == tables.Version.block_id)
        query = query.where(tables.Node.key == selector.hex)
    else:
        query = query.join(tables.Alias, col(tables.Alias.version_id) == tables.Version.id)
        query = query.where(tables.Alias.name_id == name.id, tables.Alias.alias == selector)
    found = session.exec(query).first()
    if found is None:
        raise NotFound(_not_selected(session, name, reference))
    return found


def _not_selected(session: Session, name: tables.Name, reference: Reference) -> str:
    if reference.selector is None:
        kept = next((v for v in listed(session, name) if v.tombstone is None), None)
        if kept is None:
            return (
                f"every version of {name.spelling} was taken away for good; use another block, "
                f"`metaloom list --versions {name.spelling}` tells why"
            )
        return f"every version of {name.spelling} is yanked; ask for one by its number, {kept}"
    if isinstance(reference.selector, str):
        aliases = session.exec(
            select(tables.Alias.alias).where(tables.Alias.name_id == name.id).limit(20)
        ).all()
        there = f"its aliases are {', '.join(sorted(aliases))}" if aliases else "it has no alias"
        return f"{name.spelling} has no alias {reference.selector!r}; {there}"
    there = "version 1" if name.newest == 1 else f"versions 1 to {name.newest}"
    return f"{name.spelling} has no version {reference.selector}; it has {there}"


def numbered(session: Session, name: tables.Name, number: int) -> tables.Version | None:
    """The version of a name with a number, if there is one."""
    query = select(tables.Version).where(
        tables.Version.name_id == name.id, tables.Version.number == number
    )
    return session.exec(query).first()


def described(session: Session, found: Sequence[Found]) -> list[Version]:
    """What was found, as values, in the same order; at most two queries for any number."""
    session.flush()
    connection = session.connection()
    versions: dict[int | None, Version] = {}
    blocks: dict[int, Version] = {}
    if numbered := [version.id for _, version, _ in found if version is not None]:
        rows = connection.execute(_NUMBERED, {"ids": numbered})
        versions = {row.version: version_of(row) for row in rows}
    if alone := [block for _, version, block in found if version is None]:
        blocks = {row.block: version_of(row) for row in connection.execute(_ALONE, {"ids": alone})}
    return [
        blocks[block] if version is None else versions[version.id] for _, version, block in found
    ]


def listed_as(session: Session, version: int) -> Version:
    """The version of an id, which has to be there, as a value."""
    return version_of(session.connection().execute(_NUMBERED, {"ids": [version]}).one())


def first_names(connection: Connection, blocks: Sequence[int]) -> dict[int, tuple[str, int]]:
    """The name and number of the first version that each block is, preferably not yanked.

    Without those that have no name.
    """
    found: dict[int, tuple[str, int]] = {}
    for block, spelling, number in connection.execute(_FIRST, {"ids": blocks}).all():
        found.setdefault(block, (spelling, number))
    return found


def current(connection: Connection, names: Sequence[int]) -> list[Version]:
    """The current versions of these names, in the same order."""
    if not names:
        return []
    found = {row.name: row for row in connection.execute(_CURRENT, {"ids": names})}
    return [version_of(found[name]) for name in names]


def current_of(blocks: core.SelectBase | None = None) -> core.Select[*tuple[Any, ...]]:
    """The current versions that some blocks are, for `version_of`, with `name`, `block`, `uses`.

    The blocks are those whose ids a query gives, or those bound as `ids`.
    """
    return _OFFERED.where(Among(_block.c.id, blocks))


def version_of(row: Row[*tuple[Any, ...]]) -> Version:
    """What a row says of a version, or of a block alone."""
    _, spelling, _, number, created, yanked, reason, deprecation, successor, aliases, *said = row
    key, kind, signature, licence, size, uses, tombstone, facts, _, _ = said
    return Version(
        name=None if spelling is None else BlockName.parse(spelling),
        number=number,
        digest=Digest(key),
        kind=kind,
        type=listed_type(signature),
        licence=licence,
        size=size,
        uses=uses,
        created=moment(created),
        yanked=None if yanked is None else reason or "no reason given",
        aliases=tuple(sorted(aliases.split(","))) if aliases else (),
        deprecated=deprecation,
        successor=None if successor is None else Reference.parse(successor),
        tombstone=tombstone,
        facts=facts,
    )


# These are asked for every hit, and so written once, over rows instead of objects.
_block, _node, _name, _numbered, _alias = (
    tables.METADATA.tables[name] for name in ("block", "node", "name", "version", "alias")
)
_SAID: tuple[core.ColumnElement[Any], ...] = (
    _node.c.key,
    *(_block.c[name] for name in ("kind", "signature", "licence", "size")),
)
_SAID += (_block.c.uses, _block.c.tombstone, _block.c.facts)
_SAID += (_block.c.signature_id, _block.c.id.label("block"))
_OF_VERSION = ("number", "created", "yanked", "yank_reason", "deprecation", "successor")
_LISTED: core.Select[*tuple[Any, ...]] = core.select(
    _name.c.id.label("name"),
    _name.c.spelling,
    _numbered.c.id.label("version"),
    *(_numbered.c[name] for name in _OF_VERSION),
    core.select(func.aggregate_strings(_alias.c.alias, ","))
    .where(_alias.c.version_id == _numbered.c.id)
    .scalar_subquery()
    .label("aliases"),
    *_SAID,
).where(
    _numbered.c.name_id == _name.c.id,
    _block.c.id == _numbered.c.block_id,
    _node.c.id == _block.c.id,
)
_NUMBERED = _LISTED.where(Among(_numbered.c.id))
_OFFERED = _LISTED.where(_numbered.c.number == _name.c.current)
_CURRENT = _OFFERED.where(Among(_name.c.id))
_ALONE: core.Select[*tuple[Any, ...]] = core.select(
    *(
        _block.c.created if column.name == "created" else core.null().label(column.name)
        for column in list(_LISTED.selected_columns)[: -len(_SAID)]
    ),
    *_SAID,
).where(_node.c.id == _block.c.id, Among(_block.c.id))
_FIRST = (
    core.select(_numbered.c.block_id, _name.c.spelling, _numbered.c.number)
    .where(_numbered.c.name_id == _name.c.id, Among(_numbered.c.block_id))
    .order_by(_numbered.c.yanked.is_not(None), _numbered.c.id)
)


def listed(session: Session, name: tables.Name) -> list[Version]:
    """Every version of a name, the newest first."""
    return described(session, [(name, row, row.block_id) for row in rows_of(session, name)])


def rows_of(session: Session, name: tables.Name) -> Sequence[tables.Version]:
    """The rows of every version of a name, the newest first."""
    query = select(tables.Version).where(tables.Version.name_id == name.id)
    return session.exec(query.order_by(col(tables.Version.number).desc())).all()


def names(session: Session, prefix: str, after: str, limit: int) -> Page[Version]:
    """Names that begin with `prefix` in any case, in order; `after` is the last page's cursor.

    Each stands with its current version, or the newest where all are yanked.
    """
    key = col(tables.Name.key)
    low = prefix.lower()
    query = select(tables.Name, tables.Version).where(
        tables.Version.name_id == tables.Name.id,
        tables.Version.number == func.coalesce(tables.Name.current, tables.Name.newest),
        key >= low,
        key < low + "\x7f",
        key > after,
    )
    rows = session.exec(query.order_by(key).limit(limit + 1)).all()
    kept = rows[:limit]
    items = described(session, [(name, version, version.block_id) for name, version in kept])
    return Page(tuple(items), kept[-1][0].key if len(rows) > limit else None)
