"""Messages through pipes: a JSON object and the bytes that belong to it, each with its length.

    4 bytes   the length n of the JSON, big-endian
    n bytes   the JSON; "bytes" is the list of the lengths of what follows
    ...       the parts, one after the other

Nothing in a message is code, so a worker that a block has taken over cannot take over its parent.
"""

from __future__ import annotations

import os
import select
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

from metaloom_registry.canonical import Json, dump_canonical, load_strict
from metaloom_registry.errors import ParseError

MAX_JSON = 1 << 20
_LENGTH = struct.Struct(">I")


class Silent(Exception):
    """The other side has not answered in time."""


class Gone(Exception):
    """The other side has closed the pipe."""


def pack(message: Mapping[str, Json], parts: Sequence[bytes] = ()) -> list[bytes]:
    """The pieces of a message, to be written one after the other."""
    header = dump_canonical({**message, "bytes": [len(part) for part in parts]})
    return [_LENGTH.pack(len(header)) + header, *parts]


def send(descriptor: int, pieces: Sequence[bytes], until: float | None = None) -> None:
    """Write all pieces to a pipe.

    Raises Silent at the time `until` (monotonic; the pipe must not block), Gone at a closed pipe.
    """
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            _wait(descriptor, until, writing=True)
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:  # it has room, but not for this much
                continue
            except BrokenPipeError:
                raise Gone from None


def receive(
    descriptor: int, most: int, until: float | None = None
) -> tuple[dict[str, Any], list[bytes]]:
    """Read one message with at most so many bytes of parts.

    Raises Silent, Gone, and ParseError for what is no message.
    """
    (length,) = _LENGTH.unpack(_read(descriptor, _LENGTH.size, until))
    if length > MAX_JSON:
        raise ParseError(f"a message claims {length} bytes of JSON; at most {MAX_JSON}")
    header = load_strict(_read(descriptor, length, until), "the message")
    if not isinstance(header, dict):
        raise ParseError("the message is not an object")
    sizes = header.pop("bytes", None)
    if not isinstance(sizes, list) or not all(type(n) is int and n >= 0 for n in sizes):
        raise ParseError("the message does not say how many bytes belong to it")
    if sum(sizes) > most:
        raise ParseError(f"a message claims {sum(sizes)} bytes; at most {most}")
    return header, [_read(descriptor, size, until) for size in sizes]


def _read(descriptor: int, count: int, until: float | None) -> bytes:
    found = bytearray()
    while len(found) < count:
        _wait(descriptor, until, writing=False)
        piece = os.read(descriptor, min(count - len(found), 1 << 20))
        if not piece:
            raise Gone
        found += piece
    return bytes(found)


def _wait(descriptor: int, until: float | None, *, writing: bool) -> None:
    if until is None:
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
    left = until - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise Silent
