"""A registry: a store of blobs and a catalogue of what they are."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import Session

from metaloom_registry.catalogue import publishing
from metaloom_registry.catalogue.database import Database, sqlite_url
from metaloom_registry.catalogue.kinds import Validator, validate_block
from metaloom_registry.catalogue.versions import Version, described, find
from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, NotFound, Refused, StorageError
from metaloom_registry.manifest import File, Manifest
from metaloom_registry.names import BlockName, Reference
from metaloom_registry.storage.folder import FolderBlobs
from metaloom_registry.storage.store import BlobStore

CATALOGUE_FILE = "catalogue.db"
BLOBS_FOLDER = "blobs"
MANIFESTS_KEPT = 4096


@dataclass(frozen=True)
class Draft:
    """A block that is not published yet: its manifest and the bytes of its files."""

    manifest: Manifest
    files: Mapping[str, bytes] = field(default_factory=dict)


class Registry:
    """Blocks, found by name, version, alias or digest, their bytes verified on every read.

    `now` gives the time in seconds since 1970; `validate` checks a block by its kind before it is
    published.
    """

    def __init__(
        self,
        blobs: BlobStore,
        database: Database,
        *,
        now: Callable[[], float] = time.time,
        validate: Validator = validate_block,
    ) -> None:
        self.blobs = blobs
        self.database = database
        self._now = now
        self._validate = validate
        self._manifests: dict[Digest, Manifest] = {}

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        now: Callable[[], float] = time.time,
        validate: Validator = validate_block,
    ) -> Registry:
        """Open the registry in a folder, which is made where it is missing.

        Raises StorageError where the folder cannot be used or a newer Metaloom wrote it.
        """
        path = Path(folder).expanduser()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot make the folder {path} of a registry: {error.strerror}; "
                "choose a folder that is writable"
            ) from error
        database = Database(sqlite_url(str(path / CATALOGUE_FILE)))
        return cls(FolderBlobs(path / BLOBS_FOLDER), database, now=now, validate=validate)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def publish(
        self,
        name: BlockName | str,
        manifest: Manifest,
        files: Mapping[str, bytes],
        *,
        parts: Sequence[Draft] = (),
    ) -> Version:
        """Publish a block under a name: a new version, or the one it has there already.

        `parts` are blocks that come with it and need no name, such as the adapted modules of a
        solution; each before the ones that have it as a parent.  All of it is published or nothing.
        Raises InvalidName, NotFound where a parent is missing, and whatever validation raises.
        """
        name = BlockName.parse(name) if isinstance(name, str) else name
        drafts = [*parts, Draft(manifest, files)]
        with self.database.reading() as session:
            publishing.check_spelling(session, name)
            self._check_parents(session, drafts)
        for draft in drafts:
            _check_files(draft)
            self._validate(draft.manifest, draft.files)
        for draft in drafts:
            for data in draft.files.values():
                self.blobs.put(data)
            self.blobs.put(draft.manifest.to_bytes())
        now = self.microseconds()
        return self.database.write(lambda session: self._list(session, name, drafts, now))

    def _check_parents(self, session: Session, drafts: Sequence[Draft]) -> None:
        beside: list[Digest] = []
        for draft in drafts:
            publishing.check_parents(session, [p.digest for p in draft.manifest.parents], beside)
            beside.append(draft.manifest.digest)

    def _list(
        self, session: Session, name: BlockName, drafts: Sequence[Draft], now: int
    ) -> Version:
        self._check_parents(session, drafts)
        blocks = [publishing.add_block(session, draft.manifest, now) for draft in drafts]
        row = publishing.add_name(session, name, now)
        manifest = drafts[-1].manifest
        version, new = publishing.add_version(session, row, blocks[-1], manifest, now)
        if new:
            publishing.announce(
                session,
                "published",
                {
                    "name": row.spelling,
                    "number": version.number,
                    "digest": str(manifest.digest),
                    "kind": manifest.kind,
                    "type": str(manifest.signature),
                    "parents": [[str(p.digest), p.role] for p in manifest.parents],
                    "parts": [str(draft.manifest.digest) for draft in drafts[:-1]],
                },
                now,
            )
        session.flush()
        return described(session, [(row, version, version.block_id)])[0]

    def resolve(self, reference: Reference | str) -> Version:
        """The version a reference means: newest that is not yanked, number, alias or digest.

        Raises NotFound, naming the nearest names, the versions or the aliases there are.
        """
        if isinstance(reference, str):
            reference = Reference.parse(reference)
        with self.database.reading() as session:
            return described(session, [find(session, reference)])[0]

    def manifest(self, digest: Digest) -> Manifest:
        """The manifest of a block. Raises NotFound or Corrupt."""
        known = self._manifests.get(digest)
        if known is not None:
            return known
        self.resolve(Reference(None, digest))
        data = self._blob(digest, digest, "manifest")
        manifest = Manifest.parse(data)
        if len(self._manifests) >= MANIFESTS_KEPT:
            self._manifests.pop(next(iter(self._manifests)))
        self._manifests[digest] = manifest
        return manifest

    def read(self, digest: Digest, path: str) -> bytes:
        """The bytes of one file of a block, verified. Raises NotFound or Corrupt."""
        manifest = self.manifest(digest)
        file = manifest.files.get(path)
        if file is None:
            there = ", ".join(manifest.files) or "no files"
            raise NotFound(f"the block {digest} has no file {path[:80]!r}; it has {there}")
        return self._blob(digest, file.digest, path)

    def files(self, digest: Digest) -> dict[str, bytes]:
        """The bytes of every file of a block, verified."""
        return {path: self.read(digest, path) for path in self.manifest(digest).files}

    def microseconds(self) -> int:
        """The time, as the catalogue keeps it."""
        return int(self._now() * 1_000_000)

    def _blob(self, block: Digest, digest: Digest, what: str) -> bytes:
        try:
            return self.blobs.get(digest)
        except Corrupt as error:
            raise Corrupt(f"the block {block}, {what}: {error}") from None
        except NotFound as error:
            raise Corrupt(
                f"the block {block}, {what}: {error}, although it is listed; "
                "publish the block again or restore the file from a copy"
            ) from None


def _check_files(draft: Draft) -> None:
    """Raises Refused where the files are not those of the manifest."""
    promised, given = draft.manifest.files, draft.files
    if missing := sorted(set(promised) - set(given)):
        raise Refused(f"the manifest lists the file {missing[0]!r}, which is not given")
    if extra := sorted(set(given) - set(promised)):
        raise Refused(f"the file {extra[0]!r} is given, but the manifest does not list it")
    for path, data in given.items():
        if File.of(data) != promised[path]:
            raise Refused(
                f"the file {path!r} has {len(data)} bytes of digest {Digest.of(data)}, and the "
                f"manifest promises {promised[path].size} of {promised[path].digest}"
            )
