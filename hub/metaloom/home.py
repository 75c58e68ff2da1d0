"""Where a library is: a folder, from the path given, METALOOM_HOME or `~/.metaloom`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metaloom_registry.errors import AlreadyExists, StorageError
from metaloom_registry.storage import open_blobs

if TYPE_CHECKING:
    from metaloom_registry import Collectable
    from metaloom_registry.catalogue import Registry

DEFAULT = "~/.metaloom"
JOINED = 5
"""Blocks, the newest, of which one has to be in the store of a library that is joined."""


def library_folder(
    given: str | os.PathLike[str] | None = None, environment: Mapping[str, str] = os.environ
) -> Path:
    """The folder of the library, absolute; made where it is not there.

    Raises StorageError where it is a URL, a file, or cannot be made.
    """
    text = os.fspath(given) if given is not None else environment.get("METALOOM_HOME") or DEFAULT
    if "://" in text:
        raise StorageError(
            f"{text} is a remote library, and a library is a folder; "
            "`metaloom init --blobs URL --home FOLDER` makes one whose blobs are elsewhere"
        )
    folder = Path(text).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise StorageError(
            f"{folder} is a file, and a library is a folder; "
            "give another with --home or METALOOM_HOME"
        ) from None
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
    home: Path, address: str | None, environment: Mapping[str, str] = os.environ
) -> Collectable | None:
    """Where the library's blobs are, if not in its folder: at this address, with a cache here."""
    if address is None:
        return None
    cache = cache_folder(home, environment)
    return open_blobs(address, cache, offline=is_offline(environment))


@dataclass(frozen=True)
class Part:
    """A part of a library that may be elsewhere.

    what: what it is called.
    file: holds its address, where it is elsewhere.
    inside: where in the library's folder it is otherwise.
    """

    what: str
    file: str
    inside: str


BLOBS = Part("blobs", "blobs.url", "blobs")
CATALOGUE = Part("catalogue", "catalogue.url", "catalogue.db")


def remembered_address(home: Path, part: Part, address: str | None = None) -> str | None:
    """Where a part of a library is, if not in its folder: at the address it was made with.

    `address` is that of a new library.  Raises AlreadyExists where it was made with another, and
    StorageError for blobs at what is neither a URL nor a path.
    """
    if address is not None and part is BLOBS:
        address = _wherever_opened(address)
    file = home / part.file
    if not file.is_file():
        if address is not None and (home / part.inside).exists():
            raise AlreadyExists(
                f"{home} has its {part.what} in its folder; choose another folder for a library "
                f"whose {part.what} is at {without_password(address)}"
            )
        return address
    known = file.read_text(encoding="utf-8").strip()
    if address not in (None, known):
        raise AlreadyExists(
            f"{home} has its {part.what} at {without_password(known)}, "
            f"not at {without_password(address or '')}"
        )
    return known


def _wherever_opened(address: str) -> str:
    """An address that means the same in whatever folder the library is opened."""
    if "://" in address:
        return address
    if re.match(r"[A-Za-z][\w+.-]+:", address):
        raise StorageError(
            f"{address[:100]!r} is no URL, such as s3://bucket/folder, and as a path would be odd; "
            f"write ./{address[:100]} if it is one"
        )
    return str(Path(address).expanduser().absolute())


def remember_parts(home: Path, registry: Registry, addresses: Mapping[Part, str | None]) -> None:
    """Keep the addresses of a library's parts for who opens it next; nobody else may read them.

    Raises StorageError where the catalogue lists blocks whose bytes are not where the blobs are:
    one library would then be in two places, each without half of its bytes.
    """
    new = {
        home / part.file: address
        for part, address in addresses.items()
        if address is not None and not (home / part.file).is_file()
    }
    newest = registry.newest(JOINED) if new else []
    if newest and not any(registry.blobs.has(block.digest) for block in newest):
        places = {part: address or home / part.inside for part, address in addresses.items()}
        registry.close()
        raise StorageError(
            f"the catalogue at {without_password(str(places[CATALOGUE]))} lists blocks that are "
            f"not at {without_password(str(places[BLOBS]))}; give the address that whoever made "
            "the library gave: `metaloom init --blobs URL --database URL`"
        )
    for file, address in new.items():
        file.touch(mode=0o600)
        file.write_text(address + "\n", encoding="utf-8")


def without_password(address: str) -> str:
    """An address to be shown."""
    return re.sub(r"(://[^/@:]*):[^/@]*@", r"\1:***@", address)
