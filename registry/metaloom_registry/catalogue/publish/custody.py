"""Custody: who may change a namespace, its aliases, and what is said of versions not to be used.

A namespace without owners is everybody's.  Once a key owns it, what is published there has to carry
a seal of an owner, and every other change names the owner's key by which it is made.  A key becomes
the first owner by claiming a namespace; after that owners admit and remove each other.

Who holds the database and the store can change them by other means: custody keeps honest people
from mistakes, and seals, which anybody can check, tell who published what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import sqlalchemy as core
from sqlalchemy import Text, bindparam, update
from sqlmodel import Session, col, select

from metaloom_registry.catalogue.naming import versions
from metaloom_registry.catalogue.naming.aliases import AliasMove, alias_moves, move_alias
from metaloom_registry.catalogue.naming.versions import Version, described
from metaloom_registry.catalogue.publish import publishing
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among, many
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.digest import Digest
from metaloom_registry.errors import InvalidName, NotFound, NotOwner
from metaloom_registry.keys import PublicKey
from metaloom_registry.manifest import Manifest
from metaloom_registry.names import BlockName, Reference

By: TypeAlias = PublicKey | None
"""The key of whoever makes a change."""


class Custody:
    """The owners of namespaces, aliases, yanks, deprecations and tombstones of one registry.

    `by` is the key of whoever makes a change; NotOwner is raised where it owns the namespace not.
    """

    def __init__(
        self,
        database: Database,
        microseconds: Callable[[], int],
        manifest: Callable[[Digest], Manifest],
    ) -> None:
        self._database = database
        self._microseconds = microseconds
        self._manifest = manifest

    def owners(self, namespace: str) -> tuple[PublicKey, ...]:
        """The keys that own a namespace, the first owner first. Raises InvalidName for no name."""
        publishing.check_namespace(namespace)
        with self._database.reading() as session:
            return owners(session, namespace)

    def add_owner(self, namespace: str, key: PublicKey, *, by: By) -> None:
        """Let a key own a namespace: one that has no owner yet, or where `by` is an owner.

        Raises NotOwner, or InvalidName for a namespace that differs in case from one that is there.
        """
        publishing.check_namespace(namespace)
        now = self._microseconds()

        def change(session: Session) -> None:
            space = publishing.add_namespace(session, namespace, now)
            publishing.hold_namespace(session, space)
            require_owner(session, namespace, [by or key])
            add_owner(session, space.id, key, now)

        self._database.write(change)

    def remove_owner(self, namespace: str, key: PublicKey, *, by: By) -> None:
        """Let a key own a namespace no longer. Raises NotOwner, or NotFound where it is none."""
        publishing.check_namespace(namespace)

        def change(session: Session) -> None:
            space = publishing.find_namespace(session, namespace)
            if space is not None:
                publishing.hold_namespace(session, space)
            if space is None or key not in owners(session, namespace):
                raise NotFound(f"{key} is no owner of the namespace {namespace}")
            require_owner(session, namespace, [by])
            session.delete(session.get_one(tables.Owner, (space.id, key.hex)))

        self._database.write(change)

    def set_alias(self, reference: Reference, alias: str, *, by: By = None) -> Version:
        """Let `namespace/name@alias` mean the version of a reference from now on.

        Raises NotFound where the version was taken away for good.
        """
        if reference.name is None:
            raise InvalidName(f"an alias is a name's; give a named version, not {reference}")
        Reference(reference.name, alias)  # raises InvalidName
        now = self._microseconds()

        def change(session: Session) -> Version:
            name, version, block = self._named(session, reference, by)
            digest = described(session, [(name, version, block)])[0].digest
            require_bytes(session, [digest], hold=True)
            move_alias(session, name, alias, version, now)
            session.flush()
            return described(session, [(name, version, block)])[0]

        return self._database.write(change)

    def remove_alias(self, name: BlockName, alias: str, *, by: By = None) -> None:
        """Take an alias away. Raises NotFound where there is none."""
        now = self._microseconds()

        def change(session: Session) -> None:
            require_owner(session, name.namespace, [by])
            move_alias(session, versions.find_name(session, name), alias, None, now)

        self._database.write(change)

    def alias_history(self, name: BlockName) -> tuple[AliasMove, ...]:
        """Every move of every alias of a name, the oldest first."""
        with self._database.reading() as session:
            return tuple(alias_moves(session, versions.find_name(session, name)))

    def yank(self, reference: Reference, reason: str | None = None, *, by: By = None) -> Version:
        """Stop offering a version: only its number, its alias and its digest find it then."""
        return self._offer(reference, self._microseconds(), reason, by)

    def unyank(self, reference: Reference, *, by: By = None) -> Version:
        """Offer a yanked version again. Raises NotFound where it was taken away for good."""
        return self._offer(reference, None, None, by)

    def _offer(
        self, reference: Reference, yanked: int | None, reason: str | None, by: By
    ) -> Version:
        if reference.name is None:
            raise InvalidName(f"only a named version can be yanked; {reference} has no name")

        def change(session: Session) -> Version:
            name, version, block = self._named(session, reference, by)
            if yanked is None:
                digest = described(session, [(name, version, block)])[0].digest
                require_bytes(session, [digest], hold=True)
            publishing.offer(session, name, version, yanked, reason, self._manifest)
            return described(session, [(name, version, block)])[0]

        return self._database.write(change)

    def deprecate(
        self,
        reference: Reference,
        reason: str,
        successor: Reference | None = None,
        *,
        by: By = None,
    ) -> Version:
        """Say that another should be used than this version, which is offered as before.

        Raises NotFound where the successor is not there, InvalidName where it is the version.
        """

        def change(session: Session) -> Version:
            found = self._named(session, reference, by)
            name, version, block = found
            if successor is not None:
                other = described(session, [versions.find(session, successor)])[0]
                if other.digest == described(session, [found])[0].digest:
                    raise InvalidName(f"{successor} is the deprecated version itself; name another")
                require_bytes(session, [other.digest])
            version.deprecation = reason or "use another"
            version.successor = None if successor is None else str(successor)
            session.add(version)
            session.flush()
            return described(session, [(name, version, block)])[0]

        return self._database.write(change)

    def undeprecate(self, reference: Reference, *, by: By = None) -> Version:
        """Recommend a deprecated version again."""

        def change(session: Session) -> Version:
            name, version, block = self._named(session, reference, by)
            version.deprecation = version.successor = None
            session.add(version)
            session.flush()
            return described(session, [(name, version, block)])[0]

        return self._database.write(change)

    def tombstone(self, reference: Reference, reason: str, *, by: By = None) -> Version:
        """Take a block away for good: its versions stay listed, with the reason, without bytes.

        Its bytes go with the next collection, unless another block has them too; the same block
        can not be published again.  What was made of it can be loaded no longer.  Raises NotOwner
        where the block stands in a namespace that `by` does not own.
        """
        now = self._microseconds()

        def change(session: Session) -> Version:
            block = versions.find(session, reference)[2]
            digest = Digest(session.get_one(tables.Node, block).key)
            _hold(session, [digest.hex])
            query = select(tables.Name, tables.Version).where(
                tables.Version.name_id == tables.Name.id, tables.Version.block_id == block
            )
            query = query.order_by(col(tables.Name.id)).with_for_update(of=tables.Name)
            rows = session.exec(query, execution_options={"populate_existing": True}).all()
            for name, _ in rows:
                require_owner(session, BlockName.parse(name.spelling).namespace, [by])
            session.connection().execute(
                update(tables.Block)
                .where(col(tables.Block.id) == block)
                .values(tombstone=reason or "no reason given")
            )
            for name, version in rows:
                publishing.offer(session, name, version, now, reason, self._manifest)
            session.expire_all()
            return described(session, [versions.find(session, Reference(None, digest))])[0]

        return self._database.write(change)

    def _named(
        self, session: Session, reference: Reference, by: By
    ) -> tuple[tables.Name, tables.Version, int]:
        if reference.name is not None:
            publishing.hold_name(session, reference.name)
        name, version, block = versions.find(session, reference)
        if name is None or version is None or reference.name is None:
            raise InvalidName(f"{reference} has no name; give a named version such as ns/name@3")
        require_owner(session, reference.name.namespace, [by])
        return name, version, block


def owners(session: Session, namespace: str) -> tuple[PublicKey, ...]:
    """The keys that own a namespace, the first owner first."""
    rows = session.connection().execute(_OWNERS, {"namespace": namespace.lower()})
    return tuple(map(PublicKey, rows.scalars()))


def add_owner(session: Session, namespace: int, key: PublicKey, now: int) -> None:
    """Let a key own the namespace of an id, unless it does."""
    if session.get(tables.Owner, (namespace, key.hex)) is None:
        session.add(tables.Owner(namespace_id=namespace, key=key.hex, created=now))


def require_owner(session: Session, namespace: str, keys: Iterable[By]) -> None:
    """Raise NotOwner unless one of the keys owns the namespace, or nobody does."""
    owning = owners(session, namespace)
    if not owning or set(owning) & set(keys):
        return
    given = [str(key) for key in keys if key is not None]
    raise NotOwner(
        f"the namespace {namespace} is owned by {', '.join(map(str, owning))}, and "
        f"{'the key given is ' + ' and '.join(given) if given else 'no key is given'}; "
        "sign with an owner's key (--sign, or --key NAME), or use a namespace of your own"
    )


def require_bytes(session: Session, blocks: Iterable[Digest], *, hold: bool = False) -> None:
    """Raise NotFound where one of these blocks was taken away for good.

    With `hold` none is until the transaction ends.
    """
    keys = sorted(digest.hex for digest in blocks)
    if hold:
        _hold(session, keys)
    gone = session.connection().execute(_GONE, {"keys": keys}).first()
    if gone is not None:
        raise gone_for_good(Digest(gone.key), gone.tombstone)


def _hold(session: Session, blocks: Sequence[str]) -> None:
    """Let no other transaction take these blocks away; SQLite has one writer at a time."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(_HELD, {"keys": blocks})


def require_held(session: Session, block: Digest) -> None:
    """Raise NotFound unless the block is listed and has its bytes, in one statement."""
    found = session.connection().execute(_TOMBSTONE, {"key": block.hex}).first()
    if found is None:
        versions.find(session, Reference(None, block))  # raises NotFound, saying where to look
    elif found.tombstone is not None:
        raise gone_for_good(block, found.tombstone)


def gone_for_good(block: Digest, reason: str) -> NotFound:
    return NotFound(
        f"the block {block} was taken away for good: {reason}; use another, "
        "it can neither be loaded nor published again"
    )


_node, _block, _namespace, _owner = (
    tables.METADATA.tables[name] for name in ("node", "block", "namespace", "owner")
)
_OWNERS = (
    core.select(_owner.c.key)
    .where(_namespace.c.id == _owner.c.namespace_id, _namespace.c.key == bindparam("namespace"))
    .order_by(_owner.c.created, _owner.c.key)
)
_NAMED = core.select(_node.c.key, _block.c.tombstone).where(
    _block.c.id == _node.c.id, Among(_node.c.key, many("keys", Text))
)
_GONE = _NAMED.where(_block.c.tombstone.is_not(None))
_HELD = _NAMED.order_by(_block.c.id).with_for_update(of=_block)
_TOMBSTONE = core.select(_block.c.tombstone).where(
    _block.c.id == _node.c.id, _node.c.key == bindparam("key"), _node.c.kind == "block"
)
