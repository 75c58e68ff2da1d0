"""A registry: a store of blobs and a catalogue of what they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from sqlmodel import Session

from metaloom_registry.canonical import Json
from metaloom_registry.catalogue.integrity import Report, examine
from metaloom_registry.catalogue.lineage.ancestry import Direction, Lineage, trace
from metaloom_registry.catalogue.lineage.runs import RunRecord, add_run, read_run, work
from metaloom_registry.catalogue.naming import versions
from metaloom_registry.catalogue.naming.aliases import AliasMove
from metaloom_registry.catalogue.naming.versions import Page, Version, described
from metaloom_registry.catalogue.publish import custody, publishing, sealing
from metaloom_registry.catalogue.publish.admission import Admission, Examiner, keep
from metaloom_registry.catalogue.publish.custody import By, Custody
from metaloom_registry.catalogue.publish.drafts import (
    Draft,
    check_ancestry,
    check_files,
    contents,
    list_drafts,
)
from metaloom_registry.catalogue.publish.kinds import Validator
from metaloom_registry.catalogue.publish.outbox import Outbox, announce
from metaloom_registry.catalogue.publish.putting import put_all, put_and_write
from metaloom_registry.catalogue.reading import Reader
from metaloom_registry.catalogue.schema.database import Database, sqlite_url
from metaloom_registry.catalogue.search.finder import Finder
from metaloom_registry.catalogue.search.finding import Hit
from metaloom_registry.catalogue.search.fitting import TypeIndex
from metaloom_registry.digest import Digest
from metaloom_registry.errors import StorageError
from metaloom_registry.manifest import Manifest
from metaloom_registry.names import BlockName, Reference
from metaloom_registry.seals import Seal
from metaloom_registry.storage.cached import origin_of
from metaloom_registry.storage.folder import FolderBlobs
from metaloom_registry.storage.store import BlobStore
from metaloom_registry.types import Type
from metaloom_registry.workers import Pool, Verdict

CATALOGUE_FILE = "catalogue.db"
NEIGHBOURS_FILE = "neighbours.bin"
BLOBS_FOLDER = "blobs"


class Registry:
    """Blocks, found by name, version, alias or digest, their bytes verified on every read.

    `now` gives the time in seconds since 1970.  Before a block is published it is checked by its
    kind, a graph of unknown origin by the workers of `pool`; `validate` takes the place of that.
    """

    def __init__(
        self,
        blobs: BlobStore,
        database: Database,
        *,
        now: Callable[[], float] = time.time,
        validate: Validator | None = None,
        pool: Examiner | None = None,
        neighbours: Path | None = None,
    ) -> None:
        self.blobs = blobs
        self.database = database
        self.types = TypeIndex()
        self.finder = Finder(database, self.types, neighbours)
        self.now = now
        self._validate = validate
        self._pool: Examiner = pool or Pool()
        self._shares_pool = pool is not None
        self.admission = Admission(database, self._pool, self._microseconds)
        self._reader = Reader(database, lambda digest: self.blobs.get(digest))

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        now: Callable[[], float] = time.time,
        validate: Validator | None = None,
        pool: Examiner | None = None,
        blobs: BlobStore | None = None,
        database: str | None = None,
    ) -> Registry:
        """Open the registry in a folder, which is made where it is missing.

        `blobs` is where its blobs are and `database` the URL of its catalogue, by default both are
        in that folder.  Raises StorageError where the folder or the database cannot be used or a
        newer Metaloom wrote it.
        """
        path = Path(folder).expanduser()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot make the folder {path} of a registry: {error.strerror}; "
                "choose a folder that is writable"
            ) from error
        listed = Database(database or sqlite_url(str(path / CATALOGUE_FILE)))
        blobs = blobs or FolderBlobs(path / BLOBS_FOLDER)
        near = path / NEIGHBOURS_FILE
        return cls(blobs, listed, now=now, validate=validate, pool=pool, neighbours=near)

    def close(self) -> None:
        """Let go of the database, and end the workers of this registry."""
        self.database.close()
        if not self._shares_pool:
            self._pool.close()

    @property
    def outbox(self) -> Outbox:
        """What is still to be told to mirrors: every publish and every run."""
        return Outbox(self.database, self._microseconds)

    @property
    def custody(self) -> Custody:
        """Who may change a namespace, what its aliases mean, and what should not be used."""
        return Custody(self.database, self._microseconds, self.manifest)

    def publish(
        self,
        name: BlockName | str,
        manifest: Manifest,
        files: Mapping[str, bytes],
        *,
        parts: Sequence[Draft] = (),
        run: Digest | None = None,
        seals: Sequence[Seal] = (),
        exported: bool = False,
    ) -> Version:
        """Publish a block under a name: a new version, or the one it has there already.

        `parts` are blocks that come with it and need no name, such as the adapted modules of a
        solution; each before the ones that have it as a parent.  `run` is the recorded run that
        made it, `seals` are signatures of it, `exported` says what it says of a Draft.  All of it
        is published or nothing.  Raises InvalidName, NotOwner, NotFound where a parent or the run
        is missing or the block was taken away, BadSeal where a signature does not hold, and
        whatever validation raises.
        """
        name = _block_name(name)
        drafts = [*parts, Draft(manifest, files, tuple(seals), exported)]
        keys = [seal.key for seal in seals]
        with self.database.reading() as session:
            publishing.check_spelling(session, name)
            custody.require_owner(session, name.namespace, keys)
            check_ancestry(session, drafts, run)
        for draft in drafts:
            check_files(draft)
            sealing.check_seals(draft.manifest, draft.seals)
        verdicts = {draft.manifest.digest: self.check(draft) for draft in drafts}
        now = self._microseconds()

        def put() -> Iterable[Digest]:
            return put_all(self.blobs, contents(drafts))

        def change(session: Session) -> Version:
            custody.require_owner(session, name.namespace, keys)
            for digest, verdict in verdicts.items():
                if verdict is not None:
                    keep(session, digest, verdict, now)
            return list_drafts(session, name, drafts, run, now)

        return put_and_write(self.database, self.blobs, put, change)

    def resolve(self, reference: Reference | str) -> Version:
        """The version a reference means: newest that is not yanked, number, alias or digest.

        Raises NotFound, naming the nearest names, the versions or the aliases there are.
        """
        with self.database.reading() as session:
            return described(session, [versions.find(session, _reference(reference))])[0]

    def expand(self, prefix: str) -> Digest:
        """The digest that begins with these digits, as people shorten it. Raises NotFound."""
        with self.database.reading() as session:
            return versions.expanded(session, prefix)

    def newest(self, limit: int) -> list[Version]:
        """The blocks that were published last, the newest first."""
        with self.database.reading() as session:
            return versions.newest(session, limit)

    def manifest(self, digest: Digest) -> Manifest:
        """The manifest of a block. Raises NotFound or Corrupt."""
        return self._reader.manifest(digest)

    def read_manifest(self, digest: Digest) -> Manifest:
        """The manifest, read from the store whatever is remembered. Raises Corrupt."""
        return self._reader.read_manifest(digest)

    def read(self, digest: Digest, path: str) -> bytes:
        """The bytes of one file of a block, verified. Raises NotFound or Corrupt."""
        return self._reader.read(digest, path)

    def files(self, digest: Digest) -> dict[str, bytes]:
        """The bytes of every file of a block, verified."""
        return self._reader.files(digest)

    def seals(self, digest: Digest) -> tuple[Seal, ...]:
        """Who signed a block, the earliest first, not checked. Raises NotFound."""
        with self.database.reading() as session:
            block = versions.find(session, Reference(None, digest))[2]
            return sealing.listed(session, block)

    def sealed(self) -> tuple[Digest, ...]:
        """Every block that somebody signed."""
        with self.database.reading() as session:
            return sealing.sealed(session)

    def add_seals(self, digest: Digest, seals: Sequence[Seal]) -> None:
        """Keep signatures of a block. Raises NotFound, or BadSeal where one does not hold."""
        sealing.check_seals(self.manifest(digest), seals)

        def change(session: Session) -> None:
            block = versions.find(session, Reference(None, digest))[2]
            sealing.add_seals(session, block, seals)

        self.database.write(change)

    def called(self, part: str) -> list[str]:
        """The newest names whose last part this is, in any case."""
        with self.database.reading() as session:
            return versions.called(session, part)

    def words_in_use(self) -> set[str]:
        """The words of the newest names, and tags: what a mistyped word may have meant."""
        with self.database.reading() as session:
            return versions.words_in_use(session)

    def names(self, prefix: str = "", *, limit: int = 100, cursor: str = "") -> Page[Version]:
        """Names that begin with `prefix`, in order, each with the version it stands for."""
        with self.database.reading() as session:
            return versions.names(session, prefix, cursor, limit)

    def versions(self, name: BlockName | str) -> tuple[Version, ...]:
        """Every version of a name, yanked ones too, the newest first. Raises NotFound."""
        with self.database.reading() as session:
            row = versions.find_name(session, _block_name(name))
            return tuple(versions.listed(session, row))

    def set_alias(self, reference: Reference | str, alias: str, *, by: By = None) -> Version:
        """Let `namespace/name@alias` mean the version of a reference from now on.

        `by` is the key of whoever does it, here and below. Raises NotOwner.
        """
        return self.custody.set_alias(_reference(reference), alias, by=by)

    def remove_alias(self, name: BlockName | str, alias: str, *, by: By = None) -> None:
        """Take an alias away. Raises NotFound where there is none."""
        self.custody.remove_alias(_block_name(name), alias, by=by)

    def alias_history(self, name: BlockName | str) -> tuple[AliasMove, ...]:
        """Every move of every alias of a name, the oldest first."""
        return self.custody.alias_history(_block_name(name))

    def yank(
        self, reference: Reference | str, reason: str | None = None, *, by: By = None
    ) -> Version:
        """Stop offering a version: only its number, its alias and its digest find it then."""
        return self.custody.yank(_reference(reference), reason, by=by)

    def unyank(self, reference: Reference | str, *, by: By = None) -> Version:
        """Offer a yanked version again. Raises NotFound where it was taken away for good."""
        return self.custody.unyank(_reference(reference), by=by)

    def search(
        self,
        text: str | None = None,
        *,
        takes: Type | None = None,
        gives: Type | None = None,
        type: Type | None = None,  # noqa: A002
        kind: str | None = None,
        tag: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Hit]:
        """Current versions that match all that is given, each with the reasons.

        `takes` is something that one argument accepts, `gives` the result, `type` the whole type;
        what unifies with it fits.  With `text` the best match comes first, else the most used.
        `finder` finds by more: what fits between blocks, what behaves alike, what did well.
        """
        tags = () if tag is None else (tag,)
        return self.finder.search(
            text,
            takes=takes,
            gives=gives,
            type=type,
            kind=kind,
            tags=tags,
            limit=limit,
            cursor=cursor,
        )

    def lineage(
        self,
        start: Digest | Reference,
        direction: Direction = "parents",
        *,
        depth: int = 10,
        limit: int = 500,
        cursor: str | None = None,
    ) -> Lineage:
        """What a block, run or task (by digest) or a primitive (by reference) came from or led to.

        A named reference of a block is resolved first.  `cursor` is that of a lineage whose root
        has more relatives than are in it.  Raises NotFound, and ParseError for another's cursor.
        """
        with self.database.reading() as session:
            if isinstance(start, Reference) and isinstance(start.selector, Digest):
                start = start.selector
            if isinstance(start, Reference) and not publishing.nodes(session, [str(start)]):
                start = described(session, [versions.find(session, start)])[0].digest
            return trace(session, start, direction, depth, limit, cursor)

    def record_run(self, run: RunRecord, message: Mapping[str, Json] | None = None) -> Digest:
        """Record a run with its edges, and leave a message about it; returns its digest.

        Mirrors get `message` with the run's digest as `event`.  Raises NotFound where an input is
        not in the registry.
        """
        now = self._microseconds()

        def change(session: Session) -> None:
            if add_run(session, run, now) and message is not None:
                announce(session, run.kind, {**message, "event": run.digest.hex}, now)

        self.database.write(change)
        return run.digest

    def work(self, prefix: str) -> Digest:
        """The run or task whose digest begins with these digits. Raises NotFound."""
        with self.database.reading() as session:
            return work(session, prefix)

    def run(self, digest: Digest) -> RunRecord:
        """A run as it was recorded. Raises NotFound."""
        with self.database.reading() as session:
            return read_run(session, digest)

    def mark_used(self, digests: Iterable[Digest], primitives: Iterable[Reference] = ()) -> None:
        """Count one use more of each of these blocks and primitives: they rank higher then."""
        keys = [*(digest.hex for digest in digests), *map(str, primitives)]

        def change(session: Session) -> None:
            publishing.count_use(session, publishing.nodes(session, keys).values())

        self.database.write(change)

    def verify(self, reference: Reference | str | None = None) -> Report:
        """Read every byte of one block again, or of all of them, and look for their parents.

        It is read where it is kept, whatever copies there are. Raises NotFound for a block that was
        taken away for good.
        """
        blocks: Iterable[Digest] = self.digests()
        if reference is not None:
            blocks = [self.resolve(reference).digest]
            with self.database.reading() as session:
                custody.require_bytes(session, blocks)
        return examine(blocks, Reader(self.database, origin_of(self.blobs).get), self._lists)

    def check(self, draft: Draft) -> Verdict | None:
        """Validate a draft; the verdict to be kept, if any. Raises what validation raises."""
        if self._validate is not None:
            self._validate(draft.manifest, draft.files)
            return None
        return self.admission.check(draft.manifest, draft.files, exported=draft.exported)

    def digests(self) -> Iterable[Digest]:
        """Every block that has its bytes, in the order of publishing."""
        after = 0
        while True:
            with self.database.reading() as session:
                rows = publishing.blocks_after(session, after)
            if not rows:
                return
            yield from (Digest(key) for _, key in rows)
            after = rows[-1][0]

    def _lists(self, digest: Digest) -> bool:
        with self.database.reading() as session:
            return bool(publishing.nodes(session, [digest.hex], "block"))

    def _microseconds(self) -> int:
        return int(self.now() * 1_000_000)


def _block_name(name: BlockName | str) -> BlockName:
    return BlockName.parse(name) if isinstance(name, str) else name


def _reference(reference: Reference | str) -> Reference:
    return Reference.parse(reference) if isinstance(reference, str) else reference
