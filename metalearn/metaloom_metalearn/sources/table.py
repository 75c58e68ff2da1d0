"""Tables: from CSV, Parquet and `datasets.Dataset` to labelled vectors, or to one task."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch

from metaloom_metalearn.sources.arrays import LabelledArrays
from metaloom_metalearn.sources.plain import infer_type, read_cell, read_values
from metaloom_metalearn.sources.support import require_classes
from metaloom_metalearn.tasks import Examples, Task
from metaloom_registry import (
    InvalidTask,
    MissingExtra,
    NotFound,
    ParseError,
    Type,
    function,
    parse_type,
    uncurried,
)

try:
    from pyarrow import ArrowException
    from pyarrow import parquet as parquet
except ImportError:
    parquet = None


class Columnar(Protocol):
    """What has columns by name, as `datasets.Dataset` has."""

    column_names: Any

    def __getitem__(self, key: str) -> Any: ...


Table: TypeAlias = str | Path | Columnar | Mapping[str, Sequence[Any]]
"""A .csv or .parquet file, a `datasets.Dataset`, or columns by name."""


def read_columns(table: Table) -> dict[str, list[Any]]:
    """The columns of a table, in order. Raises NotFound, ParseError, InvalidTask, MissingExtra."""
    if isinstance(table, str | Path):
        path = Path(table)
        if not path.is_file():
            raise NotFound(f"there is no file {path}")
        columns = _READERS.get(path.suffix.lower(), _unknown)(path)
    elif isinstance(table, Mapping):
        columns = {name: list(values) for name, values in table.items()}
    else:
        columns = {name: list(table[name]) for name in table.column_names}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or lengths == {0}:
        raise InvalidTask(
            f"{_named(table)} has columns of {sorted(lengths)} values; wanted is at least one "
            "column, and one value in each for every row"
        )
    return columns


def read_table(
    table: Table, label: str, features: Sequence[str] | None = None, dataset: str | None = None
) -> LabelledArrays:
    """Labelled vectors from the rows of a table, for few-shot tasks on tables.

    `label` is the column of classes.  `features` are columns of numbers, of vectors (lists of one
    length), or of texts, which become one number for each text there is, 1 or 0; by default all
    others.  Numbers are brought to mean 0 and deviation 1.  Raises as `read_columns`, and
    InvalidTask that names the column and the row.
    """
    columns, name = read_columns(table), _named(table)
    chosen = [one for one in columns if one != label] if features is None else list(features)
    missing = [one for one in (label, *chosen) if one not in columns]
    if missing or not chosen:
        raise InvalidTask(
            f"{name} has no column {', '.join(missing) or 'of features'}; it has "
            f"{', '.join(columns)}"
        )
    parts = [_numbers(columns[one], f"the column {one} of {name}") for one in chosen]
    classes = sorted({str(value) for value in columns[label]})
    places = {one: place for place, one in enumerate(classes)}
    labels = torch.tensor([places[str(value)] for value in columns[label]])
    return LabelledArrays(torch.cat(parts, 1), labels, tuple(classes), dataset or name, "vec")


def table_task(
    table: Table,
    output: str | None = None,
    inputs: Sequence[str] | None = None,
    type_: Type | str | None = None,
) -> Task:
    """One task whose examples are the rows of a table.

    `output` is the column that is wanted, by default the last; `inputs` are the arguments, by
    default all others.  Without `type_` it is inferred.  Raises as `read_columns`.
    """
    columns, name = read_columns(table), _named(table)
    wanted = list(columns)[-1] if output is None else output
    given = [one for one in columns if one != wanted] if inputs is None else list(inputs)
    missing = [one for one in (wanted, *given) if one not in columns]
    if missing or not given:
        raise InvalidTask(
            f"{name} has no column {', '.join(missing) or 'beside its output'}; it has "
            f"{', '.join(columns)}"
        )

    def where(i: int) -> str:
        return f"row {i + 1} of {name}"

    if type_ is None:
        found = [infer_type(columns[one], where) for one in (*given, wanted)]
        type_ = function(*found)
    elif isinstance(type_, str):
        type_ = parse_type(type_)
    parts, want = uncurried(type_)
    if len(parts) != len(given):
        raise InvalidTask(
            f"{name} has {len(given)} columns of inputs and {type_} takes {len(parts)}"
        )
    support = Examples(
        tuple(read_values(columns[o], t, where) for o, t in zip(given, parts, strict=True)),
        read_values(columns[wanted], want, where),
    )
    task = Task(type_, support, name=name)
    require_classes(task)
    return task


def _named(table: Table) -> str:
    if isinstance(table, str | Path):
        return Path(table).stem
    info = getattr(table, "info", None)
    return str(getattr(info, "dataset_name", None) or "table")


def _unknown(path: Path) -> dict[str, list[Any]]:
    raise InvalidTask(f"{path.name} is no table; wanted is a .csv or .parquet file")


def _csv(path: Path) -> dict[str, list[Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ParseError(f"{path.name} is no CSV in UTF-8: {error}") from None
    if len(rows) < 2:
        raise InvalidTask(f"{path.name} needs a line of names and a line for each example")
    for number, row in islice(enumerate(rows, start=1), 1, None):
        if len(row) != len(rows[0]):
            raise InvalidTask(
                f"line {number} of {path.name} has {len(row)} cells and its first {len(rows[0])}"
            )
    columns = zip(*rows[1:], strict=True)
    return {name: list(map(read_cell, one)) for name, one in zip(rows[0], columns, strict=True)}


def _parquet(path: Path) -> dict[str, list[Any]]:
    if parquet is None:
        raise MissingExtra("Parquet is read with pyarrow, which is missing: metaloom[datasets]")
    try:
        return dict(parquet.read_table(path).to_pydict())
    except (ArrowException, OSError) as error:
        raise ParseError(f"{path.name} is no Parquet that can be read: {error}") from None


_READERS: Mapping[str, Callable[[Path], dict[str, list[Any]]]] = {
    ".csv": _csv,
    ".parquet": _parquet,
}


def _numbers(values: Sequence[Any], what: str) -> torch.Tensor:
    """A column as float32 [rows, n]."""
    if all(isinstance(value, str) for value in values):
        texts = {text: place for place, text in enumerate(sorted(set(values)))}
        return torch.eye(len(texts))[[texts[value] for value in values]]
    for row, value in enumerate(values, start=1):
        parts = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(one, int | float) and math.isfinite(one) for one in parts):
            raise InvalidTask(
                f"{what} has {value!r:.80} in row {row}; wanted are numbers, lists of numbers of "
                "one length, or texts alone: fill in what is missing first"
            )
    try:
        found = torch.tensor(values, dtype=torch.float32).reshape(len(values), -1)
    except ValueError as error:
        raise InvalidTask(f"{what} has lists of several lengths: {error}") from None
    return (found - found.mean(0)) / found.std(0, correction=0).clamp_min(1e-6)
