"""What commands print: words and tables for people, or one JSON value for programs.

Text that comes from blocks is a stranger's: it is shown without its control characters, and never
read as Rich markup.
"""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 160
"""Columns where the output is no terminal, so that tables do not depend on who reads them."""


def console() -> Console:
    """Where results go: stdout, without markup."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def progress_console() -> Console:
    """Where progress goes: stderr."""
    return Console(file=sys.stderr, markup=False, highlight=False, emoji=False)


def show(*parts: RenderableType) -> None:
    """Print for people; a text is shown as it is."""
    out = console()
    for part in parts:
        out.print(visible(part) if isinstance(part, str) else part, soft_wrap=isinstance(part, str))


def show_json(value: object) -> None:
    """Print one JSON value on one line."""
    typer.echo(json.dumps(plain(value), ensure_ascii=False, allow_nan=False))


def complain(message: str, traceback: str | None = None) -> None:
    """Print an error on stderr as one line, red on a terminal; the traceback first, if any."""
    if traceback:
        typer.echo(traceback, err=True)
    line = visible(" ".join(message.split()))
    typer.echo(typer.style(f"error: {line}", fg=typer.colors.RED), err=True)


def note(message: str) -> None:
    """Tell people, on stderr, something beside the result."""
    typer.echo(visible(message), err=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> Table:
    """A table whose cells are shown as they are; a column named `>x` is flushed right.

    Of a table with names, columns that are empty are left out, and the first is broken last.
    """
    lines = [
        [cell if isinstance(cell, Text) else Text(visible(cell)) for cell in row] for row in rows
    ]
    if any(columns) and lines:
        kept = [i for i, name in enumerate(columns) if not name or any(line[i] for line in lines)]
        columns, lines = [columns[i] for i in kept], [[line[i] for i in kept] for line in lines]
    widest = max((line[0].cell_len for line in lines if line), default=0)
    drawn = Table(
        title=title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        show_header=any(columns),
    )
    for place, column in enumerate(columns):
        right = column.startswith(">")
        drawn.add_column(
            Text(column.removeprefix(">"), style="bold"),
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=place == 0 and any(columns) and 2 * widest <= console().width,
        )
    for line in lines:
        drawn.add_row(*line)
    return drawn


def counted(count: int, noun: str) -> str:
    """So many of a thing, in words: `1 blob`, `2,000 blobs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def visible(value: object) -> str:
    """The text without control and format characters, which could steer a terminal; None is ''."""
    text = "" if value is None else str(value)
    return "".join(
        c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs")
    )


def plain(value: Any) -> Any:
    """The value as JSON has it: tuples as lists, a number that is not finite as null, else text.

    Sets are sorted; a dictionary whose keys are neither texts nor integers is a list of pairs.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        if any(isinstance(key, bool | float | tuple) for key in value):
            return [[plain(key), plain(item)] for key, item in value.items()]
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return [plain(item) for item in _sorted(value)]
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    tolist = getattr(value, "tolist", None)
    return plain(tolist()) if callable(tolist) else str(value)


def _sorted(items: Set[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:  # things of no order
        return sorted(items, key=str)
