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

from sqlalchemy import Connection, bindparam, select
from sqlalchemy import text as sql

from metaloom_registry.catalogue import tables
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

_BEYOND = (1 << 31) - 1
"""An id that no name has."""

_WORD = re.compile(r"[^\W_]+")
_PLACES = (("name", 4, 3), ("tags", 2, 2))
"""Where a word may stand besides the card, and what it counts there whole and as a beginning."""


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


def holding(connection: Connection, words: Sequence[str], enough: int) -> Iterator[list[int]]:
    """The ids of names that hold all words of a query, in lots.

    Whole words come first; where fewer than `enough` names hold them, beginnings of words count.
    Of each a lot of the newest and, if there are more, a larger one.
    """
    look = _indexed if connection.dialect.name == "sqlite" else _lexemes
    known: dict[int, None] = {}
    named = _named(connection, words)
    for beginnings in (False, True):
        below = _BEYOND
        for size in (CANDIDATES, CANDIDATES * MANY_CANDIDATES):
            ids = look(connection, words, below, size, beginnings=beginnings)
            lot = [id_ for id_ in dict.fromkeys((*named, *ids)) if id_ not in known]
            named = []
            known |= dict.fromkeys(lot)
            if lot:
                yield lot
            if len(ids) < size:
                break
            below = ids[-1]
        if len(known) >= enough:
            return


def _named(connection: Connection, words: Sequence[str]) -> list[int]:
    """The newest names that are one of the words, if they hold the others too."""
    if len(words) > 1:
        return []
    return list(connection.execute(_NAMED, {"word": words[0]}).scalars())


def _indexed(
    connection: Connection, words: Sequence[str], below: int, size: int, *, beginnings: bool
) -> Sequence[int]:
    """The newest names below an id that the full-text index of SQLite gives."""
    query = " ".join(f'"{w}"{"*" if beginnings and len(w) > 1 else ""}' for w in words)
    values = {"query": query, "below": below, "limit": size}
    return connection.execute(_INDEXED, values).scalars().all()


def _lexemes(
    connection: Connection, words: Sequence[str], below: int, size: int, *, beginnings: bool
) -> Sequence[int]:
    """The newest names below an id that the full-text index of PostgreSQL gives."""
    query = " & ".join(f"'{w}'{':*' if beginnings and len(w) > 1 else ''}" for w in words)
    values = {"query": query, "below": below, "limit": size}
    return connection.execute(_LEXEMES, values).scalars().all()


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
    return Match(score, tuple(places))


def _plain(text: str) -> list[str]:
    """The words of a text as the index has them: lower case, without accents."""
    if text.isascii():
        return _WORD.findall(text.lower())
    decomposed = unicodedata.normalize("NFKD", text.lower())
    kept = "".join(c for c in decomposed if not unicodedata.combining(c))
    return _WORD.findall(kept)


# These are asked once or twice for every text, and so written once.
_name = tables.METADATA.tables["name"]
_NAMED = (
    select(_name.c.id)
    .where(_name.c.part == bindparam("word"), _name.c.current.is_not(None))
    .order_by(_name.c.id.desc())
    .limit(CANDIDATES // 10)
)
_INDEXED = sql(
    "SELECT rowid FROM document_words WHERE document_words MATCH :query "
    "AND rowid < :below ORDER BY rowid DESC LIMIT :limit"
)
_LEXEMES = sql(
    "SELECT id FROM document WHERE words @@ CAST(:query AS tsquery) AND id < :below "
    "ORDER BY id DESC LIMIT :limit"
)
