"""The current blocks that are used most, of given types and in order, from the index of uses."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Integer, Select, and_, cast, func, literal_column, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session

from metaloom_registry.catalogue import tables
from metaloom_registry.catalogue.fitting import AnyFitting, Fitting

COMMON = 1_000
"""Of this many of the most used blocks those whose type fits are taken, if they are enough."""

FEW = 4
"""Of each of many types so many blocks are read at first."""

AT_ONCE = 100
"""Of so many of them at a time the types are looked at."""


class Used(NamedTuple):
    """A block with its uses and the id of its type; the larger, the earlier it comes."""

    uses: int
    block: int
    signature: int


def most_used(
    session: Session,
    filters: Sequence[ColumnElement[bool]],
    fitting: Fitting | AnyFitting | None,
    limit: int,
    *,
    after: tuple[int, int] | None = None,
    only: Sequence[int] | None = None,
) -> list[Used]:
    """The most used of the current blocks that pass the filters, of the types that fit.

    Of equal use the newest comes first.  `after` are the uses and id of the block to begin with;
    `only` are the blocks to choose from, where they are few.
    """
    conditions: list[ColumnElement[bool]] = [_block.c.current.is_(True), *filters]
    if after is not None:
        before = and_(_block.c.uses == after[0], _block.c.id <= after[1])
        conditions.append(or_(_block.c.uses < after[0], before))
    if only is not None:
        conditions.append(_among(session, only))
    order = (_block.c.uses.desc(), _block.c.id.desc())
    ranked = select(_block.c.uses, _block.c.id, _block.c.signature_id).where(*conditions)
    ranked = ranked.order_by(*order)
    if fitting is None:
        return [Used(*row) for row in session.connection().execute(ranked.limit(limit))]
    if only is not None or len(fitting.narrowed) > limit:
        # Types that are many have blocks among the most used of all, mostly.
        found, all_seen = _first(session, ranked, fitting, limit, only is None)
        if all_seen or len(found) == limit:
            return found
    one = select(_block.c.uses, _block.c.id).where(*conditions).order_by(*order)
    return _merged(session, one, fitting.all(session), limit)


def _first(
    session: Session,
    ranked: Select[Any],
    fitting: Fitting | AnyFitting,
    limit: int,
    many: bool,
) -> tuple[list[Used], bool]:
    """The first of these blocks whose types fit, and whether there are no others.

    Where they are many, of the first `COMMON` of them.
    """
    found: list[Used] = []
    seen = 0
    with session.connection().execute(ranked.limit(COMMON) if many else ranked) as rows:
        for some in rows.partitions(AT_ONCE):
            fits = fitting.among(session, (row[2] for row in some))
            found += [Used(*row) for row in some if row[2] in fits]
            seen += len(some)
            if len(found) >= limit:
                break
    return found[:limit], not many or seen < COMMON


def _merged(
    session: Session, one: Select[Any], signatures: Sequence[int], limit: int
) -> list[Used]:
    """The most used of these types; each is asked for more where its first few are all taken."""
    if not signatures:
        return []
    few = min(limit, max(FEW, 2 * limit // len(signatures)))
    lots = _of_each(session, one.limit(few), signatures)
    best = heapq.nlargest(limit, chain.from_iterable(lots.values()))
    last = best[-1] if len(best) == limit else None
    more = [id_ for id_, lot in lots.items() if len(lot) == few and (not last or lot[-1] >= last)]
    if more and few < limit:
        lots |= _of_each(session, one.limit(limit), more)
        best = heapq.nlargest(limit, chain.from_iterable(lots.values()))
    return best


def _of_each(
    session: Session, one: Select[Any], signatures: Sequence[int]
) -> dict[int, list[Used]]:
    """The most used of each type, which the index has in order; `one` are those of any type."""
    connection = session.connection()
    found: dict[int, list[Used]] = {}
    if session.get_bind().dialect.name == "sqlite":
        given = _rows(signatures)
        top = one.where(_block.c.signature_id == literal_column(f"{given.name}.value")).subquery()
        pairs = select(func.json_group_array(func.json_array(*top.c))).scalar_subquery()
        for signature, listed in connection.execute(select(given.c.value, pairs)):
            found[signature] = [Used(uses, block, signature) for uses, block in json.loads(listed)]
        return found
    array = cast(list(signatures), ARRAY(Integer))
    given = func.unnest(array).table_valued("value", name="given").render_derived()
    best = one.where(_block.c.signature_id == given.c.value).lateral("best")
    query = select(best.c.uses, best.c.id, given.c.value).select_from(given).join(best, true())
    rows = connection.execute(query.order_by(best.c.uses.desc(), best.c.id.desc()))
    for uses, block, signature in rows:
        found.setdefault(signature, []).append(Used(uses, block, signature))
    return found


def _among(session: Session, ids: Sequence[int]) -> ColumnElement[bool]:
    """That a block is one of these: one value of the statement, however many they are."""
    if session.get_bind().dialect.name == "sqlite":
        return _block.c.id.in_(select(_rows(ids).c.value))
    return _block.c.id == func.any(cast(list(ids), ARRAY(Integer)))


def _rows(ids: Sequence[int]) -> Any:
    """Ids as rows of SQLite, in the column `value`."""
    return func.json_each(json.dumps(list(ids))).table_valued("value", name="given")


_block = tables.METADATA.tables["block"]
