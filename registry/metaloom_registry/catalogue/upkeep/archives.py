"""An archive of namespaces: every version with all it came from, as one tar file.

    index.json              names, versions, aliases and owners; the digests of all blocks in order
    manifests/<digest>      the manifest of each block, parents before children
    seals/<digest>          who signed a block, where somebody did
    blobs/<digest>          the bytes of files, each once

The entries stand in this order, are plain files without compression, and are named by what they
hold, so reading one in a single pass can check each as it comes: an archive that holds anything
else, or less, is refused.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaloom_registry.canonical import Json, dump_canonical, load_strict
from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, NotFound, ParseError, Refused
from metaloom_registry.manifest import MAX_BYTES, Manifest
from metaloom_registry.seals import MAX_BYTES as MAX_SEAL_BYTES
from metaloom_registry.seals import Seal, read_seals, write_seals

FORMAT = "metaloom-archive/1"
INDEX = "index.json"
MAX_INDEX = 256 << 20
MAX_BLOCKS = 1_000_000
MAX_BLOB = 16 << 30


@dataclass(frozen=True)
class Contents:
    """What an archive lists: the index's own fields, the manifests in order, and their seals."""

    index: Mapping[str, Any]
    manifests: tuple[Manifest, ...]
    seals: Mapping[Digest, tuple[Seal, ...]]

    @property
    def blobs(self) -> dict[Digest, int]:
        """The bytes of every file of every block, by digest, in the order of the archive."""
        files = (file for manifest in self.manifests for file in manifest.files.values())
        return {file.digest: file.size for file in files}


def write_archive(
    path: Path, index: Mapping[str, Json], contents: Contents, read: Callable[[Digest], bytes]
) -> None:
    """Write an archive and flush it to the disk; `read` gives the bytes of a blob.

    Equal contents give equal archives.
    """
    blocks: list[Json] = [str(manifest.digest) for manifest in contents.manifests]
    with (
        path.open("wb") as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        _add(archive, INDEX, dump_canonical({**index, "format": FORMAT, "blocks": blocks}))
        for manifest in contents.manifests:
            _add(archive, f"manifests/{manifest.digest.hex}", manifest.to_bytes())
        for digest, seals in contents.seals.items():
            _add(archive, f"seals/{digest.hex}", write_seals(digest, seals))
        for digest in contents.blobs:
            _add(archive, f"blobs/{digest.hex}", read(digest))
        archive.close()
        file.flush()
        os.fsync(file.fileno())


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o644
    archive.addfile(entry, io.BytesIO(data))


@contextmanager
def reading_archive(path: Path) -> Iterator[tuple[Contents, Iterator[bytes]]]:
    """An archive's contents, and then its blobs one by one, each checked against its digest.

    Raises NotFound, ParseError, Corrupt where bytes are not those of their name or are missing, and
    Refused for anything that does not belong into an archive.
    """
    if not path.is_file():
        raise NotFound(f"there is no archive {path}")
    try:
        with tarfile.open(path, "r:") as archive:
            entries = _Entries(archive, path)
            contents = _contents(entries)
            yield contents, _blobs(entries, contents)
    except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError) as error:
        raise ParseError(
            f"{path} is no archive of Metaloom: {str(error)[:200]}; "
            "`metaloom export NAMESPACE --to FILE.tar` writes one"
        ) from error


class _Entries:
    """The entries of a tar file in order, each asked for by its name."""

    def __init__(self, archive: tarfile.TarFile, path: Path) -> None:
        self._archive = archive
        self.path = path
        self._next = archive.next()

    def name(self) -> str | None:
        return None if self._next is None else self._next.name

    def take(self, wanted: str, most: int) -> bytes:
        """The bytes of the entry that has to come now. Raises Refused or Corrupt."""
        entry = self._next
        if entry is None:
            raise Corrupt(f"{self.path} ends where {wanted} is wanted; copy it again, whole")
        if entry.name != wanted:
            raise Refused(
                f"{self.path} holds {entry.name[:120]!r} where {wanted} belongs; it was not "
                "written by `metaloom export`, or was changed"
            )
        if entry.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or entry.sparse is not None:
            raise Refused(f"{self.path}: {wanted} is no plain file, and is not read")
        if entry.size > most:
            raise Refused(
                f"{self.path}: {wanted} has {entry.size} bytes where at most {most} belong"
            )
        file = self._archive.extractfile(entry)
        assert file is not None
        data = file.read(most + 1)
        if len(data) != entry.size:
            raise Corrupt(f"{self.path} ends in the middle of {wanted}; copy it again, whole")
        vars(self._archive)["members"] = []  # it would remember every entry
        self._next = self._archive.next()
        return data

    def end(self) -> None:
        if self._next is not None:
            raise Refused(
                f"{self.path} holds {self._next.name[:120]!r}, which no block in it lists"
            )


def _contents(entries: _Entries) -> Contents:
    index = load_strict(entries.take(INDEX, MAX_INDEX), INDEX)
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        found = index.get("format") if isinstance(index, dict) else None
        raise Refused(
            f"{entries.path} has the format {str(found)[:60]!r}, and {FORMAT!r} is read; "
            "if a newer Metaloom wrote it, upgrade with `pip install --upgrade metaloom`"
        )
    listed = index.get("blocks")
    if not isinstance(listed, list) or len(listed) > MAX_BLOCKS:
        raise Refused(f"{entries.path} lists no blocks, or more than {MAX_BLOCKS}")
    digests = [Digest.parse(str(text)) for text in listed]
    if len(set(digests)) != len(digests):
        raise Refused(f"{entries.path} lists a block twice")
    manifests = []
    for digest in digests:
        data = entries.take(f"manifests/{digest.hex}", MAX_BYTES)
        _require(data, digest, entries.path)
        manifests.append(Manifest.parse(data))
    seals = {}
    for digest in digests:
        if entries.name() == f"seals/{digest.hex}":
            data = entries.take(f"seals/{digest.hex}", MAX_SEAL_BYTES)
            seals[digest] = read_seals(data, digest)
    return Contents(index, tuple(manifests), seals)


def _blobs(entries: _Entries, contents: Contents) -> Iterator[bytes]:
    for digest, size in contents.blobs.items():
        if size > MAX_BLOB:
            raise Refused(f"{entries.path}: {digest} has {size} bytes; at most {MAX_BLOB}")
        data = entries.take(f"blobs/{digest.hex}", size)
        _require(data, digest, entries.path)
        yield data
    entries.end()


def _require(data: bytes, digest: Digest, path: Path) -> None:
    if Digest.of(data) != digest:
        raise Corrupt(f"{path}: what is called {digest} has other bytes; copy the archive again")


def required(index: Mapping[str, Any], field: str, kind: type[Any]) -> Any:
    """A field of an index. Raises Refused where it is missing or of another kind."""
    found = index.get(field)
    if not isinstance(found, kind) or isinstance(found, bool) is not (kind is bool):
        raise Refused(f"the archive's {INDEX} has no {field!r} such as is wanted")
    return found


def rows(index: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    """A list of objects in an index. Raises Refused."""
    found = required(index, field, list)
    if not all(isinstance(row, dict) for row in found):
        raise Refused(f"the archive's {INDEX} has something else than objects in {field!r}")
    return list(found)
