"""Text search: names whose name, tags or card hold all words of a query.

How well a name matches is counted from where the words stand, for the `CANDIDATES` newest names
that hold them, so that a word that is everywhere costs no more than a rare one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sqlalchemy import Connection, Text, bindparam, select
from sqlalchemy import text as sql

from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import Among, many
from metaloom_registry.errors import ParseError

CANDIDATES = 500
MANY_CANDIDATES = 7
"""How many times as many are looked at then, where filters leave too few of the first."""

MAX_QUERY = 1_000
MAX_WORDS = 16
MAX_WORD = 400
"""Longer words are not indexed in PostgreSQL, which takes 2 kB a word."""

MAX_BYTES = 1 << 19
"""Words after so many bytes of others are not indexed there: it takes a megabyte a document."""

_WAYS = (False, True)
"""Whether beginnings of words count: at first they do not."""

_WORD = re.compile(r"[^\W_]+")
_PLACES = (("name", 4, 3), ("tags", 2, 2))
"""Where a word may stand besides the card, and what it counts there whole and as a beginning.

One more is counted where the words are the whole name, so that it comes first.
"""


@dataclass(frozen=True, slots=True)
class Match:
    """How well a name matches, and where each word stands."""

    score: int
    places: tuple[tuple[str, str], ...]

    @property
    def why(self) -> tuple[str, ...]:
        """The same in words."""
        return tuple(
            f"its {place} {'have' if place == 'tags' else 'has'} {word!r}"
            for place, word in self.places
        )


def words_of(query: str) -> list[str]:
    """The words of a query in lower case and without accents, each once.

    Raises ParseError where the query is too long or holds no word.
    """
    if len(query) > MAX_QUERY:
        raise ParseError(f"a query of {len(query)} characters is too long; at most {MAX_QUERY}")
    found = list(dict.fromkeys(_plain(query)))
    if not found:
        raise ParseError(f"{query[:80]!r} holds no word to search for; give letters or digits")
    if len(found) > MAX_WORDS:
        raise ParseError(f"a query of {len(found)} words is too long; at most {MAX_WORDS}")
    return found


def plain_words(*texts: str) -> str:
    """The words of texts in plain form, each once, as the index of PostgreSQL takes them."""
    found = dict.fromkeys(word for text in texts for word in _plain(text))
    words = [word for word in found if len(word) <= MAX_WORD]
    ends = accumulate(len(word.encode()) for word in words)
    return " ".join(word for word, end in zip(words, ends, strict=True) if end <= MAX_BYTES)


def holding(
    connection: Connection, words: Sequence[str], newest: int, only: Sequence[int] | None = None
) -> Iterator[list[int]]:
    """The ids of names, up to the `newest`, that hold all words of a query, in lots.

    Which names are in a lot depends on the words alone, so whoever asks for more of a query meets
    the same lots in the same order: first the names that begin with the words and the newest that
    hold them, as whole words and, where these are few, as beginnings; then larger ones.  Or all
    that there are `only` among some names: those that hold them as whole words, then the others.
    """
    if only is not None:
        yield from _held_among(connection, words, only)
        return
    lot = _named(connection, words, newest)
    known = dict.fromkeys(lot)
    for beginnings in _WAYS if any(len(word) > 1 for word in words) else _WAYS[:1]:
        query, below = _written(connection, words, beginnings=beginnings), newest + 1
        for size in (CANDIDATES, CANDIDATES * MANY_CANDIDATES):
            values = {"query": query, "below": below, "limit": size}
            ids = connection.execute(_NEWEST[connection.dialect.name], values).scalars().all()
            lot += [id_ for id_ in ids if id_ not in known]
            known |= dict.fromkeys(ids)
            if len(ids) < size:
                break
            if lot:
                yield lot
            lot, below = [], ids[-1]
    if lot:
        yield lot


def _held_among(
    connection: Connection, words: Sequence[str], names: Sequence[int]
) -> Iterator[list[int]]:
    """Those of a few names that hold all words, first as whole words, then as beginnings."""
    left = dict.fromkeys(names)
    for beginnings, query in zip(_WAYS, _AMONG[connection.dialect.name], strict=True):
        if left:
            written = _written(connection, words, beginnings=beginnings)
            values = {"query": written, "ids": list(left)}
            lot = list(connection.execute(query, values).scalars())
            yield lot
            for name in lot:
                left.pop(name, None)


def _named(connection: Connection, words: Sequence[str], newest: int) -> list[int]:
    """The name that is the words, and the first whose last part begins with them."""
    joints = ("-", "_") if len(words) > 1 else ("",)
    found: dict[int, None] = {}
    if len(words) > 1:
        keys = [f"{words[0]}/{joint.join(words[1:])}" for joint in joints]
        values: dict[str, Any] = {"keys": keys, "newest": newest}
        found = dict.fromkeys(connection.execute(_CALLED, values).scalars())
    for low in (joint.join(words) for joint in joints):
        values = {"low": low, "high": low + "\x7f", "newest": newest}
        found |= dict.fromkeys(connection.execute(_NAMED, values).scalars())
    return list(found)


def _written(connection: Connection, words: Sequence[str], *, beginnings: bool) -> str:
    """Words as the full-text index is asked for them, whole or as beginnings."""
    begin = [beginnings and len(word) > 1 for word in words]
    if connection.dialect.name == "sqlite":
        return " ".join(f'"{w}"{"*" if b else ""}' for w, b in zip(words, begin, strict=True))
    return " & ".join(f"'{w}'{':*' if b else ''}" for w, b in zip(words, begin, strict=True))


def match(words: Sequence[str], title: str, tags: str) -> Match:
    """How well a name matches that holds all of the words, by its title and its tags."""
    score = 0
    places = []
    texts = {"name": _plain(title), "tags": _plain(tags)}
    for word in words:
        place, counted = "card", 1
        for candidate, whole, beginning in _PLACES:
            if word in texts[candidate]:
                place, counted = candidate, whole
                break
            if any(other.startswith(word) for other in texts[candidate]):
                place, counted = candidate, beginning
                break
        score += counted
        places.append((place, word))
    called = list(words) in (texts["name"], _plain(title.rpartition("/")[2]))
    return Match(score + called, tuple(places))


def _plain(text: str) -> list[str]:
    """The words of a text as the index has them: lower case, without accents."""
    if text.isascii():
        return _WORD.findall(text.lower())
    decomposed = unicodedata.normalize("NFKD", text.lower())
    kept = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _WORD.findall(kept)


# These are asked once or twice for every text, and so written once.
_name = tables.METADATA.tables["name"]
_OFFERED = select(_name.c.id).where(_name.c.current.is_not(None), _name.c.id <= bindparam("newest"))
_CALLED = _OFFERED.where(Among(_name.c.key, many("keys", Text)))
_NAMED = (
    _OFFERED.where(_name.c.part >= bindparam("low"), _name.c.part < bindparam("high"))
    .order_by(_name.c.part, _name.c.id.desc())
    .limit(CANDIDATES // 10)
)
_NEWEST = {
    "sqlite": sql(
        "SELECT rowid FROM document_words WHERE document_words MATCH :query "
        "AND rowid < :below ORDER BY rowid DESC LIMIT :limit"
    ),
    "postgresql": sql(
        "SELECT id FROM document WHERE words @@ CAST(:query AS tsquery) AND id < :below "
        "ORDER BY id DESC LIMIT :limit"
    ),
}
"""The newest names below an id that the full-text index gives."""

_OF_THESE = (
    "SELECT rowid FROM document_words WHERE document_words MATCH :query "
    "AND {}rowid IN (SELECT value FROM json_each(:ids))"
)
_LEXEMES_OF_THESE = sql(
    "SELECT id FROM document WHERE words @@ CAST(:query AS tsquery) AND id = ANY (:ids)"
).bindparams(many())
_AMONG = {
    "sqlite": tuple(sql(_OF_THESE.format(sign)).bindparams(many()) for sign in ("", "+")),
    "postgresql": (_LEXEMES_OF_THESE, _LEXEMES_OF_THESE),
}
"""Those of these names that it gives: for whole words, and for beginnings.

SQLite looks whole words up for each name, and beginnings (`+`) once for all, as they are joined.
"""
