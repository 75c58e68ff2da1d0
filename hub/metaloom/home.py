"""Where a library is: a folder, from the path given, METALOOM_HOME or `~/.metaloom`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from metaloom_registry.errors import AlreadyExists, StorageError
from metaloom_registry.storage import open_blobs

if TYPE_CHECKING:
    from metaloom_registry import Collectable

DEFAULT = "~/.metaloom"
BLOBS_FILE = "blobs.url"
"""Holds the address of the library's blobs, where they are elsewhere."""


def library_folder(
    given: str | os.PathLike[str] | None = None, environment: Mapping[str, str] = os.environ
) -> Path:
    """The folder of the library, absolute; made where it is not there.

    Raises StorageError where it is a URL, a file, or cannot be made.
    """
    text = os.fspath(given) if given is not None else environment.get("METALOOM_HOME") or DEFAULT
    if "://" in text:
        raise StorageError(
            f"{text} is a remote library, which this version does not open; give a folder"
        )
    folder = Path(text).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise StorageError(f"{folder} is a file; a library is a folder") from None
    except OSError as error:
        raise StorageError(
            f"the folder {folder} cannot be made: {error.strerror}; "
            "give another with --home or METALOOM_HOME"
        ) from None
    return folder


def is_offline(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether METALOOM_OFFLINE forbids to ask a network for anything."""
    return environment.get("METALOOM_OFFLINE", "0").strip().lower() not in ("", "0", "false", "no")


def cache_folder(home: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where copies of what is remote are kept: METALOOM_CACHE, or `cache` in the library."""
    given = environment.get("METALOOM_CACHE")
    return Path(given).expanduser().absolute() if given else home / "cache"


def blob_store(
    home: Path, address: str | None = None, environment: Mapping[str, str] = os.environ
) -> Collectable | None:
    """Where the library's blobs are, if not in its folder: at the address it was made with.

    Raises AlreadyExists where it was made with another.
    """
    file = home / BLOBS_FILE
    known = file.read_text(encoding="utf-8").strip() if file.is_file() else None
    if address is not None and known is None:
        if (home / "blobs").exists():
            raise AlreadyExists(
                f"{home} has its blobs in its folder; choose another folder for a library whose "
                f"blobs are at {address}"
            )
        file.write_text(address + "\n", encoding="utf-8")
        known = address
    elif address is not None and known != address:
        raise AlreadyExists(f"the blobs of {home} are at {known}, not at {address}")
    if known is None:
        return None
    cache = cache_folder(home, environment)
    return open_blobs(known, cache, offline=is_offline(environment))
