"""Dictionaries, sets and graphs as values, read from what JSON and Python have for them.

    dict[K, V]  {"a": 1} where keys are text, or integers as JSON writes them; [[key, value], ...]
    set[T]      [item, ...]
    graph[N]    {"a": ["b"], "b": []}         each node and its successors, all weights 1
                {"a": {"b": 3}, "b": {}}      the same with weights
                [["a", "b"], ["a", "c", 3]]   edges, whose ends are all the nodes there are
                {"nodes": [...], "edges": [...]}     both, where nodes are no texts

What comes out is a `FrozenDict`, a frozenset, and a `FrozenDict` of `FrozenDict`s of weights.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from metaloom_registry import Constructed, FrozenDict, InvalidTask, Json, Type
from metaloom_registry.types import INT, KEYED, TEXT, dict_of, list_of, tuple_of

Graph: TypeAlias = FrozenDict[Any, FrozenDict[Any, int]]
"""Each node's successors, and the weights of the edges to them."""

Read: TypeAlias = Callable[[Any, Type], Any]
"""Reads a part as a value of its type. Raises InvalidTask where it is none."""

_INTEGER = re.compile(r"-?[0-9]{1,19}", re.ASCII)


def json_value(value: Any, type_: Type) -> Json:
    """A plain value as JSON has it, from which `read_values` reads it again; sets are sorted."""
    if not isinstance(type_, Constructed) or not type_.arguments:
        plain: Json = value
        return plain
    inner = type_.arguments
    if type_.name == "tuple":
        return [json_value(item, part) for item, part in zip(value, inner, strict=True)]
    if type_.name == "store":
        return json_value(value, inner[0])
    if type_.name == "dict":
        return _object(value, *inner)
    if type_.name == "graph":
        if inner[0] in (TEXT, INT):
            return _object(value, inner[0], dict_of(inner[0], INT))
        edges = [(one, other, w) for one, row in value.items() for other, w in row.items()]
        return {
            "nodes": json_value(tuple(value), list_of(inner[0])),
            "edges": json_value(edges, list_of(tuple_of(inner[0], inner[0], INT))),
        }
    items = sorted(value) if type_.name == "set" else value
    return [json_value(item, inner[0]) for item in items]


def _object(value: Mapping[Any, Any], key: Type, held: Type) -> Json:
    if key in (TEXT, INT):
        return {str(k): json_value(item, held) for k, item in value.items()}
    return [[json_value(k, key), json_value(item, held)] for k, item in value.items()]


def is_keyed(type_: Type) -> bool:
    """Whether values of the type are dictionaries, sets or graphs."""
    return isinstance(type_, Constructed) and type_.name in KEYED


def read_keyed(value: Any, type_: Constructed, read: Read, place: str) -> Any:
    """The value of a dictionary, set or graph type; `place` names it in messages.

    Raises InvalidTask where it is none, or where an edge leads to what is no node.
    """
    if type_.name == "set":
        if isinstance(value, list | tuple | set | frozenset):
            return frozenset([read(item, type_.arguments[0]) for item in value])
    elif type_.name == "dict":
        return _dictionary(value, type_, read, place)
    else:
        return _graph(value, type_, read, place)
    raise _misfit(value, type_, place)


def _dictionary(value: Any, type_: Type, read: Read, place: str) -> FrozenDict[Any, Any]:
    assert isinstance(type_, Constructed)
    key_type, held = type_.arguments
    if isinstance(value, Mapping):
        pairs = [(_key(key, key_type), item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and all(map(_is_pair, value)):
        pairs = [(key, item) for key, item in value]
    else:
        raise _misfit(value, type_, place)
    found = FrozenDict((read(key, key_type), read(item, held)) for key, item in pairs)
    if len(found) < len(pairs):
        raise InvalidTask(f"{place} has {str(value)[:60]}, in which one key stands twice")
    return found


def _key(key: Any, type_: Type) -> Any:
    """JSON has text alone for keys: that of an integer is read as one."""
    text = type_ == INT and isinstance(key, str) and _INTEGER.fullmatch(key)
    return int(key) if text else key


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _graph(value: Any, type_: Constructed, read: Read, place: str) -> Graph:
    node = type_.arguments[0]
    if isinstance(value, list | tuple):
        return _from_edges((), value, type_, read, place)
    if not isinstance(value, Mapping):
        raise _misfit(value, type_, place)
    if node != TEXT and set(value) == {"nodes", "edges"}:
        return _from_edges(value["nodes"], value["edges"], type_, read, place)

    def row(held: Any, row_type: Type) -> FrozenDict[Any, int]:
        if isinstance(held, Mapping):
            return _dictionary(held, dict_of(node, INT), read, place)
        if isinstance(held, list | tuple | set | frozenset):
            return FrozenDict((read(successor, node), 1) for successor in held)
        raise _misfit(held, row_type, place)

    def part(held: Any, part_type: Type) -> Any:
        return read(held, node) if part_type == node else row(held, part_type)

    rows = _dictionary(value, dict_of(node, list_of(node)), part, place)
    for start, successors in rows.items():
        for end in successors:
            if end not in rows:
                raise InvalidTask(
                    f"{place} has a graph with an edge from {start!r} to {end!r}, which is no node "
                    "of it; give that node too, with no successors if it has none"
                )
    return rows


def _from_edges(nodes: Any, edges: Any, type_: Constructed, read: Read, place: str) -> Graph:
    """The graph of these edges; without nodes, those are their ends."""
    if not isinstance(nodes, list | tuple) or not isinstance(edges, list | tuple):
        raise _misfit(edges, type_, place)
    node = type_.arguments[0]
    rows: dict[Any, dict[Any, int]] = {read(one, node): {} for one in nodes}
    for edge in edges:
        if not isinstance(edge, list | tuple) or len(edge) not in (2, 3):
            raise _misfit(edge, type_, place)
        start, end = read(edge[0], node), read(edge[1], node)
        if nodes and not {start, end} <= set(rows):
            raise InvalidTask(f"{place} has the edge {str(edge)[:60]}, one end of which is no node")
        rows.setdefault(start, {})[end] = read(edge[2], INT) if len(edge) == 3 else 1
        rows.setdefault(end, {})
    return FrozenDict((start, FrozenDict(row)) for start, row in rows.items())


def _misfit(value: Any, type_: Type, place: str) -> InvalidTask:
    return InvalidTask(f"{place} has {str(value)[:60]!r} where {type_} is wanted")
