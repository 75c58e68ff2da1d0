"""Tasks as lines of JSON: one example a line.

{"type": "list[int] -> int"}         a first line may say the type; else it is inferred
{"allow": ["recursion"]}             and what primitives a search may use beyond the usual ones
{"i": [1, 2, 3], "o": 6}             or "input" and "output"
{"inputs": [2, 3], "output": 8}      a function of two arguments
{"i": [4, 5], "o": 9, "query": true}      an example to be judged by, not learned from

Where the type is that of a program with a memory, `store[int] -> int -> (int, store[int])`, an
example is a stream of calls, `{"i": [3, 1, 4], "o": [3, 4, 8]}`, the memory empty before the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaloom_metalearn.memory import Effect, empty_value
from metaloom_metalearn.sources.plain import infer_type, read_values
from metaloom_metalearn.sources.support import require_classes
from metaloom_metalearn.tasks import Examples, Task
from metaloom_registry import (
    InvalidTask,
    NotFound,
    ParseError,
    Type,
    function,
    load_strict,
    parse_type,
    uncurried,
)

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class _Row:
    line: int
    inputs: tuple[Any, ...]
    output: Any
    query: bool


def read_jsonl(path: str | Path, type_: Type | str | None = None) -> Task:
    """Read a task from a file of JSON lines; empty lines are left out.

    `type_` goes before the type that the file says, and that before the one inferred.  Raises
    NotFound, ParseError for what is not JSON, and InvalidTask, with the number of the line.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"the task {path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise InvalidTask(f"{path.name} has {len(data)} bytes; at most {MAX_BYTES} are read")
    return parse_jsonl(data.decode("utf-8", "surrogateescape"), type_, path.name)


def parse_jsonl(
    text: str, type_: Type | str | None = None, name: str = "task", allow: Any = ()
) -> Task:
    """Read a task from JSON lines; errors as in `read_jsonl`.

    `allow` is what a search may use beyond the usual primitives, besides what the text allows.
    """
    said, allows, rows = _rows(text, name)
    allows |= _allowed(list(allow) if isinstance(allow, tuple) else allow, name)
    if isinstance(type_, str):
        type_ = parse_type(type_)
    type_ = type_ or said
    if not rows:
        raise InvalidTask(f'{name} has no example; write one a line, as {{"i": [1, 2], "o": 3}}')

    def where(rows: list[_Row]) -> Any:
        return lambda i: f"line {rows[i].line} of {name}"

    width = len(rows[0].inputs)
    odd = next((row for row in rows if len(row.inputs) != width), None)
    if odd is not None:
        raise InvalidTask(
            f"line {odd.line} of {name} has {len(odd.inputs)} inputs and line {rows[0].line} "
            f"{width}; every example takes as many"
        )
    if type_ is None:
        columns = [infer_type([row.inputs[i] for row in rows], where(rows)) for i in range(width)]
        type_ = function(*columns, infer_type([row.output for row in rows], where(rows)))
    effect = Effect.of(type_)
    if effect is not None:
        empty_value(effect.held)
        type_ = effect.streams
    given, want = uncurried(type_)
    if len(given) != width:
        raise InvalidTask(
            f"{name} has {width} {'input' if width == 1 else 'inputs'} a line, but its type "
            f"{type_} takes {len(given)}"
        )

    def examples(rows: list[_Row]) -> Examples:
        inputs = tuple(
            read_values([row.inputs[i] for row in rows], part, where(rows))
            for i, part in enumerate(given)
        )
        return Examples(inputs, read_values([row.output for row in rows], want, where(rows)))

    query = [row for row in rows if row.query]
    task = Task(
        type=type_,
        support=examples([row for row in rows if not row.query]),
        query=examples(query) if query else None,
        name=name,
        memory=None if effect is None else effect.held,
        allows=allows,
    )
    require_classes(task)
    return task


def _rows(text: str, name: str) -> tuple[Type | None, frozenset[str], list[_Row]]:
    said: Type | None = None
    allows: frozenset[str] = frozenset()
    rows: list[_Row] = []
    first = True
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"line {number} of {name}"
        value = load_strict(line.encode("utf-8", "surrogateescape"), where)
        if not isinstance(value, Mapping):
            raise InvalidTask(f'{where} is no object; write {{"i": ..., "o": ...}}')
        if first and value and set(value) <= {"type", "allow"}:
            said = _said(value["type"], where) if "type" in value else None
            allows = _allowed(value.get("allow", []), where)
        else:
            rows.append(_row(value, number, where))
        first = False
    return said, allows, rows


def _allowed(tags: Any, where: str) -> frozenset[str]:
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidTask(f'{where} allows {tags!r:.80}; write a list such as ["recursion"]')
    return frozenset(tags)


def _said(type_: Any, where: str) -> Type:
    if not isinstance(type_, str):
        raise InvalidTask(f"{where} gives a type that is no text")
    try:
        return parse_type(type_)
    except ParseError as error:
        raise ParseError(f"{where}: {error}") from None


def _row(value: Mapping[str, Any], number: int, where: str) -> _Row:
    inputs = [key for key in ("i", "input", "inputs") if key in value]
    outputs = [key for key in ("o", "output") if key in value]
    odd = set(value) - {*inputs, *outputs, "query"}
    if len(inputs) != 1 or len(outputs) != 1 or odd:
        raise InvalidTask(
            f"{where} has the keys {', '.join(sorted(value)) or '(none)'}; wanted are one of i, "
            "input, inputs, and one of o, output; and query, if the example is to be judged by"
        )
    query = value.get("query", False)
    if not isinstance(query, bool):
        raise InvalidTask(f"{where} has query {query!r:.80}; it is true or false")
    given = value[inputs[0]]
    if inputs[0] == "inputs" and (not isinstance(given, list) or not given):
        raise InvalidTask(f"{where} has inputs that are no list; give one value an argument")
    return _Row(
        number, tuple(given) if inputs[0] == "inputs" else (given,), value[outputs[0]], query
    )
