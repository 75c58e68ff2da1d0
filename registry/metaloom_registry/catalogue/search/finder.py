"""The finder of a registry: what fits, what is like it, what did well, what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlmodel import Session

from metaloom_registry.catalogue.naming.versions import Page, described, find
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.catalogue.search.embeddings import embedding, point_of, task_space
from metaloom_registry.catalogue.search.finding import Hit, Query, search
from metaloom_registry.catalogue.search.fitting import TypeIndex, Wanted, given_by, taken_by
from metaloom_registry.catalogue.search.likeness import Nearest, Target
from metaloom_registry.errors import NotFound, ParseError
from metaloom_registry.manifest import MAX_TAGS
from metaloom_registry.names import Reference
from metaloom_registry.types import Type

if TYPE_CHECKING:
    from metaloom_registry.catalogue.search.neighbours import Neighbours


class Finder:
    """Finds blocks in a database; what it remembers of types and points it keeps in step.

    `neighbours` is a file for the points of all blocks, which is made again where it is missing;
    without one they are held in memory.
    """

    def __init__(self, database: Database, types: TypeIndex, neighbours: Path | None) -> None:
        self._database = database
        self._types = types
        self._file = neighbours
        self._nearest = Nearest(self._neighbours)

    def search(
        self,
        text: str | None = None,
        *,
        takes: Type | None = None,
        gives: Type | None = None,
        type: Type | None = None,  # noqa: A002 - the word people look for
        after: Type | Reference | None = None,
        before: Type | Reference | None = None,
        like: Reference | None = None,
        task: Sequence[float] | None = None,
        kind: str | None = None,
        tags: Sequence[str] = (),
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Hit]:
        """Current versions that match all that is given, each with the reasons.

        `takes` is something that one argument accepts, `gives` the result, `type` the whole type;
        what unifies with it fits.  `after` and `before` are blocks, or their types, that hits fit
        between by `>>`.  `like` is a block whose behaviour is wanted, `task` the point of a task
        on whose like hits did well.  The nearest come first, or those that did best, or whose words
        match best; else the most used.  Raises NotFound, ParseError, or TypeMismatch where
        something is to fit what is no function.
        """
        if len(tags) > MAX_TAGS:
            raise ParseError(f"{len(tags)} tags are too many; no block has more than {MAX_TAGS}")
        with self._database.asking() as connection:
            left = None if after is None else given_by(_type(connection, after))
            right = None if before is None else taken_by(_type(connection, before))
            query = Query(
                text,
                Wanted(type, takes, gives, left, right),
                kind,
                tuple(dict.fromkeys(tags)),
                None if like is None else _behaviour(connection, like),
                None if task is None else Target(task_space(), point_of(task), "the task"),
            )
            return search(connection, self._types, self._nearest, query, limit, cursor)

    def _neighbours(self) -> Neighbours:
        # numpy is loaded by those who look for neighbours alone.
        from metaloom_registry.catalogue.search.neighbours import Neighbours  # noqa: PLC0415

        return Neighbours(self._file)


def _type(connection: Connection, given: Type | Reference) -> Type:
    """A type, or that of a block."""
    if isinstance(given, Reference):
        with Session(connection) as session:
            return described(session, [find(session, given)])[0].type
    return given


def _behaviour(connection: Connection, reference: Reference) -> Target:
    """The point of a block's behaviour. Raises NotFound where none was measured."""
    with Session(connection) as session:
        version = described(session, [found := find(session, reference)])[0]
    known = embedding(connection, found[2])
    if known is None:
        raise NotFound(
            f"no fingerprint was measured of {version.reference}, a {version.kind}; "
            "only trained graphs whose outputs are finite are found by behaviour"
        )
    return Target(*known, str(version.reference), found[2])
