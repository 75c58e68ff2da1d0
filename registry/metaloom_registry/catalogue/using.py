"""The blocks that are used most, of given types and in order, from the index of uses."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Integer, and_, cast, func, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col

from metaloom_registry.catalogue import tables

COMMON = 1_000
"""Of this many of the most used blocks those of the given types are taken, if they are enough."""

_BEST = tables.METADATA.tables["block"].alias("best")


def most_used(
    session: Session,
    filters: Sequence[ColumnElement[bool]],
    signatures: Sequence[int] | None,
    limit: int,
    after: tuple[int, int] | None = None,
) -> list[int]:
    """The ids of the most used blocks that pass the filters, of these types if any are given.

    Of equal use the newest comes first.  `after` are the uses and id of the block to begin with.
    """
    uses, id_ = col(tables.Block.uses), col(tables.Block.id)
    order = (uses.desc(), id_.desc())
    conditions = list(filters)
    if after is not None:
        conditions.append(or_(uses < after[0], and_(uses == after[0], id_ <= after[1])))
    ranked = select(uses, id_).where(*conditions).order_by(*order)
    if signatures is None:
        return [row[1] for row in session.connection().execute(ranked.limit(limit))]
    if len(signatures) > limit:
        # Types that are many have blocks among the most used of all, mostly.
        signature = col(tables.Block.signature_id)
        common = select(signature, id_).where(*conditions).order_by(*order).limit(COMMON)
        wanted = set(signatures)
        rows = session.connection().execute(common).all()
        found = [row[1] for row in rows if row[0] in wanted]
        if len(found) >= limit or len(rows) < COMMON:
            return found[:limit]
    return _of_each(session, conditions, signatures, limit)


def _of_each(
    session: Session,
    conditions: Sequence[ColumnElement[bool]],
    signatures: Sequence[int],
    limit: int,
) -> list[int]:
    """The most used of each type, which the index has in order, put together."""
    uses, id_ = col(tables.Block.uses), col(tables.Block.id)
    signature = col(tables.Block.signature_id)
    if session.get_bind().dialect.name == "sqlite":
        given = func.json_each(json.dumps(list(signatures))).table_valued("value", name="given")
        of_one = select(id_).where(signature == given.c.value, *conditions)
        of_one = of_one.order_by(uses.desc(), id_.desc()).limit(limit)
        query = (
            select(_BEST.c.id)
            .select_from(given)
            .join(_BEST, _BEST.c.id.in_(of_one.correlate(given)))
            .order_by(_BEST.c.uses.desc(), _BEST.c.id.desc())
        )
    else:
        array = cast(list(signatures), ARRAY(Integer))
        given = func.unnest(array).table_valued("value", name="given").render_derived()
        top = select(uses, id_).where(signature == given.c.value, *conditions)
        best = top.order_by(uses.desc(), id_.desc()).limit(limit).lateral("best")
        query = (
            select(best.c.id)
            .select_from(given)
            .join(best, true())
            .order_by(best.c.uses.desc(), best.c.id.desc())
        )
    return [row[0] for row in session.connection().execute(query.limit(limit))]
