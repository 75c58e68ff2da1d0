"""Licences of compositions: what follows from the licences of the parts.

The families of licences are ordered by what they ask of whoever passes a work on; the licence of a
work made of several is the strictest of theirs.  Some ask for things that exclude each other, and
then no licence is right.  This is bookkeeping with SPDX identifiers, not advice of a lawyer:
whatever is not in the table is kept beside the strictest with AND, for people to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, product

from metaloom_registry.errors import LicenceConflict

_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("CC0-1.0", "Unlicense", "0BSD"),
    ("MIT", "ISC", "Zlib", "BSL-1.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "Apache-2.0"),
    ("MPL-2.0", "LGPL-2.1-only", "LGPL-2.1-or-later", "LGPL-3.0-only", "LGPL-3.0-or-later"),
    ("CC-BY-SA-4.0", "GPL-2.0-only", "GPL-2.0-or-later", "GPL-3.0-only", "GPL-3.0-or-later"),
    ("AGPL-3.0-only", "AGPL-3.0-or-later"),
    ("CC-BY-NC-4.0",),
    ("CC-BY-NC-SA-4.0",),
)
"""From what asks for nothing to what forbids most; in a family, the later one is named."""

_RANK = {
    name: (strict, place) for strict, f in enumerate(_FAMILIES) for place, name in enumerate(f)
}
_OLD_GPL = frozenset({"GPL-2.0-only"})
_NEW_GPL = frozenset(
    {"GPL-3.0-only", "GPL-3.0-or-later", "AGPL-3.0-only", "AGPL-3.0-or-later"}
    | {"LGPL-3.0-only", "LGPL-3.0-or-later"}
)
_ANY_GPL = _OLD_GPL | _NEW_GPL | {"GPL-2.0-or-later"}
_COMMERCE_BARRED = frozenset({"CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"})
_EXCLUSIVE: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (_OLD_GPL, frozenset({"Apache-2.0"})),
    (_OLD_GPL, _NEW_GPL),
    (_ANY_GPL, _COMMERCE_BARRED),
    (frozenset({"CC-BY-SA-4.0"}), _COMMERCE_BARRED),
    (frozenset({"CC-BY-SA-4.0"}), _OLD_GPL | {"GPL-2.0-or-later"}),
    (frozenset({"CC-BY-SA-4.0"}), frozenset({"AGPL-3.0-only", "AGPL-3.0-or-later"})),
)
"""What nobody can keep at once: each pair asks that the whole be under its own terms."""

PERMISSIVE = 1
"""The last family whose works may be passed on under any licence."""

_TOKENS = re.compile(r"\(|\)|[^\s()]+")
MAX_CHOICES = 64
MAX_DEPTH = 20


def combined_licence(licences: Mapping[str, str | None]) -> str | None:
    """The licence of a work of these parts: SPDX expressions by the part's name, None if unstated.

    Of alternatives (`MIT OR GPL-2.0-only`) those are taken that go together, the most permissive
    first.  None where no part states any.  Raises LicenceConflict, naming the parts.
    """
    stated = {part: text for part, text in licences.items() if text is not None}
    if not stated:
        return None
    ways = [choices(text) for text in stated.values()]
    conflict: tuple[str, str] | None = None
    best: tuple[tuple[int, int], list[str]] | None = None
    for way in islice(product(*ways), MAX_CHOICES):
        found = _conflict(dict(zip(stated, way, strict=True)))
        if found is not None:
            conflict = conflict or found
            continue
        names = list(dict.fromkeys(name for chosen in way for name in chosen))
        strictest = max((_RANK[n] for n in names if n in _RANK), default=(-1, -1))
        if best is None or strictest < best[0]:
            best = strictest, names
    if best is None:
        assert conflict is not None
        one, other = conflict
        raise LicenceConflict(
            f"{one} ({stated[one]}) and {other} ({stated[other]}) can not be passed on together: "
            "each asks that the whole be under terms that the other forbids; use another block for "
            "one of them, or ask its author for another licence"
        )
    strictest, names = best
    known = [name for name in names if _RANK.get(name) == strictest]
    return " AND ".join([*known, *sorted(name for name in names if name not in _RANK)])


def inherited_licence(wanted: str | None, parts: Mapping[str, str | None]) -> str | None:
    """The licence of a work of these parts, or the one wanted where the parts allow it.

    Raises LicenceConflict where they do not: it has to be of a family as strict as the strictest
    part's, unless that is permissive.
    """
    needed = combined_licence(parts)
    if wanted is None or needed is None:
        return wanted if needed is None else needed
    combined_licence({**parts, "the licence given": wanted})
    strict, given = _strictness(needed), _strictness(wanted)
    if strict <= PERMISSIVE or given >= strict or given < 0:
        return wanted
    names = needed.split(" AND ")
    asking = [part for part, text in parts.items() if text and set(_names(text)) & set(names)]
    raise LicenceConflict(
        f"{', '.join(asking)} asks for {needed}, which {wanted} does not keep; "
        f"publish under {needed}, or leave the licence out: it follows from the parts"
    )


def _strictness(expression: str) -> int:
    """The family of the strictest licence that has to be kept; -1 where none is known."""
    names = _names(combined_licence({"it": expression}) or "")
    return max((_RANK[name][0] for name in names if name in _RANK), default=-1)


def choices(expression: str) -> Sequence[tuple[str, ...]]:
    """The ways to meet an SPDX expression: each the licences that have to be kept together."""
    tokens = _TOKENS.findall(expression)
    deep = tokens.count("(") > MAX_DEPTH
    ways, rest = ([()], tokens) if deep else _alternatives(tokens)
    return ways if not rest else [tuple(_names(expression))]


def _alternatives(tokens: list[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    found, rest = _together(tokens)
    while rest and rest[0].upper() == "OR":
        more, rest = _together(rest[1:])
        found = [*found, *more][:MAX_CHOICES]
    return found, rest


def _together(tokens: list[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    found, rest = _one(tokens)
    while rest and rest[0].upper() == "AND":
        more, rest = _one(rest[1:])
        found = [(*a, *b) for a in found for b in more][:MAX_CHOICES]
    return found, rest


def _one(tokens: list[str]) -> tuple[list[tuple[str, ...]], list[str]]:
    if not tokens:
        return [()], []
    if tokens[0] == "(":
        found, rest = _alternatives(tokens[1:])
        return found, rest[1:]
    name, rest = tokens[0], tokens[1:]
    if rest and rest[0].upper() == "WITH":  # an exception only permits more
        return [(name,)], rest[2:]
    return [(name,)], rest


def _names(expression: str) -> list[str]:
    return [t for t in _TOKENS.findall(expression) if t not in ("(", ")", "AND", "OR", "WITH")]


def _conflict(parts: Mapping[str, Iterable[str]]) -> tuple[str, str] | None:
    """Two parts whose licences exclude each other, if there are any."""
    listed = [(part, name) for part, names in parts.items() for name in names]
    for one, a in listed:
        for other, b in listed:
            if one != other and any(a in left and b in right for left, right in _EXCLUSIVE):
                return one, other
    return None
