"""Values of JSON read as values of a type, and the type that fits them where none is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metaloom_metalearn.keyed import is_keyed, read_keyed
from metaloom_metalearn.tasks import Values
from metaloom_registry import (
    BOOL,
    FLOAT,
    INT,
    TEXT,
    Constructed,
    Deferred,
    InvalidTask,
    MetaloomError,
    Tensor,
    Type,
    Variable,
    list_of,
    load_strict,
)
from metaloom_registry.types import dict_of

_tensor_of = Deferred("metaloom_metalearn.sources.tensor_values", "tensor_of")
_stacked = Deferred("metaloom_metalearn.sources.tensor_values", "stacked")

_INT64 = 1 << 63
_SHOWN = 80

Where = Callable[[int], str]
"""The place of the i-th value, for people: `line 3 of tasks.jsonl`."""


def infer_type(values: Sequence[Any], where: Where) -> Type:
    """The type of plain values: int, bool, float, text, lists, and objects as dictionaries.

    Integers among floats are floats; where all lists are empty their items are taken to be int.
    Raises InvalidTask that names the first value that does not go with those before it.
    """
    found: Type = Variable("a")
    for i, value in enumerate(values):
        joined = _joined(found, _type_of(value, where(i)))
        if joined is None:
            raise InvalidTask(
                f"{where(i)} has {_shown(value)}, which is no {_closed(found)} as the values "
                "before it; one column holds one type"
            )
        found = joined
    return _closed(found)


def read_values(values: Sequence[Any], type_: Type, where: Where) -> Values:
    """The values as `Values` of a type. Raises InvalidTask that names the value that is none."""
    read = [_value(value, type_, where(i)) for i, value in enumerate(values)]
    if isinstance(type_, Tensor) and read:
        batch: Values = _stacked(read)
        return batch
    return tuple(read)


def read_cell(text: str) -> Any:
    """A number, truth value or list as in JSON; anything else is a text."""
    try:
        return load_strict(text.strip().encode())
    except MetaloomError:
        return text


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _type_of(value: Any, where: str) -> Type:
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT
    if isinstance(value, float):
        return FLOAT
    if isinstance(value, str):
        return TEXT
    if isinstance(value, list | tuple):
        item: Type = Variable("a")
        for one in value:
            joined = _joined(item, _type_of(one, where))
            if joined is None:
                raise InvalidTask(
                    f"{where} has the list {_shown(value)}, in which {_shown(one)} is no "
                    f"{_closed(item)}; a list holds one type, and a tuple needs a type given"
                )
            item = joined
        return list_of(item)
    if isinstance(value, Mapping):
        held: Type = Variable("a")
        for one in value.values():
            joined = _joined(held, _type_of(one, where))
            if joined is None:
                raise InvalidTask(
                    f"{where} has the object {_shown(value)}, in which {_shown(one)} is no "
                    f"{_closed(held)}; a dictionary holds one type"
                )
            held = joined
        return dict_of(TEXT, held)
    raise InvalidTask(
        f"{where} has {_shown(value)}, whose type cannot be inferred; give the type of the task"
    )


def _joined(one: Type, other: Type) -> Type | None:
    """The type that both are, or None."""
    if isinstance(one, Variable) or one == other:
        return other
    if isinstance(other, Variable) or {one, other} == {INT, FLOAT}:
        return one if isinstance(other, Variable) else FLOAT
    if isinstance(one, Constructed) and isinstance(other, Constructed) and one.arguments:
        if one.name != other.name:
            return None
        item = _joined(one.arguments[-1], other.arguments[-1])
        return None if item is None else Constructed(one.name, (*one.arguments[:-1], item))
    return None


def _closed(type_: Type) -> Type:
    if isinstance(type_, Variable):
        return INT
    if isinstance(type_, Constructed) and type_.arguments:
        return Constructed(type_.name, tuple(map(_closed, type_.arguments)))
    return type_


def _value(value: Any, type_: Type, where: str) -> Any:
    if isinstance(type_, Tensor):
        return _tensor_of(value, type_, where)
    if isinstance(type_, Constructed) and type_.name in _PLAIN:
        kind, fits = _PLAIN[type_.name]
        if fits(value):
            return kind(value)
    elif isinstance(type_, Constructed) and type_.name == "list":
        if isinstance(value, list | tuple):
            return tuple(_value(one, type_.arguments[0], where) for one in value)
    elif isinstance(type_, Constructed) and type_.name == "tuple":
        if isinstance(value, list | tuple) and len(value) == len(type_.arguments):
            pairs = zip(value, type_.arguments, strict=True)
            return tuple(_value(one, part, where) for one, part in pairs)
    elif isinstance(type_, Constructed) and is_keyed(type_):
        return read_keyed(value, type_, lambda v, t: _value(v, t, where), where)
    elif isinstance(type_, Constructed) and type_.name == "grid":
        return _grid(value, where)
    else:
        raise InvalidTask(f"{where} wants a value of {type_}, which cannot be read from JSON")
    raise InvalidTask(f"{where} has {_shown(value)} where {type_} is wanted")


def _is_int(value: Any) -> bool:
    return type(value) is int and -_INT64 <= value < _INT64


def _is_float(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


_PLAIN: Mapping[str, tuple[Callable[[Any], Any], Callable[[Any], bool]]] = {
    "int": (int, _is_int),
    "bool": (bool, lambda value: type(value) is bool),
    "float": (float, _is_float),
    "text": (str, lambda value: type(value) is str),
}


def _grid(value: Any, where: str) -> tuple[tuple[int, ...], ...]:
    """Rows of equal length of small integers."""
    if (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(row, list | tuple) and len(row) == len(value[0]) for row in value)
        and all(_is_int(cell) for row in value for cell in row)
    ):
        return tuple(tuple(row) for row in value)
    raise InvalidTask(f"{where} has {_shown(value)} where a grid is wanted: rows of one length")
