"""Where a library is: a folder, from the path given, METALOOM_HOME or `~/.metaloom`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from metaloom_registry.errors import StorageError

DEFAULT = "~/.metaloom"


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
