"""The library that searches see, over a registry and the primitives of the installed plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from sqlalchemy import or_
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col, select

from metaloom_registry.catalogue import tables
from metaloom_registry.catalogue.fitting import Wanted
from metaloom_registry.catalogue.kinds import module_of, term_of
from metaloom_registry.catalogue.registry import Registry
from metaloom_registry.catalogue.using import most_used
from metaloom_registry.catalogue.versions import described, first_names
from metaloom_registry.digest import Digest
from metaloom_registry.inference import check
from metaloom_registry.library import Entry, Loaded, primitive_entry
from metaloom_registry.names import Reference
from metaloom_registry.primitives import PrimitiveTable
from metaloom_registry.types import Type, Variable, parts, uncurried
from metaloom_registry.unification import fits

LOADED_KEPT = 256
MAX_EXCLUDED = 10_000


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
            filters = self._filters()
            types = self.registry.types
            making = types.fitting(session, Wanted(gives=want))
            taking = chain.from_iterable(
                types.fitting(session, Wanted(takes=part)) for part in concrete
            )
            ids: dict[int, None] = {}
            for signatures in (
                [fit.signature for fit in making],
                list(dict.fromkeys(fit.signature for fit in taking)),
                None,
            ):
                if signatures is None or signatures:
                    ids |= dict.fromkeys(most_used(session, filters, signatures, limit))
            known = [*self._counted(session), *self._blocks(session, list(ids))]
        ranked = sorted(known, key=lambda pair: _rank(pair[1], pair[0], want, within), reverse=True)
        return [entry for _, entry in ranked[:limit]]

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

    def _filters(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [
            col(tables.Block.current).is_(True),
            col(tables.Block.kind).in_(("graph", "program")),
        ]
        excluded = sorted(digest.hex for digest in self.excluded)
        for start in range(0, len(excluded), MAX_EXCLUDED):
            saw = select(tables.ClassSetMember.class_set_id).where(
                col(tables.ClassSetMember.digest).in_(excluded[start : start + MAX_EXCLUDED])
            )
            of = col(tables.Block.class_set_id)
            found.append(or_(of.is_(None), of.not_in(saw)))
        return found

    def _counted(self, session: Session) -> Iterator[tuple[int, Entry]]:
        """The primitives with how often they were used; older than any block."""
        keys = {str(entry.reference): entry for entry in self._entries.values()}
        uses = dict(
            session.exec(
                select(tables.Node.key, tables.Primitive.uses)
                .where(tables.Node.id == tables.Primitive.id)
                .where(col(tables.Node.key).in_(list(keys)))
            ).all()
        )
        for key, entry in keys.items():
            yield 0, replace(entry, uses=uses.get(key, 0))

    def _blocks(self, session: Session, ids: Sequence[int]) -> Iterator[tuple[int, Entry]]:
        versions = described(session, first_names(session, ids))
        rows = session.exec(
            select(tables.Block.id, tables.Block.class_set_id, tables.Block.facts).where(
                col(tables.Block.id).in_(ids)
            )
        )
        known = {id_: (classes, facts) for id_, classes, facts in rows}
        for id_, version in zip(ids, versions, strict=True):
            classes, facts = known[id_]
            yield (
                id_,
                Entry(
                    reference=version.exactly,
                    digest=version.digest,
                    kind=version.kind,
                    type=version.type,
                    name=str(version.name or version.exactly),
                    seen=self._seen(session, classes),
                    facts=facts,
                    uses=version.uses,
                ),
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


def _rank(
    entry: Entry, age: int, want: Type, within: Sequence[Type]
) -> tuple[bool, bool, bool, int, int]:
    """The larger, the more promising."""
    arguments, result = uncurried(entry.type)
    takes = all(any(fits(argument, part) for part in within) for argument in arguments)
    return fits(result, want), takes, not isinstance(result, Variable), entry.uses, age
