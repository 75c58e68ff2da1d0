"""A block as one folder or archive: its manifest, its files, and every block it came from.

    manifest.json               the manifest, canonical; its digest is the block
    manifest.json.sig           who signed it, where somebody did
    graph.json, weights...      the files the manifest lists, under their paths
    ancestors/<digest>/...      each block it came from, in the same way, once

An archive is the same folder as a zip file whose entries are not compressed, so that nothing in it
can be larger than it looks.  Whatever is read is checked against the digests of the manifest.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeAlias

from metaloom_registry.catalogue.publish.kinds import module_of, term_of, validate_block
from metaloom_registry.digest import Digest
from metaloom_registry.errors import AlreadyExists, Corrupt, NotFound, Refused
from metaloom_registry.manifest import (
    MANIFEST_FILE,
    MAX_BYTES,
    SIGNATURE_FILE,
    File,
    Manifest,
)
from metaloom_registry.seals import MAX_BYTES as MAX_SEAL_BYTES
from metaloom_registry.seals import Seal, read_seals, write_seals

if TYPE_CHECKING:
    from torch import nn

    from metaloom_registry.terms import Term

ANCESTORS = "ancestors"
ARCHIVE_SUFFIX = ".zip"
MAX_ANCESTORS = 1_000
MAX_FILE = 16 << 30
_EPOCH = (1980, 1, 1, 0, 0, 0)

Reader: TypeAlias = Callable[[str, int], bytes | None]
"""The bytes under a path, at most so many and one more; None where there is nothing."""


@dataclass(frozen=True)
class Portable:
    """A block and its files, and the blocks it came from, each after its own parents.

    The ancestors of an ancestor stand beside it, not in it.  `seals` are signatures of the block,
    which are not checked by reading them.
    """

    manifest: Manifest
    files: Mapping[str, bytes]
    ancestors: tuple[Portable, ...] = ()
    seals: tuple[Seal, ...] = ()

    @property
    def digest(self) -> Digest:
        return self.manifest.digest


def write_portable(block: Portable, path: Path | str) -> Path:
    """Write a block into a new folder, or into an archive where the path ends with `.zip`.

    The folder appears whole or not at all.  Equal blocks give equal archives.  Raises AlreadyExists
    where something is there, Refused where a file of the block has the place of its ancestors.
    """
    target = Path(path)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise AlreadyExists(f"{target} is there already; choose another path or remove it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ARCHIVE_SUFFIX:
        _write_archive(block, target)
    else:
        _write_folder(block, target)
    return target


def _write_archive(block: Portable, target: Path) -> None:
    with _replacing(target) as written, zipfile.ZipFile(written, "w") as archive:
        for path, data in sorted(_contents(block)):
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A path beside the target that takes its place at the end, unless there is an error."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _write_folder(block: Portable, target: Path) -> None:
    written = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        for path, data in _contents(block):
            place = written / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        written.chmod(0o755)
        os.replace(written, target)
    except BaseException:
        shutil.rmtree(written)
        raise


def _contents(block: Portable) -> Iterator[tuple[str, bytes]]:
    for path in block.manifest.files:
        if path.split("/")[0].lower() == ANCESTORS:
            raise Refused(f"the block's file {path!r} stands where its ancestors are written")
    for one in (block, *block.ancestors):
        folder = "" if one is block else f"{ANCESTORS}/{one.digest.hex}/"
        yield f"{folder}{MANIFEST_FILE}", one.manifest.to_bytes()
        if one.seals:
            yield f"{folder}{SIGNATURE_FILE}", write_seals(one.digest, one.seals)
        for path, data in one.files.items():
            yield f"{folder}{path}", data


def read_portable(path: Path | str, *, alone: bool = False) -> Portable:
    """Read what `write_portable` wrote; `alone` leaves the ancestors where they are.

    An ancestor that is missing is left out: whoever publishes the block says whether it is known.
    Raises NotFound, Corrupt where bytes are not those of the manifest, ParseError or Refused.
    """
    source = Path(path)
    with _reader(source) as read:
        block = _read_block(read, "", source)
        return block if alone else _with_ancestors(block, read, source)


def load_block(path: Path | str) -> nn.Module | Term:
    """The block in a portable folder or archive: a trained graph as `nn.Module`, a program as Term.

    It is validated as of unknown origin, and runs no code of its author.  It needs neither a
    library nor a database: torch and safetensors alone.  Raises as `read_portable`, and Refused
    where the block breaks a rule of the format.
    """
    block = read_portable(path, alone=True)
    validate_block(block.manifest, block.files)
    if block.manifest.kind == "graph":
        return module_of(block.files, block.manifest.facts)
    if block.manifest.kind == "program":
        return term_of(block.manifest, block.files)
    raise Refused(f"{path} holds a primitive, whose code is a plugin's: install that plugin")


def listed_files(path: Path | str) -> tuple[Digest, dict[str, File]]:
    """The block in a portable folder, and all files that it and its ancestors consist of by path.

    Reads manifests alone, which are not compared to what they are called.  Raises as
    `read_portable`.
    """
    source = Path(path)
    listed: dict[str, File] = {}
    with _reader(source) as read:
        main = _read_manifest(read, "", source)
        known: set[Digest] = set()
        waiting = [("", main)]
        while waiting:
            folder, manifest = waiting.pop()
            listed |= {f"{folder}{name}": file for name, file in manifest.files.items()}
            for parent in manifest.parents:
                inside = _ancestor_folder(parent.digest)
                if parent.digest in known or read(f"{inside}{MANIFEST_FILE}", MAX_BYTES) is None:
                    continue
                if len(known) >= MAX_ANCESTORS:
                    raise _too_many(source)
                known.add(parent.digest)
                waiting.append((inside, _read_manifest(read, inside, source)))
    return main.digest, listed


def _with_ancestors(block: Portable, read: Reader, source: Path) -> Portable:
    """The block with those it came from, each after its own parents."""
    known: dict[Digest, Portable | None] = {}
    order: list[Portable] = []
    waiting = [(parent.digest, False) for parent in block.manifest.parents]
    while waiting:
        digest, expanded = waiting.pop()
        if expanded:
            found = known[digest]
            assert found is not None
            order.append(found)
            continue
        if digest in known:
            continue
        if len(known) >= MAX_ANCESTORS:
            raise _too_many(source)
        known[digest] = ancestor = _read_ancestor(read, digest, source)
        if ancestor is not None:
            waiting.append((digest, True))
            waiting += [(parent.digest, False) for parent in ancestor.manifest.parents]
    return replace(block, ancestors=tuple(order))


def _too_many(source: Path) -> Refused:
    return Refused(f"{source} has more than {MAX_ANCESTORS} ancestors, which are not read")


def _ancestor_folder(digest: Digest) -> str:
    return f"{ANCESTORS}/{digest.hex}/"


def _read_ancestor(read: Reader, digest: Digest, source: Path) -> Portable | None:
    folder = _ancestor_folder(digest)
    if read(f"{folder}{MANIFEST_FILE}", MAX_BYTES) is None:
        return None
    found = _read_block(read, folder, source)
    if found.digest != digest:
        raise Corrupt(
            f"{source / folder} holds the block {found.digest}, which is not what it is called; "
            "export the block again"
        )
    return found


def _read_manifest(read: Reader, folder: str, source: Path) -> Manifest:
    data = read(f"{folder}{MANIFEST_FILE}", MAX_BYTES)
    if data is None:
        raise NotFound(
            f"{source} has no {MANIFEST_FILE}, so it is no block; `metaloom export` writes one"
        )
    return Manifest.parse(data)


def _read_block(read: Reader, folder: str, source: Path) -> Portable:
    manifest = _read_manifest(read, folder, source)
    files = {
        path: _checked(read(f"{folder}{path}", file.size), file, source / folder / path)
        for path, file in manifest.files.items()
    }
    signed = read(f"{folder}{SIGNATURE_FILE}", MAX_SEAL_BYTES)
    seals = () if signed is None else read_seals(signed, manifest.digest)
    return Portable(manifest, files, seals=seals)


def _checked(data: bytes | None, file: File, where: Path) -> bytes:
    if data is None:
        raise NotFound(f"{where} is missing, which the manifest lists; copy the block again, whole")
    if File.of(data) != file:
        raise Corrupt(
            f"{where} is not what the manifest promises: {file.size} bytes of {file.digest}; "
            "copy the block again"
        )
    return data


@contextmanager
def _reader(source: Path) -> Iterator[Reader]:
    """How files of a folder or of an archive are read."""
    if source.is_dir():
        yield lambda path, size: _read_file(source / PurePosixPath(path), size)
    elif source.is_file():
        with _archive(source) as archive:
            yield lambda path, size: _read_entry(archive, path, size, source)
    else:
        raise NotFound(f"there is no folder or archive {source}")


def _read_file(path: Path, size: int) -> bytes | None:
    if not path.is_file():  # a pipe would be waited for without end
        return None
    if size > MAX_FILE:
        raise Refused(f"{path} is said to have {size} bytes; at most {MAX_FILE} are read")
    with path.open("rb") as file:
        return file.read(size + 1)


def _archive(source: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(source)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise Refused(f"{source} is no zip archive: {error}") from None


def _read_entry(archive: zipfile.ZipFile, path: str, size: int, source: Path) -> bytes | None:
    try:
        entry = archive.getinfo(path)
    except KeyError:
        return None
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise Refused(
            f"{source}: {path} is compressed or encrypted; "
            "a block's archive is a zip file without compression, as `metaloom export` writes it"
        )
    if size > MAX_FILE:
        raise Refused(f"{source}: {path} is said to have {size} bytes; at most {MAX_FILE} are read")
    try:
        with archive.open(entry) as file:
            return file.read(size + 1)
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise Corrupt(f"{source}: {path} cannot be read: {error}; copy the archive again") from None
