"""What the names of a registry mean: aliases moved, versions no longer offered, or again."""

from __future__ import annotations

from collections.abc import Callable

from sqlmodel import Session

from metaloom_registry.catalogue import custody, publishing, versions
from metaloom_registry.catalogue.aliases import AliasMove, alias_moves, move_alias
from metaloom_registry.catalogue.custody import By
from metaloom_registry.catalogue.database import Database
from metaloom_registry.catalogue.versions import Version, described
from metaloom_registry.digest import Digest
from metaloom_registry.errors import InvalidName
from metaloom_registry.manifest import Manifest
from metaloom_registry.names import BlockName, Reference


class Naming:
    """The aliases and the yanked versions of one registry."""

    def __init__(
        self,
        database: Database,
        microseconds: Callable[[], int],
        manifest: Callable[[Digest], Manifest],
    ) -> None:
        self._database = database
        self._microseconds = microseconds
        self._manifest = manifest

    def set_alias(self, reference: Reference, alias: str, *, by: By = None) -> Version:
        """Let `namespace/name@alias` mean the version of a reference from now on.

        `by` is the key of whoever does it, here and below. Raises NotOwner.
        """
        if reference.name is None:
            raise InvalidName(f"an alias is a name's; give a named version, not {reference}")
        Reference(reference.name, alias)  # raises InvalidName
        namespace, now = reference.name.namespace, self._microseconds()

        def change(session: Session) -> Version:
            custody.require_owner(session, namespace, [by])
            name, version, block = versions.find(session, reference)
            assert name is not None
            move_alias(session, name, alias, version, now)
            session.flush()
            return described(session, [(name, version, block)])[0]

        return self._database.write(change)

    def remove_alias(self, name: BlockName, alias: str, *, by: By = None) -> None:
        """Take an alias away. Raises NotFound where there is none."""
        now = self._microseconds()

        def change(session: Session) -> None:
            custody.require_owner(session, name.namespace, [by])
            move_alias(session, versions.find_name(session, name), alias, None, now)

        self._database.write(change)

    def alias_history(self, name: BlockName) -> tuple[AliasMove, ...]:
        """Every move of every alias of a name, the oldest first."""
        with self._database.reading() as session:
            row = versions.find_name(session, name)
            return tuple(alias_moves(session, row))

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
        namespace = reference.name.namespace

        def change(session: Session) -> Version:
            custody.require_owner(session, namespace, [by])
            name, version, block = versions.find(session, reference)
            assert name is not None
            assert version is not None
            if yanked is None:
                digest = described(session, [(name, version, block)])[0].digest
                custody.require_bytes(session, [digest])
            publishing.offer(session, name, version, yanked, reason, self._manifest)
            return described(session, [(name, version, block)])[0]

        return self._database.write(change)
