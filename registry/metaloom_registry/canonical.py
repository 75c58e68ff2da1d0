"""Canonical JSON: one value, one sequence of bytes, so that a digest names the value.

Keys are sorted by their UTF-16 code units, there is no white space, text is UTF-8 and numbers are
int64 or finite doubles in Python's shortest round-trip form.  This is RFC 8785 (JCS) except for the
spelling of doubles.  Reading refuses what writing never produces in spirit: duplicate keys, NaN,
integers beyond int64, nesting beyond `MAX_DEPTH`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from metaloom_registry.errors import ParseError

Json: TypeAlias = "None | bool | int | float | str | Sequence[Json] | Mapping[str, Json]"
"""One JSON value."""

MAX_DEPTH = 256
MAX_BYTES = 32 * 1024 * 1024
_INT64 = 1 << 63
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)
"""A text, or a bracket; a text that does not end is taken to the end: one pass is enough."""


def dump_canonical(value: Json) -> bytes:
    """Write a value as canonical JSON. Raises ParseError where JSON has no such value."""
    checked = _checked(value, 0)
    return json.dumps(checked, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
        "utf-8"
    )


def load_strict(data: bytes, what: str = "JSON") -> Any:
    """Read JSON from a stranger. `what` names the bytes in the error.

    Raises ParseError on malformed JSON, duplicate keys, NaN and infinities, integers beyond int64,
    lone surrogates, nesting beyond `MAX_DEPTH` and documents beyond `MAX_BYTES`.
    """
    if len(data) > MAX_BYTES:
        raise ParseError(f"{what} has {len(data)} bytes; at most {MAX_BYTES} are read")
    _refuse_deep_nesting(data, what)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_sorted_object,
            parse_constant=_no_constant,
            parse_int=_int64,
            parse_float=_finite,
        )
        return _checked(value, 0) if b"\\u" in data else value  # only escapes hide surrogates
    except UnicodeDecodeError as error:
        raise ParseError(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ParseError(
            f"{what} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except ParseError as error:
        raise ParseError(f"{what}: {error}") from None


def _refuse_deep_nesting(data: bytes, what: str) -> None:
    """Count brackets outside of texts before the JSON reader recurses into them."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TOKEN.finditer(data):
        byte = data[token.start()]
        if byte in (0x5B, 0x7B):
            depth += 1
            if depth > MAX_DEPTH:
                raise ParseError(f"{what} nests deeper than {MAX_DEPTH} levels")
        elif byte in (0x5D, 0x7D):
            depth -= 1


def _sorted_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object with sorted keys; ParseError where one appears twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ParseError(f"the key {key[:100]!r} appears twice in one object")
            seen.add(key)
    keys = list(found)
    ordered = _in_order(found)
    return found if keys == ordered else {key: found[key] for key in ordered}


def _no_constant(text: str) -> Any:
    raise ParseError(f"{text} is not a JSON number")


def _int64(text: str) -> int:
    if len(text) > 20 or not -_INT64 <= (value := int(text)) < _INT64:
        raise ParseError(f"the integer {text[:40]} does not fit into 64 bits")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ParseError(f"the number {text[:40]} does not fit into a double")
    return value


def _checked(value: Any, depth: int) -> Any:
    """The value with sorted keys, tuples as lists; ParseError where it is no JSON value."""
    if depth > MAX_DEPTH:
        raise ParseError(f"a value nests deeper than {MAX_DEPTH} levels")
    if isinstance(value, str):
        if not value.isascii() and any(0xD800 <= ord(c) <= 0xDFFF for c in value):
            raise ParseError(f"the text {value[:40]!r} holds a lone surrogate")
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not -_INT64 <= value < _INT64:
            raise ParseError("an integer does not fit into 64 bits")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ParseError(f"{value} is not a JSON number")
        return value
    if isinstance(value, dict | Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ParseError(f"the key {key!r} is not a text")
            if not key.isascii():
                _checked(key, depth)
        return {key: _checked(value[key], depth + 1) for key in _in_order(value)}
    if isinstance(value, list | tuple | Sequence) and not isinstance(value, bytes | bytearray):
        if set(map(type, value)) == {float} and all(map(math.isfinite, value)):
            return list(value)  # a long list of numbers is looked at in one go
        return [_checked(item, depth + 1) for item in value]
    raise ParseError(f"{type(value).__name__} is not a JSON value")


def _in_order(keys: Iterable[str]) -> list[str]:
    """Keys sorted by their UTF-16 code units; for ASCII these are the code points."""
    if all(map(str.isascii, keys)):
        return sorted(keys)
    return sorted(keys, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
