"""Cursors: where a list of hits goes on, as an opaque text that belongs to one query."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any, TypeAlias

from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.errors import MetaloomError, ParseError

Place: TypeAlias = tuple[float, int, int]
"""Where a hit stands in the order of its query: the larger, the earlier."""

MAX_LENGTH = 400


def write_cursor(mark: str, place: Place) -> str:
    """The cursor of what comes after a place, for the query of this mark."""
    data = dump_canonical({"query": mark, "place": place})
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def read_cursor(cursor: str, mark: str) -> Place:
    """The place of a cursor. Raises ParseError where it is none, or is of another query."""
    try:
        data = base64.urlsafe_b64decode(cursor[:MAX_LENGTH] + "=" * (-len(cursor) % 4))
        value: Any = load_strict(data, "the cursor")
        of, (first, second, third) = value["query"], value["place"]
        place = (float(first), int(second), int(third))
    except (binascii.Error, MetaloomError, KeyError, TypeError, ValueError, OverflowError):
        place, of = (math.nan, 0, 0), None
    if math.isnan(place[0]) or max(map(abs, place[1:])) >= 1 << 63:
        raise ParseError(f"{cursor[:40]!r} is not a cursor; give the one of the page before")
    if of != mark:
        raise ParseError("the cursor is of another query; begin this query without one")
    return place
