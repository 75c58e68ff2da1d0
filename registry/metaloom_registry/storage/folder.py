"""Blobs in a folder: one file each, named by its digest.

    <folder>/sha256/ab/cdef...     the bytes; the path is the digest
    <folder>/tmp/...               files being written

A blob is written to a temporary file, flushed to the disk, renamed into place and its folder
flushed, so after a crash it is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, NotFound, StorageError
from metaloom_registry.storage.store import verified

HOUR = 3_600.0
_FIRST = re.compile(r"[0-9a-f]{2}", re.ASCII)
_REST = re.compile(r"[0-9a-f]{62}", re.ASCII)


class FolderBlobs:
    """A store in a folder of the local disk, which is made when the first blob is put."""

    def __init__(
        self, folder: str | os.PathLike[str], now: Callable[[], float] = time.time
    ) -> None:
        self.folder = Path(folder)
        self._now = now

    def path(self, digest: Digest) -> Path:
        """Where the bytes of a digest are kept."""
        return self.folder.joinpath("sha256", digest.hex[:2], digest.hex[2:])

    def put(self, data: bytes) -> Digest:
        digest = Digest.of(data)
        try:
            if not self._holds(digest, data):
                self._write(self.path(digest), data)
        except OSError as error:
            raise StorageError(
                f"cannot write {len(data)} bytes into the store {self.folder}: {_reason(error)}; "
                "check that the folder is writable and the disk has room"
            ) from error
        return digest

    def get(self, digest: Digest) -> bytes:
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise self._not_held(digest) from None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {_reason(error)}") from error
        return verified(data, digest, f"the blob {path}")

    def has(self, digest: Digest) -> bool:
        return self.path(digest).is_file()

    def digests(self) -> Iterator[Digest]:
        top = self.folder / "sha256"
        try:
            for first in sorted(top.iterdir()) if top.is_dir() else ():
                inside = _FIRST.fullmatch(first.name) and first.is_dir()
                for file in sorted(first.iterdir()) if inside else ():
                    if _REST.fullmatch(file.name):
                        yield Digest(first.name + file.name)
        except OSError as error:
            raise StorageError(
                f"cannot list {top}: {_reason(error)}; check that it can be read"
            ) from error

    def last_put(self, digest: Digest) -> float:
        path = self.path(digest)
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            raise self._not_held(digest) from None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {_reason(error)}") from error

    def remove(self, digest: Digest) -> None:
        path = self.path(digest)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot remove {path}: {_reason(error)}; check that its folder is writable"
            ) from error

    def remove_unfinished(self, age: float) -> int:
        """Remove what killed writers left, if it was begun so many seconds ago; how many files.

        Nothing younger than an hour is taken to be left: its writer may be slow.
        """
        before = self._now() - max(age, HOUR)
        waiting = self.folder / "tmp"
        removed = 0
        for file in sorted(waiting.iterdir()) if waiting.is_dir() else ():
            with contextlib.suppress(OSError):  # just finished by its writer, or not ours to remove
                if file.is_file() and file.stat().st_mtime < before:
                    file.unlink()
                    removed += 1
        return removed

    def _not_held(self, digest: Digest) -> NotFound:
        return NotFound(f"the store {self.folder} holds no blob {digest}")

    def _holds(self, digest: Digest, data: bytes) -> bool:
        """Whether the store holds these bytes unharmed; if so, marks them as just used."""
        path = self.path(digest)
        try:
            if path.stat().st_size != len(data):
                return False
            verified(path.read_bytes(), digest, str(path))
            os.utime(path)  # a collection of unreachable blobs spares what was just put
        except (FileNotFoundError, Corrupt):
            return False
        except PermissionError:  # someone else's file: whole, and not ours to mark
            return True
        except OSError as error:
            if error.errno != errno.EROFS:  # mounted read-only: whole, and nobody's to mark
                raise
        return True

    def _write(self, path: Path, data: bytes) -> None:
        waiting = self.folder / "tmp"
        _make(waiting)
        _make(path.parent)
        handle, name = tempfile.mkstemp(dir=waiting)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        _flush(path.parent)


def _make(folder: Path) -> None:
    """Make a folder that outlives a crash; one that is there costs a single look."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush(folder.parent)


def _flush(folder: Path) -> None:
    """Make the names in a folder outlive a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
