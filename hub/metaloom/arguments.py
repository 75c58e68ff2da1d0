"""What people give to a hub, read or refused: references, types, kinds, tags, limits, tasks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from metaloom_registry import (
    Digest,
    InvalidName,
    InvalidTask,
    ParseError,
    Reference,
    Type,
    parse_type,
)
from metaloom_registry.manifest import KINDS

_DIGEST = re.compile(r"(?:@?sha256:|@)?([0-9a-f]{8,64})", re.ASCII)


def as_reference(text: str, expand: Callable[[str], Digest]) -> Reference:
    """A reference; a digest may be shortened, as `show` prints it, and `expand` completes it.

    Raises InvalidName, and what `expand` raises.
    """
    digits = shortened(text)
    if digits is None:
        return Reference.parse(text)
    return Reference(None, Digest(digits) if len(digits) == 64 else expand(digits))


def shortened(text: str) -> str | None:
    """The digits of a digest, all or the first of them, where a text is that."""
    digits = _DIGEST.fullmatch(text)
    return None if digits is None else digits[1]


def require_reference(given: object) -> None:
    """Raise InvalidName unless it is a reference."""
    if not isinstance(given, Reference):
        raise InvalidName(
            f"{given!r:.80} names no block; give its name, such as 'vision/conv4@3', or a digest"
        )


def as_tags(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """One tag, or several."""
    return (given,) if isinstance(given, str) else tuple(given or ())


def require_limit(limit: int) -> None:
    """Raise ParseError where so many hits are none."""
    if limit < 1:
        raise ParseError(f"a limit of {limit} leaves nothing to show; give 1 or more")


def as_type(given: str | Type | None) -> Type | None:
    """A type, or its text. Raises ParseError."""
    return parse_type(given) if isinstance(given, str) else given


def require_task(given: object, *wanted: type) -> None:
    """Raise InvalidTask unless it is of one of these classes."""
    if not isinstance(given, wanted):
        raise InvalidTask(
            f"{given!r:.80} is no {' or '.join(one.__name__ for one in wanted)}; "
            "metaloom.read_task reads a task from a file"
        )


def require_kind(kind: str | None) -> None:
    """Raise ParseError where it is no kind of block."""
    if kind is not None and kind not in KINDS:
        raise ParseError(f"{kind[:80]!r} is not a kind of block; the kinds are {', '.join(KINDS)}")
