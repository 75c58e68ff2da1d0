"""That a column is one of many values, which a statement is given as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Dialect, Integer, SelectBase, Text, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class Many(TypeDecorator[Sequence[Any]]):
    """Many integers or texts as one value: JSON in SQLite, an array in PostgreSQL."""

    impl = Text
    cache_ok = True

    def __init__(self, item: type[Integer] | type[Text] = Integer) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        array = dialect.name == "postgresql"
        return dialect.type_descriptor(ARRAY(self.item) if array else Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return list(value) if dialect.name == "postgresql" else json.dumps(list(value))


def many(name: str = "ids", item: type[Integer] | type[Text] = Integer) -> BindParameter[Any]:
    """Many values that are bound under a name."""
    return bindparam(name, type_=Many(item))


class Among(FunctionElement[bool]):
    """That a column is one of `many` values, or one of those that a query of one column gives.

    `column IN (...)` would be another statement for each number of values; and with a query it
    leaves PostgreSQL free to look at every row, where the few that are given are enough.
    """

    inherit_cache = True

    def __init__(
        self, column: ColumnElement[Any], given: BindParameter[Any] | SelectBase | None = None
    ) -> None:
        self.query = isinstance(given, SelectBase)
        wanted = given.scalar_subquery() if isinstance(given, SelectBase) else given
        super().__init__(column, many() if wanted is None else wanted)


@compiles(Among, "sqlite")
def _in(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, given = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN {given if element.query else f'(SELECT value FROM json_each({given}))'}"


@compiles(Among, "postgresql")
def _any(element: Among, compiler: SQLCompiler, **options: Any) -> str:
    column, given = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY ({'ARRAY' if element.query else ''}{given})"
