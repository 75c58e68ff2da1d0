"""The outbox: what happened, waiting to be told to mirrors such as MLflow.

A message is written in the transaction of what it tells of, so it is there if and only if that
happened; a mirror takes it as often as it needs to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, tuple_, update
from sqlmodel import Session, col, select

from metaloom_registry.catalogue.naming.versions import Version
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.catalogue.schema.rows import add_rows
from metaloom_registry.digest import Digest
from metaloom_registry.manifest import Manifest


@dataclass(frozen=True)
class Message:
    """Something a mirror should know: its kind and plain JSON; `attempts` to send it failed."""

    id: int
    kind: str
    payload: Mapping[str, Any]
    attempts: int = 0


class Outbox:
    """The messages of one registry."""

    def __init__(self, database: Database, microseconds: Callable[[], int]) -> None:
        self._database = database
        self._microseconds = microseconds

    def pending(self, limit: int, after: tuple[int, int] = (0, 0)) -> Sequence[Message]:
        """At most `limit` messages not yet sent that come after one of these attempts and id.

        Those never tried come first, by their ids, and then those that were refused, the least
        refused first: a message that no mirror takes holds up no other.
        """
        attempts, id_ = col(tables.Outbox.attempts), col(tables.Outbox.id)
        query = select(tables.Outbox).where(col(tables.Outbox.sent).is_(None)).limit(limit)
        found: list[tables.Outbox] = []
        with self._database.reading() as session:
            if after[0] == 0:
                untried = query.where(attempts == 0, id_ > after[1]).order_by(id_)
                found += session.exec(untried)
            if not found:
                refused = query.where(attempts > 0, tuple_(attempts, id_) > after)
                found += session.exec(refused.order_by(attempts, id_))
        return [Message(row.id or 0, row.kind, row.payload, row.attempts) for row in found]

    def waiting(self) -> int:
        """How many messages are not yet sent."""
        query = select(func.count(col(tables.Outbox.id))).where(col(tables.Outbox.sent).is_(None))
        with self._database.reading() as session:
            return session.exec(query).one()

    def mark_sent(self, ids: Sequence[int]) -> None:
        """Note that a mirror has these messages."""
        self._change(ids, sent=self._microseconds(), error=None)

    def mark_failed(self, ids: Sequence[int], error: str) -> None:
        """Note that an attempt to send these messages failed, and why."""
        self._change(ids, attempts=col(tables.Outbox.attempts) + 1, error=error[:2000])

    def _change(self, ids: Sequence[int], **values: Any) -> None:
        def change(session: Session) -> None:
            session.connection().execute(
                update(tables.Outbox).where(col(tables.Outbox.id).in_(list(ids))).values(**values)
            )

        self._database.write(change)


def published(
    version: Version, manifest: Manifest, parts: Sequence[Digest], run: Digest | None
) -> dict[str, Any]:
    """What mirrors are told of a publish."""
    return {
        "reference": str(version.reference),
        "digest": str(version.digest),
        "kind": version.kind,
        "signature": str(version.type),
        "parents": [{"digest": str(p.digest), "role": p.role} for p in manifest.parents],
        "parts": [str(digest) for digest in parts],
        "solve": None if run is None else run.hex,
    }


def announce(session: Session, kind: str, payload: Mapping[str, Any], now: int) -> None:
    """Leave a message, which counts once this transaction is through."""
    row = {"kind": kind, "payload": dict(payload), "created": now, "attempts": 0}
    add_rows(session, "outbox", [row])
