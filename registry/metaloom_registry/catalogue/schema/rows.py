"""Rows written as they are: a publish writes many, and objects would cost more than the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Insert, insert
from sqlmodel import Session

from metaloom_registry.catalogue.schema import tables


def add_rows(session: Session, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows into a table; a column that may not be empty has to be given."""
    if rows:
        session.connection().execute(_insert(table), rows)


def add_row(session: Session, table: str, row: Mapping[str, Any]) -> int:
    """The id of a row that is written into a table which numbers them."""
    made = session.connection().execute(_insert(table), row).inserted_primary_key
    assert made is not None
    id_: int = made[0]
    return id_


@cache
def _insert(table: str) -> Insert:
    return insert(tables.METADATA.tables[table])
