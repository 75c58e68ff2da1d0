"""The current blocks that are used most, of given types and in order, from the index of uses."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import (
    Connection,
    Integer,
    Result,
    Select,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.sql.elements import ColumnElement

from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.among import many
from metaloom_registry.catalogue.search.fitting import AnyFitting, Fitting

COMMON = 1_000
"""Of this many of the most used blocks those whose type fits are taken, if they are enough."""

FEW = 2
"""Of each of many types so many blocks are read at first."""

AT_ONCE = 100
"""Of so many of them at a time the types are looked at."""

ALL = (1 << 31) - 1
"""More blocks than there are."""

STATEMENTS_KEPT = 64
"""How many statements are remembered; those of searches differ in which filters they have."""

Conditions: TypeAlias = tuple[ColumnElement[bool], ...]


class Used(NamedTuple):
    """A block with its uses and the id of its type; the larger, the earlier it comes."""

    uses: int
    block: int
    signature: int


@dataclass(frozen=True)
class Filters:
    """What blocks have to be besides current, with the values that are bound in the conditions.

    Statements are remembered by their conditions, so those of like questions are the same objects.
    `few`: the conditions leave so few blocks that all of them can be looked at.
    """

    conditions: Conditions = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    few: bool = False


def most_used(
    connection: Connection,
    filters: Filters,
    fitting: Fitting | AnyFitting | None,
    limit: int,
    *,
    after: tuple[int, int] | None = None,
) -> list[Used]:
    """The most used of the current blocks that pass the filters, of the types that fit.

    Of equal use the newest comes first.  `after` are the uses and id of the block to begin with.
    """
    asked = _Asked(connection, filters, after)
    if fitting is None:
        return [Used(*row) for row in asked.ranked(limit)]
    if filters.few or len(fitting.narrowed) > limit:
        # Types that are many have blocks among the most used of all, mostly.
        found, all_seen = _first(asked, fitting, limit, filters.few)
        if all_seen or len(found) == limit:
            return found
    return _merged(asked, fitting.all(connection), limit)


class Form(NamedTuple):
    """What a statement is made of: conditions, whether few pass, between which places it looks."""

    conditions: Conditions
    few: bool
    begins: bool
    ends: bool


def asking(
    filters: Filters, after: tuple[int, int] | None, until: tuple[int, int] | None = None
) -> tuple[Form, Mapping[str, Any]]:
    """The form of the statement for some filters and places, and what is bound in it."""
    form = Form(filters.conditions, filters.few, after is not None, until is not None)
    values = dict(filters.values)
    for place, bound in (("after", after), ("until", until)):
        if bound is not None:
            values[f"{place}_uses"], values[f"{place}_block"] = bound
    return form, values


@lru_cache(STATEMENTS_KEPT)
def ids_of_most_used(form: Form) -> Select[*tuple[Any, ...]]:
    """The ids of the `limit` most used blocks, whatever their type, for another statement."""
    return _ranked(form).with_only_columns(_block.c.id).correlate(None)


@dataclass(frozen=True)
class _Asked:
    """A question: its filters, and the place it begins with."""

    connection: Connection
    filters: Filters
    after: tuple[int, int] | None

    def ranked(self, limit: int) -> Result[*tuple[Any, ...]]:
        """The uses, id and type of blocks of any type, in order."""
        form, values = asking(self.filters, self.after)
        return self.connection.execute(_ranked(form), {**values, "limit": limit})

    def of_each(
        self, signatures: Sequence[int], limit: int, until: Used | None = None
    ) -> dict[int, list[Used]]:
        """The most used of each type, which the index has in order; none that comes after one."""
        dialect = self.connection.dialect.name
        form, values = asking(self.filters, self.after, None if until is None else until[:2])
        query = _of_each(form, dialect)
        values = {**values, "signatures": signatures, "limit": limit}
        rows = self.connection.execute(query, values).all()
        if dialect == "sqlite":
            return {
                signature: [Used(uses, block, signature) for uses, block in json.loads(listed)]
                for signature, listed in rows
            }
        found: dict[int, list[Used]] = {}
        for row in rows:
            found.setdefault(row[2], []).append(Used(*row))
        return found


def _first(
    asked: _Asked, fitting: Fitting | AnyFitting, limit: int, few: bool
) -> tuple[list[Used], bool]:
    """The first of these blocks whose types fit, and whether there are no others.

    Where they are many, of the first `COMMON` of them.
    """
    found: list[Used] = []
    seen = 0
    with asked.ranked(ALL if few else COMMON) as rows:
        for some in rows.partitions(AT_ONCE):
            fits = fitting.among(asked.connection, (row[2] for row in some))
            found += [Used(*row) for row in some if row[2] in fits]
            seen += len(some)
            if len(found) >= limit:
                break
    return found[:limit], few or seen < COMMON


def _merged(asked: _Asked, signatures: Sequence[int], limit: int) -> list[Used]:
    """The most used of these types; each is asked for more where its first few are all taken."""
    if not signatures:
        return []
    few = min(limit, max(FEW, 2 * limit // len(signatures)))
    lots = asked.of_each(signatures, few)
    best = heapq.nlargest(limit, chain.from_iterable(lots.values()))
    last = best[-1] if len(best) == limit else None
    more = [id_ for id_, lot in lots.items() if len(lot) == few and (not last or lot[-1] >= last)]
    if more and few < limit:
        lots |= asked.of_each(more, limit, last)
        best = heapq.nlargest(limit, chain.from_iterable(lots.values()))
    return best


@lru_cache(STATEMENTS_KEPT)
def _ranked(form: Form) -> Select[*tuple[Any, ...]]:
    """The most used blocks in order; where they are few, not from the index of all."""
    current = _block.c.current.is_not(False) if form.few else _block.c.current.is_(True)
    wanted = [current, *form.conditions]
    if form.begins:
        uses, block = (bindparam(f"after_{name}", type_=Integer) for name in ("uses", "block"))
        wanted.append(or_(_block.c.uses < uses, and_(_block.c.uses == uses, _block.c.id <= block)))
    if form.ends:
        uses, block = (bindparam(f"until_{name}", type_=Integer) for name in ("uses", "block"))
        wanted.append(tuple_(_block.c.uses, _block.c.id) >= tuple_(uses, block))
    return (
        select(_block.c.uses, _block.c.id, _block.c.signature_id)
        .where(*wanted)
        .order_by(_block.c.uses.desc(), _block.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
    )


@lru_cache(STATEMENTS_KEPT)
def _of_each(form: Form, dialect: str) -> Select[*tuple[Any, ...]]:
    """The most used blocks of each of the types bound as `signatures`.

    In SQLite a type and its blocks as a list in JSON, in PostgreSQL a block a row, in order.
    """
    signatures = many("signatures")
    ranked = _ranked(form)
    if dialect == "sqlite":
        given = func.json_each(signatures).table_valued("value", name="given")
        of = literal_column(f"{given.name}.value", Integer)
        one = ranked.with_only_columns(_block.c.uses, _block.c.id)
        top = one.where(_block.c.signature_id == of).subquery()
        pairs = select(func.json_group_array(func.json_array(*top.c))).scalar_subquery()
        return select(given.c.value, pairs)
    given = func.unnest(signatures).table_valued("value", name="given").render_derived()
    best = ranked.where(_block.c.signature_id == given.c.value).lateral("best")
    query = select(*best.c).select_from(given).join(best, true())
    return query.order_by(best.c.uses.desc(), best.c.id.desc())


_block = tables.METADATA.tables["block"]
