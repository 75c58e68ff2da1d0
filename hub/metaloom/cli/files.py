"""Files that a command is given: read whole, with errors that name them."""

from __future__ import annotations

from pathlib import Path

from metaloom_registry import NotFound, ParseError, StorageError, Term, load_strict, term_from_json

MAX_BYTES = 1 << 30


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises NotFound, or ParseError where it is too large."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ParseError(
                f"{path} has {path.stat().st_size} bytes; at most {MAX_BYTES} are read"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}") from None


def read_text(path: Path) -> str:
    """The text of a file in UTF-8. Raises NotFound or ParseError."""
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8. Raises StorageError where it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from None


def read_program(path: Path) -> Term | str:
    """The program in a .json file as a term, in any other file as its text."""
    if path.suffix == ".json":
        return term_from_json(load_strict(read_bytes(path), str(path)))
    return read_text(path)
