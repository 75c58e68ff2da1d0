"""Licences of compositions: what follows from the licences of the parts.

The families of licences are ordered by what they ask of whoever passes a work on; the licence of a
work made of several is the strictest of theirs.  Some ask for things that exclude each other, and
then no licence is right.  This is bookkeeping with SPDX identifiers, not advice of a lawyer:
whatever is not in the table is kept beside the strictest with AND, for people to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from metaloom_registry.errors import LicenceConflict

_FAMILIES: tuple[tuple[str, ...], ...] = (
    ("CC0-1.0", "Unlicense", "0BSD", "MIT-0", "WTFPL", "PDDL-1.0"),
    (
        *("MIT", "ISC", "Zlib", "NCSA", "PostgreSQL", "Python-2.0", "BlueOak-1.0.0", "BSL-1.0"),
        *("BSD-2-Clause", "BSD-3-Clause", "ODC-By-1.0", "CC-BY-3.0", "CC-BY-4.0", "Apache-2.0"),
    ),
    ("MPL-2.0", "LGPL-2.1-or-later", "LGPL-2.1-only", "LGPL-3.0-or-later", "LGPL-3.0-only"),
    ("CC-BY-SA-4.0", "GPL-2.0-or-later", "GPL-2.0-only", "GPL-3.0-or-later", "GPL-3.0-only"),
    ("AGPL-3.0-or-later", "AGPL-3.0-only"),
    ("CC-BY-NC-4.0",),
    ("CC-BY-NC-SA-4.0",),
)
"""From what asks for nothing to what forbids most; in a family, the later one is named."""

_RANK = {
    name: (strict, place) for strict, f in enumerate(_FAMILIES) for place, name in enumerate(f)
}
_RETIRED = {
    f"{name}{ending}": f"{name}{meant}"
    for name in ("GPL-2.0", "GPL-3.0", "LGPL-2.1", "LGPL-3.0", "AGPL-3.0")
    for ending, meant in (("", "-only"), ("+", "-or-later"))
}
_SPELLING = {name.lower(): meant for name, meant in {**{n: n for n in _RANK}, **_RETIRED}.items()}
"""Identifiers, the retired ones too, by their lower case: SPDX has them in any."""

_OLD_GPL = frozenset({"GPL-2.0-only"})
_AGPL = frozenset({"AGPL-3.0-or-later", "AGPL-3.0-only"})
_NEW_GPL = frozenset({"GPL-3.0-or-later", "GPL-3.0-only"}) | _AGPL
_COMMERCE_BARRED = frozenset({"CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"})
_EXCLUSIVE: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (_OLD_GPL, frozenset({"Apache-2.0"})),
    (_OLD_GPL, _NEW_GPL | {"LGPL-3.0-or-later", "LGPL-3.0-only"}),
    (_OLD_GPL | _NEW_GPL | {"GPL-2.0-or-later"}, _COMMERCE_BARRED),
    (frozenset({"CC-BY-SA-4.0"}), _COMMERCE_BARRED),
    (frozenset({"CC-BY-SA-4.0"}), _OLD_GPL | _AGPL | {"GPL-2.0-or-later"}),
)
"""What nobody can keep at once: each pair asks that the whole be under its own terms."""

PERMISSIVE = 1
"""The last family whose works may be passed on under any licence."""

_TOKENS = re.compile(r"\(|\)|[^\s()]+")
GIVEN = "the licence given"
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
    names = list(dict.fromkeys(name for chosen in _kept(stated).values() for name in chosen))
    strictest = _strictest(names)
    known = [name for name in names if _RANK.get(name) == strictest]
    return " AND ".join([*known, *sorted(name for name in names if name not in _RANK)])


def _kept(stated: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The licences that are kept of parts, one for each different expression.

    Of the ways to meet all that go together, the most permissive. Raises LicenceConflict.
    """
    different = {text: part for part, text in reversed([*stated.items()])}
    ways: list[dict[str, tuple[str, ...]]] = [{}]
    for part in (part for part in stated if different[stated[part]] == part):
        longer: dict[frozenset[str], dict[str, tuple[str, ...]]] = {}
        clash: str | None = None
        for way, chosen in product(ways, choices(stated[part])):
            other = _excluded(way, chosen)
            if other is None:
                both = {**way, part: chosen}
                longer.setdefault(frozenset(name for n in both.values() for name in n), both)
            clash = clash or other
        if not longer:
            raise LicenceConflict(
                f"{clash} ({stated[clash or part]}) and {part} ({stated[part]}) can not be passed "
                "on together: each asks that the whole be under terms that the other forbids; use "
                "another block for one of them, or ask its author for another licence"
            )
        permissive = sorted(longer, key=_strictest)
        ways = [longer[names] for names in permissive[:MAX_CHOICES]]
    return ways[0]


def inherited_licence(wanted: str | None, parts: Mapping[str, str | None]) -> str | None:
    """The licence of a work of these parts, or the one wanted where the parts allow it.

    Identifiers are spelled as SPDX lists them.  Raises LicenceConflict where the parts do not allow
    it: it has to be as strict as the strictest of them, unless that is permissive, and to name
    those of which nothing is known.
    """
    needed = combined_licence(parts)
    if wanted is None:
        return needed
    wanted = _TOKENS.sub(lambda token: _spelled(token[0]), wanted)
    if needed is None:
        return wanted
    kept = _kept({**{part: text for part, text in parts.items() if text}, GIVEN: wanted})
    given = kept.get(GIVEN) or _names(wanted)  # a part may have the same
    asked = [name for name in needed.split(" AND ") if not _keeps(given, name)]
    if not asked:
        return wanted
    asking = [part for part, text in parts.items() if text and {*asked} & {*_names(text)}]
    raise LicenceConflict(
        f"{', '.join(asking)} asks for {' AND '.join(asked)}, which {wanted} does not keep; "
        f"publish under {needed}, or leave the licence out: it follows from the parts"
    )


def _keeps(given: Iterable[str], asked: str) -> bool:
    """Whether licences that are given keep what one asks for."""
    rank = _RANK.get(asked)
    if rank is None:
        return asked in given
    return rank[0] <= PERMISSIVE or _strictest(given) >= rank


def _strictest(names: Iterable[str]) -> tuple[int, int]:
    """The place of the strictest of licences; below all where none is known."""
    return max((_RANK[name] for name in names if name in _RANK), default=(-1, -1))


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
    name, rest = _spelled(tokens[0]), tokens[1:]
    if rest and rest[0].upper() == "WITH":  # an exception only permits more
        return [(name,)], rest[2:]
    return [(name,)], rest


def _names(expression: str) -> list[str]:
    tokens = _TOKENS.findall(expression)
    return [_spelled(t) for t in tokens if t not in ("(", ")", "AND", "OR", "WITH")]


def _spelled(name: str) -> str:
    """An identifier as SPDX lists it; any other text as it is."""
    return _SPELLING.get(name.lower(), name)


def _excluded(way: Mapping[str, Iterable[str]], chosen: Iterable[str]) -> str | None:
    """The first part whose licences exclude one of those chosen for another, if there is any."""
    for part, names in way.items():
        for a, b in product(names, chosen):
            if any((a in x and b in y) or (b in x and a in y) for x, y in _EXCLUSIVE):
                return part
    return None
