"""How a block enters the catalogue: the rows of a publish, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as core
from sqlalchemy import Text, bindparam, delete, update
from sqlmodel import Session, col, select

from metaloom_registry.canonical import Json
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among, many
from metaloom_registry.catalogue.schema.rows import add_row, add_rows
from metaloom_registry.catalogue.search import shapes
from metaloom_registry.catalogue.search.embeddings import add_embedding, block_embedding
from metaloom_registry.catalogue.search.words import plain_words
from metaloom_registry.digest import Digest
from metaloom_registry.errors import InvalidName, NotFound
from metaloom_registry.manifest import Manifest
from metaloom_registry.names import BlockName, Reference
from metaloom_registry.types import Type, uncurried


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace that is there: the id of its row, and its spelling."""

    id: int
    spelling: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name that is there: the id of its row, its spelling, and the numbers in the row."""

    id: int
    spelling: str
    newest: int = 0
    current: int | None = None


def check_spelling(session: Session, name: BlockName) -> None:
    """Raises InvalidName where the name differs only in case from one that is there."""
    twin = session.connection().execute(_NAME, {"key": name.key}).first()
    if twin is not None:
        _check_name_spelling(twin.spelling, name)
    space = find_namespace(session, name.namespace)
    if space is not None:
        _check_namespace_spelling(space.spelling, name.namespace)


def _check_name_spelling(taken: str, name: BlockName) -> None:
    if taken != str(name):
        raise InvalidName(
            f"{name} differs only in case from {taken}, which is taken; use that spelling"
        )


def check_namespace(namespace: str) -> None:
    """Raise InvalidName where it is no namespace."""
    BlockName(namespace, "x")


def find_namespace(session: Session, namespace: str) -> Namespace | None:
    """A namespace in any case, if it is there."""
    row = session.connection().execute(_NAMESPACE, {"key": namespace.lower()}).first()
    return None if row is None else Namespace(*row)


def add_namespace(session: Session, namespace: str, now: int) -> Namespace:
    """A namespace, which is added where it is new. Raises InvalidName for a twin."""
    found = find_namespace(session, namespace)
    if found is None:
        row = {"key": namespace.lower(), "spelling": namespace, "created": now}
        return Namespace(add_row(session, "namespace", row), namespace)
    _check_namespace_spelling(found.spelling, namespace)
    return found


def _check_namespace_spelling(taken: str, given: str) -> None:
    if taken != given:
        raise InvalidName(
            f"the namespace {given} differs only in case from {taken}, which is taken; "
            "use that spelling"
        )


def check_parents(
    session: Session, parents: Iterable[Digest], beside: Iterable[Digest] = ()
) -> None:
    """Raises NotFound where a parent is neither in the registry nor published together with it."""
    wanted = {parent.hex for parent in parents} - {digest.hex for digest in beside}
    missing = wanted - set(nodes(session, wanted, "block"))
    if missing:
        raise NotFound(
            f"the parent sha256:{min(missing)} is not in this registry; "
            "publish or pull it first, or publish it together with its child"
        )


def add_block(session: Session, manifest: Manifest, now: int) -> int:
    """The id of a block, whose rows are added where it is new; its parents have to be there."""
    known = nodes(session, [manifest.digest.hex]).get(manifest.digest.hex)
    if known is not None:
        return known
    parents = nodes(session, [parent.digest.hex for parent in manifest.parents], "block")
    needed = {str(reference): add_primitive(session, reference) for reference in manifest.requires}
    block = add_node(session, "block", manifest.digest.hex)
    row = {
        "id": block,
        "kind": manifest.kind,
        "signature_id": add_signature(session, manifest.signature),
        "signature": str(manifest.signature),
        "licence": manifest.licence,
        "size": manifest.size,
        "facts": listed_facts(manifest),
        "class_set_id": add_class_set(session, manifest.seen, parents.values()),
        "uses": 0,
        "current": False,
        "created": now,
    }
    add_rows(session, "block", [row])
    add_rows(session, "tag", [{"tag": tag, "block_id": block} for tag in manifest.tags])
    edges = [(parents[parent.digest.hex], parent.role) for parent in manifest.parents]
    edges += [(primitive, "requires") for primitive in needed.values()]
    add_rows(
        session,
        "edge",
        [{"child_id": block, "parent_id": parent, "role": role} for parent, role in edges],
    )
    count_use(session, [*parents.values(), *needed.values()])
    point = block_embedding(manifest)
    if point is not None:
        add_embedding(session, block, *point)
    return block


def listed_facts(manifest: Manifest) -> dict[str, Json]:
    """The facts that the table of blocks holds: all but the fingerprint."""
    return {name: fact for name, fact in manifest.facts.items() if name != "fingerprint"}


def count_use(session: Session, nodes: Iterable[int]) -> None:
    """Count one more use of each of these blocks and primitives."""
    ids = sorted(set(nodes))
    if not ids:
        return
    for table in (tables.Block, tables.Primitive):
        session.connection().execute(
            update(table).where(col(table.id).in_(ids)).values(uses=col(table.uses) + 1)
        )


def add_node(session: Session, kind: str, key: str) -> int:
    """The id of a new node of the lineage."""
    return add_row(session, "node", {"kind": kind, "key": key})


def add_edge(session: Session, child: int, parent: Digest, role: str) -> None:
    """Note that a node came from another, which has to be there, unless that is known."""
    parent_id = nodes(session, [parent.hex])[parent.hex]
    if session.get(tables.Edge, (child, parent_id, role)) is None:
        session.add(tables.Edge(child_id=child, parent_id=parent_id, role=role))


def add_primitive(session: Session, reference: Reference) -> int:
    """The id of a primitive's node, which is added where it is new."""
    known = nodes(session, [str(reference)]).get(str(reference))
    if known is not None:
        return known
    node = add_node(session, "primitive", str(reference))
    add_rows(session, "primitive", [{"id": node, "uses": 0}])
    return node


def add_class_set(session: Session, seen: Iterable[Digest], parents: Iterable[int]) -> int | None:
    """The id of the set of these classes and of all that the parents were trained on, if any.

    What a block saw, everything made of it saw.
    """
    members = sorted({*_inherited(session, sorted(parents)), *(digest.hex for digest in seen)})
    if not members:
        return None
    digest = Digest.of("\n".join(members).encode()).hex
    known = session.exec(select(tables.ClassSet.id).where(tables.ClassSet.digest == digest)).first()
    if known is not None:
        return known
    class_set = add_row(session, "class_set", {"digest": digest})
    rows = [{"digest": member, "class_set_id": class_set} for member in members]
    add_rows(session, "class_set_member", rows)
    return class_set


def _inherited(session: Session, parents: Sequence[int]) -> Sequence[str]:
    """The classes that some blocks saw."""
    if not parents:
        return ()
    return session.exec(
        select(tables.ClassSetMember.digest)
        .join(tables.Block, col(tables.Block.class_set_id) == tables.ClassSetMember.class_set_id)
        .where(col(tables.Block.id).in_(parents))
        .distinct()
    ).all()


def add_signature(session: Session, type_: Type) -> int:
    """The id of a type, which is indexed where it is new."""
    canonical = shapes.canonical(type_)
    digest = shapes.identity(canonical)
    known = session.connection().execute(_SIGNATURE, {"digest": digest}).first()
    if known is not None:
        return int(known.id)
    arity = len(uncurried(canonical)[0])
    row = {"digest": digest, "text": str(canonical), "arity": arity}
    signature = add_row(session, "signature", row)
    parts = [
        {"signature_id": signature, "position": position, "head": head, "key": key}
        for position, head, key in shapes.indexed(canonical)
    ]
    add_rows(session, "signature_part", parts)
    return signature


def add_name(session: Session, name: BlockName, now: int) -> Name:
    """A name, which is added where it is new, and is this transaction's until it ends.

    Raises InvalidName for a twin.
    """
    found = session.connection().execute(_NAME_LOCKED, {"key": name.key}).first()
    if found is not None:
        _check_name_spelling(found.spelling, name)
        return Name(*found)
    row = {
        "namespace_id": add_namespace(session, name.namespace, now).id,
        "key": name.key,
        "part": name.name.lower(),
        "spelling": str(name),
        "newest": 0,
        "created": now,
    }
    return Name(add_row(session, "name", row), str(name))


def hold_name(session: Session, name: BlockName) -> None:
    """Let no other transaction change a name, if it is there, until this one ends."""
    session.connection().execute(_NAME_LOCKED, {"key": name.key})


def hold_namespace(session: Session, namespace: Namespace) -> None:
    """Let no other transaction hold a namespace until this one ends."""
    session.connection().execute(_NAMESPACE_LOCKED, {"id": namespace.id})


def add_version(
    session: Session, name: Name, block: int, manifest: Manifest, now: int
) -> tuple[int, bool]:
    """The id of the version that a block is under a name, and whether it is new."""
    connection = session.connection()
    known = connection.execute(_VERSION, {"name_id": name.id, "block_id": block}).first()
    if known is not None:
        return int(known.id), False
    number = name.newest + 1
    row = {"name_id": name.id, "number": number, "block_id": block, "created": now}
    version = add_row(session, "version", row)
    connection.execute(_ADVANCE, {"b_id": name.id, "newest": number, "current": number})
    _offer_instead(session, name, number, Words.of(manifest))
    return version, True


def offer(
    session: Session,
    name: tables.Name,
    version: tables.Version,
    yanked: int | None,
    reason: str | None,
    manifest: Callable[[Digest], Manifest],
) -> None:
    """Yank a version at a time, or with None offer it again; the newest offered is current then."""
    version.yanked, version.yank_reason = yanked, reason
    session.add(version)
    session.flush()
    offer_newest(session, name, manifest)


def offer_newest(
    session: Session, name: tables.Name, manifest: Callable[[Digest], Manifest]
) -> None:
    """Let a name alone mean its newest version that is not yanked, if there is one."""
    assert name.id is not None
    before = Name(name.id, name.spelling, name.newest, name.current)
    newest = session.exec(
        select(tables.Version.number, tables.Node.key)
        .join(tables.Node, col(tables.Node.id) == tables.Version.block_id)
        .where(tables.Version.name_id == name.id, col(tables.Version.yanked).is_(None))
        .order_by(col(tables.Version.number).desc())
        .limit(1)
    ).first()
    number = None if newest is None else newest[0]
    name.current = number
    session.add(name)
    session.flush()
    words = None if newest is None else Words.of(manifest(Digest(newest[1])))
    _offer_instead(session, before, number, words)


@dataclass(frozen=True)
class Words:
    """What a version is found by, besides its name."""

    tags: str
    card: str

    @classmethod
    def of(cls, manifest: Manifest) -> Words:
        return cls(" ".join(manifest.tags), manifest.card)


def _offer_instead(session: Session, name: Name, number: int | None, words: Words | None) -> None:
    """Let searches find a version where the name's current one was; with None, no version at all.

    The row of the name has to say so already.
    """
    for changed in {name.current, number} - {None}:
        _mark_current(session, name, changed, offered=changed == number)
    connection, known = session.connection(), {"b_id": name.id}
    if words is None:
        connection.execute(_FORGET_DOCUMENT, known)
        return
    row = {"title": name.spelling, "tags": words.tags, "card": words.card, "words": ""}
    if connection.dialect.name == "postgresql":
        row["words"] = plain_words(name.spelling, words.tags, words.card)
    if name.current is None or connection.execute(_CHANGE_DOCUMENT, {**known, **row}).rowcount == 0:
        add_rows(session, "document", [{"id": name.id, **row}])


def _mark_current(session: Session, name: Name, number: int | None, *, offered: bool) -> None:
    """Note on the block of a version whether it is the current version of some name."""
    connection = session.connection()
    given = {"name_id": name.id, "number": number}
    block = connection.execute(_BLOCK_LOCKED, given).scalar_one()
    current = offered or connection.execute(_CURRENT_SOMEWHERE, {"block_id": block}).first()
    connection.execute(_MARK, {"b_id": block, "current": bool(current)})


def nodes(session: Session, keys: Iterable[str], kind: str | None = None) -> dict[str, int]:
    """The ids, by key, of those of these nodes that are there."""
    wanted = sorted(set(keys))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), 500):
        given = {"keys": wanted[start : start + 500], "kind": kind}
        query = _NODES if kind is None else _NODES_OF_KIND
        found.update((key, id_) for key, id_ in session.connection().execute(query, given))
    return found


def blocks_after(session: Session, after: int, limit: int = 1000) -> list[tuple[int, str]]:
    """The ids and keys of blocks whose bytes were not taken away, in the order of publishing."""
    query = (
        select(tables.Node.id, tables.Node.key)
        .join(tables.Block, col(tables.Block.id) == tables.Node.id)
        .where(col(tables.Node.id) > after, col(tables.Block.tombstone).is_(None))
        .order_by(col(tables.Node.id))
        .limit(limit)
    )
    return [(id_ or 0, key) for id_, key in session.exec(query)]


# What every publish asks is written once, over rows instead of objects.
_namespace, _name, _version, _block, _node, _signature, _document = (
    tables.METADATA.tables[table]
    for table in ("namespace", "name", "version", "block", "node", "signature", "document")
)
_NAMESPACE = core.select(_namespace.c.id, _namespace.c.spelling).where(
    _namespace.c.key == bindparam("key")
)
_NAME = core.select(_name.c.id, _name.c.spelling, _name.c.newest, _name.c.current).where(
    _name.c.key == bindparam("key")
)
_NAME_LOCKED = _NAME.with_for_update()
_ADVANCE = update(_name).where(_name.c.id == bindparam("b_id"))
_SIGNATURE = core.select(_signature.c.id).where(_signature.c.digest == bindparam("digest"))
_NODES = core.select(_node.c.key, _node.c.id).where(Among(_node.c.key, many("keys", Text)))
_NODES_OF_KIND = _NODES.where(_node.c.kind == bindparam("kind"))
_VERSION = core.select(_version.c.id).where(
    _version.c.name_id == bindparam("name_id"), _version.c.block_id == bindparam("block_id")
)
_NAMESPACE_LOCKED = (
    core.select(_namespace.c.id).where(_namespace.c.id == bindparam("id")).with_for_update()
)
_BLOCK_LOCKED = (
    core.select(_block.c.id)
    .where(
        _version.c.name_id == bindparam("name_id"),
        _version.c.number == bindparam("number"),
        _block.c.id == _version.c.block_id,
    )
    .with_for_update(of=_block)
)
_CURRENT_SOMEWHERE = core.select(_version.c.id).where(
    _version.c.block_id == bindparam("block_id"),
    _name.c.id == _version.c.name_id,
    _name.c.current == _version.c.number,
)
_MARK = update(_block).where(_block.c.id == bindparam("b_id"))
_FORGET_DOCUMENT = delete(_document).where(_document.c.id == bindparam("b_id"))
_CHANGE_DOCUMENT = update(_document).where(_document.c.id == bindparam("b_id"))
