"""The library that searches see, over a registry and the primitives of the installed plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import sqlalchemy as core
from sqlalchemy import or_
from sqlmodel import Session, col, select

from metaloom_registry.catalogue.naming.versions import first_names, listed_type
from metaloom_registry.catalogue.publish.kinds import module_of, term_of
from metaloom_registry.catalogue.registry import Registry
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among, many
from metaloom_registry.catalogue.search.fitting import AnyFitting, Wanted
from metaloom_registry.catalogue.search.using import Filters, most_used
from metaloom_registry.digest import Digest
from metaloom_registry.inference import check
from metaloom_registry.library import Entry, Loaded, primitive_entry
from metaloom_registry.names import Reference
from metaloom_registry.primitives import PrimitiveTable
from metaloom_registry.types import Type, Variable, parts, uncurried
from metaloom_registry.unification import fits

Promise: TypeAlias = tuple[bool, bool, bool]
BEFORE_ANY_BLOCK = 0
"""The age of a primitive beside the ids of blocks."""

LOADED_KEPT = 256


class CatalogueLibrary:
    """The current blocks of a registry, and primitives; none that saw an excluded class.

    Blocks that were made of one that saw a class saw it too.  What is loaded is kept, so a module
    given out twice is the same object: change copies of it.
    """

    def __init__(
        self, registry: Registry, primitives: PrimitiveTable, excluded: Iterable[Digest] = ()
    ) -> None:
        self.registry = registry
        self.primitives = primitives
        self.excluded = frozenset(excluded)
        self._entries = {entry.digest: entry for entry in map(primitive_entry, primitives)}
        self._loaded: dict[Digest, Loaded] = {}
        self._classes: dict[int, frozenset[Digest]] = {}

    def excluding(self, classes: Iterable[Digest]) -> CatalogueLibrary:
        """The same library without the blocks that saw one of these classes."""
        found = CatalogueLibrary(self.registry, self.primitives, self.excluded | frozenset(classes))
        found._loaded = self._loaded
        return found

    def candidates(self, want: Type, given: tuple[Type, ...], limit: int) -> Sequence[Entry]:
        """Blocks and primitives that may help to make a `want` out of `given`.

        First what gives a `want`; then what takes something given, or something within it; then
        what is used most; then what is newest.
        """
        within = tuple(dict.fromkeys(chain.from_iterable(map(parts, given))))
        concrete = [part for part in within if not isinstance(part, Variable)]
        with self.registry.database.reading() as session:
            connection, types = session.connection(), self.registry.types
            making = types.fitting(connection, Wanted(gives=want))
            taking = AnyFitting(
                [types.fitting(connection, Wanted(takes=part)) for part in concrete]
            )
            found = {
                used
                for fitting in (making, taking, None)
                for used in most_used(connection, self._filters, fitting, limit)
            }
            known = types.read(connection, {used.signature for used in found})
            promises = {id_: _promise(type_, want, within) for id_, type_ in known.items()}
            ranked: list[tuple[Promise, int, int, Entry | None]] = [
                (promises[used.signature], used.uses, used.block, None) for used in found
            ]
            ranked += [
                (_promise(entry.type, want, within), entry.uses, BEFORE_ANY_BLOCK, entry)
                for entry in self._counted(session)
            ]
            ranked.sort(key=lambda one: one[:3], reverse=True)
            kept = ranked[:limit]
            blocks = self._blocks(session, [id_ for *_, id_, entry in kept if entry is None])
            return [next(blocks) if entry is None else entry for *_, entry in kept]

    def load(self, digest: Digest) -> Loaded:
        """The module, term or primitive, verified; a program's type is checked.

        Raises NotFound, Corrupt, Refused or TypeMismatch.
        """
        if digest in self._entries:
            return self.primitives[self._entries[digest].reference]
        found = self._loaded.get(digest)
        if found is None:
            found = self._load(digest)
            if len(self._loaded) >= LOADED_KEPT:
                self._loaded.pop(next(iter(self._loaded)))
            self._loaded[digest] = found
        return found

    def type_of(self, reference: Reference) -> Type:
        """The type of what a term refers to. Raises NotFound."""
        if reference in self.primitives or not isinstance(reference.selector, Digest):
            return self.primitives[reference].signature
        return self.registry.resolve(reference).type

    def _load(self, digest: Digest) -> Loaded:
        manifest = self.registry.manifest(digest)
        if manifest.kind == "primitive":
            return self.primitives[manifest.requires[0]]
        files = self.registry.files(digest)
        if manifest.kind == "graph":
            self.registry.admission.require(manifest, files)
            return module_of(files, manifest.facts, checked=True)
        term = term_of(manifest, files)
        check(term, manifest.signature, self.type_of)
        return term

    @cached_property
    def _filters(self) -> Filters:
        if not self.excluded:
            return Filters((_MADE,))
        return Filters((_MADE, _UNSEEN), {"excluded": sorted(d.hex for d in self.excluded)})

    def _counted(self, session: Session) -> Iterator[Entry]:
        """The primitives with how often they were used."""
        keys = {str(entry.reference): entry for entry in self._entries.values()}
        uses = dict(
            session.exec(
                select(tables.Node.key, tables.Primitive.uses)
                .where(tables.Node.id == tables.Primitive.id)
                .where(col(tables.Node.key).in_(list(keys)))
            ).all()
        )
        return (replace(entry, uses=uses.get(key, 0)) for key, entry in keys.items())

    def _blocks(self, session: Session, ids: Sequence[int]) -> Iterator[Entry]:
        """The entries of blocks, in the order of their ids given."""
        named = first_names(session.connection(), ids)
        known = {row.id: row for row in session.connection().execute(_ENTRIES, {"ids": ids})}
        for id_ in ids:
            row = known[id_]
            digest = Digest(row.key)
            exactly = Reference(None, digest)
            yield Entry(
                reference=exactly,
                digest=digest,
                kind=row.kind,
                type=listed_type(row.signature),
                name=named[id_][0] if id_ in named else str(exactly),
                seen=self._seen(session, row.class_set_id),
                facts=row.facts,
                uses=row.uses,
            )

    def _seen(self, session: Session, class_set: int | None) -> frozenset[Digest]:
        if class_set is None:
            return frozenset()
        if class_set not in self._classes:
            members = select(tables.ClassSetMember.digest).where(
                tables.ClassSetMember.class_set_id == class_set
            )
            self._classes[class_set] = frozenset(map(Digest, session.exec(members)))
        return self._classes[class_set]


def _promise(type_: Type, want: Type, within: Sequence[Type]) -> Promise:
    """The larger, the more promising is what has this type."""
    arguments, result = uncurried(type_)
    takes = all(any(fits(argument, part) for part in within) for argument in arguments)
    return fits(result, want), takes, not isinstance(result, Variable)


_node, _block, _seen = (
    tables.METADATA.tables[name] for name in ("node", "block", "class_set_member")
)
_MADE = _block.c.kind.in_(("graph", "program"))
_UNSEEN = or_(
    _block.c.class_set_id.is_(None),
    _block.c.class_set_id.not_in(
        core.select(_seen.c.class_set_id).where(Among(_seen.c.digest, many("excluded", core.Text)))
    ),
)
_ENTRIES = core.select(
    _node.c.key,
    *(_block.c[name] for name in ("id", "kind", "signature", "class_set_id", "facts", "uses")),
).where(_node.c.id == _block.c.id, Among(_block.c.id))
