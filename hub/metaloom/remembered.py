"""The memory of a program on disk: one value in a file of JSON, from call to call.

A call reads the file, computes, and replaces the file as a whole; a lock beside it keeps other
processes waiting meanwhile, so none of their calls is lost.  The file holds data alone:

    {"format": 1, "type": "dict[text, int]", "value": {"a": 3}}
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaloom_metalearn import empty_value, hard_value, json_value
from metaloom_registry import (
    Corrupt,
    Digest,
    InvalidTask,
    ParseError,
    StorageError,
    Type,
    dump_canonical,
    load_strict,
)

FORMAT = 1
MAX_BYTES = 1024 * 1024
"""The size of the largest memory."""

PATIENCE = 10.0
"""Seconds that a call waits for another process to let go of the memory."""


@dataclass
class Memory:
    """What a program remembers; what `value` is when the memory is closed is written to disk."""

    value: Any


def memory_path(home: Path, digest: Digest) -> Path:
    """Where a library keeps the memory of a program, unless told otherwise."""
    return home / "memory" / f"{digest.hex}.json"


@contextmanager
def remembered(path: Path, type_: Type, patience: float = PATIENCE) -> Iterator[Memory]:
    """Open the memory of a program that remembers a value of this type.

    Without a file it holds the empty value of its type.  An error leaves the file as it was.
    Raises Corrupt where the file holds no such value, and StorageError where it cannot be read or
    written, would be larger than `MAX_BYTES`, or another process keeps it.
    """
    with _locked(path, patience):
        before = _read(path, type_)
        memory = Memory(before)
        yield memory
        if memory.value != before or not path.exists():
            _write(path, memory.value, type_)


@contextmanager
def _locked(path: Path, patience: float) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    raise StorageError(
                        f"another process has kept the memory {path} for {patience:g} s; "
                        "try again once it is done"
                    ) from None
                time.sleep(0.01)
        yield
    finally:
        os.close(lock)


def _read(path: Path, type_: Type) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return empty_value(type_)
    except OSError as error:
        raise StorageError(f"the memory {path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise StorageError(
            f"the memory {path} has more than the {MAX_BYTES} bytes allowed; move it away to begin "
            "with an empty one"
        )
    try:
        document = load_strict(data, str(path))
        if document["format"] != FORMAT:
            raise ParseError(f"its format is {document['format']}, and this version reads {FORMAT}")
        if document["type"] != str(type_):
            raise ParseError(f"it holds {document['type']}, and the program remembers {type_}")
        return hard_value(document["value"], type_, "value")
    except (ParseError, InvalidTask, KeyError, TypeError) as error:
        raise Corrupt(
            f"{path} holds no memory of this program: {error}; move it away to begin with an "
            "empty one"
        ) from None


def _write(path: Path, value: Any, type_: Type) -> None:
    """Replace the file as a whole, or leave it as it was."""
    data = dump_canonical({"format": FORMAT, "type": str(type_), "value": json_value(value, type_)})
    if len(data) > MAX_BYTES:
        raise StorageError(
            f"the memory {path} would take {len(data)} bytes, more than the {MAX_BYTES} allowed; "
            "it is as it was before"
        )
    try:
        file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with os.fdopen(file, "wb") as written:
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        Path(name).replace(path)
    except OSError as error:
        with suppress(OSError):
            Path(name).unlink()
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"the memory {path} cannot be written: {error.strerror}; it is as it was before; "
        "give another file with --memory"
    )
