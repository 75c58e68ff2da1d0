"""A task from a file, whatever its form: JSON lines, JSON, CSV, Parquet, NPZ, a folder of pictures.

evens.jsonl   {"i": [1, 2, 3], "o": [2]}          one example a line; see `read_jsonl`
evens.json    [{"i": [1, 2, 3], "o": [2]}, ...]   or [[[1, 2, 3], [2]], ...], or an object
              {"type": "list[int] -> list[int]", "allow": ["recursion"], "examples": [...]}
sums.csv      a,b,sum                             the last column is the output
              1,2,3
              4,5,                                an empty last cell is to be filled in
sums.parquet  the same columns                    see `table_task`
digits.npz    images and labels                   see `read_npz`
digits/       one folder of pictures a class      needs the type, such as image[1,28,28]
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import metaloom_metalearn
from metaloom_metalearn import (
    Examples,
    Task,
    Values,
    parse_jsonl,
    read_cell,
    read_jsonl,
    read_values,
)
from metaloom_registry import (
    Arrow,
    InvalidTask,
    MetaloomError,
    NotFound,
    ParseError,
    Tensor,
    Type,
    load_strict,
    parse_type,
    uncurried,
)

if TYPE_CHECKING:
    from metaloom_metalearn import LabelledArrays

MAX_BYTES = 64 * 1024 * 1024
FORMS = ".jsonl, .json, .csv, .parquet or .npz, or a folder of pictures"


def read_task(path: str | Path, type_: Type | str | None = None) -> Task:
    """Read a task; without a type it is inferred from the examples.

    Raises NotFound, ParseError or InvalidTask that names the file and the line.
    """
    path = Path(path)
    type_ = parse_type(type_) if isinstance(type_, str) else type_
    if path.is_dir():
        if type_ is None:
            raise InvalidTask(
                f"the pictures in {path} fit any size; give a type such as image[1,28,28]"
            )
        picture = type_.argument if isinstance(type_, Arrow) else type_
        return classification(metaloom_metalearn.read_folder(path, picture), path.name)
    if not path.exists():
        raise NotFound(f"there is no file {path}")
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _from_lines(path, type_)
    if suffix == ".npz":
        return classification(metaloom_metalearn.read_npz(path), path.name)
    if suffix == ".json":
        return _from_json(path, type_)
    if suffix == ".csv":
        return _from_csv(path, type_)
    if suffix == ".parquet":
        return metaloom_metalearn.table_task(path, type_=type_)
    raise InvalidTask(f"{path.name} is of no known form; a task is a {FORMS}")


def read_questions(path: str | Path, type_: Type) -> tuple[Values, ...] | None:
    """The inputs without an output, one column an argument; None where every example has one.

    They are the objects of a .jsonl or .json file that have an input alone, and the rows of a .csv
    whose last cell is empty.  Raises InvalidTask, naming the line, where one is not of its type.
    """
    path = Path(path)
    rows = _unanswered(path)
    if not rows:
        return None
    given, _ = uncurried(type_)
    for number, inputs in rows:
        if len(inputs) != len(given):
            raise InvalidTask(
                f"line {number} of {path.name} has {len(inputs)} inputs, and {type_} takes "
                f"{len(given)}"
            )

    def where(i: int) -> str:
        return f"line {rows[i][0]} of {path.name}"

    columns = zip(*(inputs for _, inputs in rows), strict=True)
    return tuple(
        read_values(list(column), part, where) for column, part in zip(columns, given, strict=True)
    )


def _unanswered(path: Path) -> list[tuple[int, list[Any]]]:
    """The inputs of what has no output, each with the number of its line or place."""
    suffix = path.suffix.lower()
    found: list[tuple[int, list[Any]]] = []
    if suffix in (".jsonl", ".ndjson"):
        for number, line in enumerate(_read(path).decode("utf-8", "replace").split("\n"), 1):
            value = _object(line)
            if _is_question(value):
                found.append((number, _asked(value)))
    elif suffix == ".json":
        value = load_strict(_read(path), path.name)
        values = value.get("examples") if isinstance(value, dict) else value
        for number, one in enumerate(values if isinstance(values, list) else (), 1):
            if _is_question(one):
                found.append((number, _asked(one)))
    elif suffix == ".csv":
        rows = csv.reader(io.StringIO(_read(path).decode("utf-8-sig", "replace")))
        for number, row in enumerate(filter(None, rows), 1):
            if number > 1 and len(row) > 1 and not row[-1].strip():
                found.append((number, [read_cell(cell) for cell in row[:-1]]))
    return found


def _object(line: str) -> Any:
    try:
        return load_strict(line.encode()) if line.strip() else None
    except MetaloomError:
        return None


def _is_question(value: Any) -> bool:
    """Whether it is an object with an input and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and set(value) <= {"i", "input", "inputs"}


def _asked(value: dict[str, Any]) -> list[Any]:
    [(key, given)] = value.items()
    return list(given) if key == "inputs" and isinstance(given, list) else [given]


def classification(arrays: LabelledArrays, name: str) -> Task:
    """All labelled examples as the support of one task, which carries their classes."""
    count = len(arrays.names)
    if count < 2:
        raise InvalidTask(f"{name} shows one class only; a classifier needs at least two")
    return Task(
        type=Arrow(arrays.type, Tensor("label", (count,))),
        support=Examples((arrays.inputs,), arrays.labels),
        classes=frozenset(arrays.classes),
        name=name,
    )


def _from_lines(path: Path, type_: Type | None) -> Task:
    """The task of a file of lines, those without an output left out."""
    lines = _read(path).decode("utf-8", "surrogateescape").split("\n")
    if not any(_is_question(_object(line)) for line in lines if '"o' not in line):
        return read_jsonl(path, type_)
    kept = ["" if _is_question(_object(line)) else line for line in lines]
    return parse_jsonl("\n".join(kept), type_, path.name)


def _from_json(path: Path, type_: Type | None) -> Task:
    value = load_strict(_read(path), path.name)
    allow: Any = []
    if isinstance(value, dict):
        allow = value.get("allow", [])
        said = value.get("type")
        if type_ is None and isinstance(said, str):
            type_ = parse_type(said)
        value = value.get("examples")
    if not isinstance(value, list):
        raise InvalidTask(
            f'{path.name} holds no list of examples; write [{{"i": [1, 2], "o": 3}}, ...]'
        )
    pairs = [
        {"i": row[0], "o": row[1]} if isinstance(row, list) and len(row) == 2 else row
        for row in value
        if not _is_question(row)
    ]
    return parse_jsonl("\n".join(map(json.dumps, pairs)), type_, path.name, allow)


def _from_csv(path: Path, type_: Type | None) -> Task:
    try:
        rows = list(csv.reader(io.StringIO(_read(path).decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ParseError(f"{path.name} is no CSV in UTF-8: {error}") from None
    rows = [row for row in rows if row]
    if len(rows) < 2 or len(rows[0]) < 2:
        raise InvalidTask(
            f"{path.name} needs a line of names, with the output last, and a line for each example"
        )
    if not any(isinstance(read_cell(cell), str) for cell in rows[0]):
        raise InvalidTask(
            f"line 1 of {path.name} holds values where the names of the columns are wanted; put a "
            "line of names before it, such as a,b,sum"
        )
    lines = [""]
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]):
            raise InvalidTask(
                f"line {number} of {path.name} has {len(row)} cells and its first {len(rows[0])}"
            )
        if not row[-1].strip():
            lines.append("")
            continue
        *inputs, output = map(read_cell, row)
        lines.append(json.dumps({"inputs": inputs, "o": output}))
    return parse_jsonl("\n".join(lines), type_, path.name)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InvalidTask(f"{path.name} has {size} bytes; at most {MAX_BYTES} are read")
        return path.read_bytes()
    except OSError as error:
        raise NotFound(f"the task {path} cannot be read: {error.strerror}") from None
