"""How a block enters the catalogue: the rows of a publish, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, update
from sqlmodel import Session, col, select

from metaloom_registry.canonical import Json
from metaloom_registry.catalogue import shapes, tables
from metaloom_registry.catalogue.embeddings import add_embedding, block_embedding
from metaloom_registry.catalogue.rows import add_row, add_rows
from metaloom_registry.catalogue.words import plain_words
from metaloom_registry.digest import Digest
from metaloom_registry.errors import InvalidName, NotFound
from metaloom_registry.manifest import Manifest
from metaloom_registry.names import BlockName, Reference
from metaloom_registry.types import Type, uncurried


def check_spelling(session: Session, name: BlockName) -> None:
    """Raises InvalidName where the name differs only in case from one that is there."""
    twin = session.exec(select(tables.Name.spelling).where(tables.Name.key == name.key)).first()
    if twin is not None:
        _check_name_spelling(twin, name)
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


def find_namespace(session: Session, namespace: str) -> tables.Namespace | None:
    """The row of a namespace in any case, if it is there."""
    key = namespace.lower()
    return session.exec(select(tables.Namespace).where(tables.Namespace.key == key)).first()


def add_namespace(session: Session, namespace: str, now: int) -> tables.Namespace:
    """The row of a namespace, which is added where it is new. Raises InvalidName for a twin."""
    found = find_namespace(session, namespace)
    if found is None:
        found = tables.Namespace(key=namespace.lower(), spelling=namespace, created=now)
        session.add(found)
        session.flush()
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
    known = session.exec(
        select(tables.Signature.id).where(tables.Signature.digest == digest)
    ).first()
    if known is not None:
        return known
    arity = len(uncurried(canonical)[0])
    row = {"digest": digest, "text": str(canonical), "arity": arity}
    signature = add_row(session, "signature", row)
    parts = [
        {"signature_id": signature, "position": position, "head": head, "key": key}
        for position, head, key in shapes.indexed(canonical)
    ]
    add_rows(session, "signature_part", parts)
    return signature


def add_name(session: Session, name: BlockName, now: int) -> tables.Name:
    """The row of a name, which is added where it is new. Raises InvalidName for a twin."""
    query = select(tables.Name).where(tables.Name.key == name.key).with_for_update()
    found = session.exec(query).first()
    if found is not None:
        _check_name_spelling(found.spelling, name)
        return found
    namespace = add_namespace(session, name.namespace, now)
    assert namespace.id is not None
    row = tables.Name(
        namespace_id=namespace.id,
        key=name.key,
        part=name.name.lower(),
        spelling=str(name),
        created=now,
    )
    session.add(row)
    session.flush()
    return row


def add_version(
    session: Session, name: tables.Name, block: int, manifest: Manifest, now: int
) -> tuple[tables.Version, bool]:
    """The version that a block is under a name, and whether it is new."""
    known = session.exec(
        select(tables.Version).where(
            tables.Version.name_id == name.id, tables.Version.block_id == block
        )
    ).first()
    if known is not None:
        return known, False
    assert name.id is not None
    name.newest += 1
    version = tables.Version(name_id=name.id, number=name.newest, block_id=block, created=now)
    session.add_all((version, name))
    make_current(session, name, version.number, Words.of(manifest))
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
    newest = session.exec(
        select(tables.Version.number, tables.Node.key)
        .join(tables.Node, col(tables.Node.id) == tables.Version.block_id)
        .where(tables.Version.name_id == name.id, col(tables.Version.yanked).is_(None))
        .order_by(col(tables.Version.number).desc())
        .limit(1)
    ).first()
    if newest is None:
        make_current(session, name, None, None)
    else:
        number, key = newest
        make_current(session, name, number, Words.of(manifest(Digest(key))))
    session.flush()


@dataclass(frozen=True)
class Words:
    """What a version is found by, besides its name."""

    tags: str
    card: str

    @classmethod
    def of(cls, manifest: Manifest) -> Words:
        return cls(" ".join(manifest.tags), manifest.card)


def make_current(
    session: Session, name: tables.Name, number: int | None, words: Words | None
) -> None:
    """Offer a version where the name alone is asked for, or, with None, no version at all."""
    before, name.current = name.current, number
    session.add(name)
    session.flush()
    for changed in {before, number} - {None}:
        _mark_current(session, name, changed)
    connection, known = session.connection(), {"b_id": name.id}
    if words is None:
        connection.execute(_FORGET_DOCUMENT, known)
        return
    row = {"title": name.spelling, "tags": words.tags, "card": words.card, "words": ""}
    if connection.dialect.name == "postgresql":
        row["words"] = plain_words(name.spelling, words.tags, words.card)
    if before is None or connection.execute(_CHANGE_DOCUMENT, {**known, **row}).rowcount == 0:
        add_rows(session, "document", [{"id": name.id, **row}])


def _mark_current(session: Session, name: tables.Name, number: int | None) -> None:
    """Note on the block of a version whether it is the current version of some name."""
    block = session.exec(
        select(tables.Version.block_id).where(
            tables.Version.name_id == name.id, tables.Version.number == number
        )
    ).one()
    current = (
        number == name.current
        or session.exec(
            select(tables.Version.id)
            .join(tables.Name, col(tables.Name.id) == tables.Version.name_id)
            .where(tables.Version.block_id == block, tables.Version.number == tables.Name.current)
            .limit(1)
        ).first()
    )
    session.connection().execute(
        update(tables.Block).where(col(tables.Block.id) == block).values(current=bool(current))
    )


def nodes(session: Session, keys: Iterable[str], kind: str | None = None) -> dict[str, int]:
    """The ids, by key, of those of these nodes that are there."""
    wanted = sorted(set(keys))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), 500):
        query = select(tables.Node.key, tables.Node.id).where(
            col(tables.Node.key).in_(wanted[start : start + 500])
        )
        if kind is not None:
            query = query.where(tables.Node.kind == kind)
        for key, id_ in session.exec(query):
            assert id_ is not None
            found[key] = id_
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


_document = tables.METADATA.tables["document"]
_FORGET_DOCUMENT = delete(_document).where(_document.c.id == bindparam("b_id"))
_CHANGE_DOCUMENT = update(_document).where(_document.c.id == bindparam("b_id"))
