"""Shapes, dtypes and cost through a list of nodes, without computing any of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from metaloom_registry.errors import Refused
from metaloom_registry.graph.document import Node
from metaloom_registry.graph.op import Op, Work
from metaloom_registry.graph.rules import Ref
from metaloom_registry.graph.values import MAX_INTEGER, MAX_RANK, Spec, Value

Table = Mapping[str, Op]


@dataclass(frozen=True, slots=True)
class Walked:
    """What a list of nodes costs; see `Cost`.

    calls: of operations, those within loops at every step.
    """

    flops: int = 0
    peak_bytes: int = 0
    activation_bytes: int = 0
    calls: int = 0


class Watch(Protocol):
    """Told after each node what the pass costs by then; it may raise Refused."""

    def __call__(self, position: int, node: Node, peak: int, flops: int) -> None: ...


def walk(
    nodes: Sequence[Node],
    values: list[Value],
    alive: int,
    spent: Mapping[int, Sequence[int]],
    table: Table,
    watch: Watch | None = None,
) -> Walked:
    """Append what each node gives to the values; what the nodes cost.

    alive: the bytes that are there before.  spent: position of a node -> the values nothing needs
    after it.  Raises Refused, naming node and op, where shapes or dtypes do not fit.
    """
    flops, total, peak, calls = 0, 0, alive, 0
    for position, node in enumerate(nodes):
        found, work = _examined(node, position, values, table)
        values.extend(found)
        flops += work.flops
        calls += work.calls
        made = sum(map(bytes_of, found))
        total += made + work.inside
        alive += made
        peak = max(peak, alive + work.scratch)
        alive -= sum(bytes_of(values[index]) for index in spent.get(position, ()))
        if watch is not None:
            watch(position, node, peak, flops)
    return Walked(flops, peak, total, calls)


def last_uses(
    nodes: Sequence[Node], first: int, kept: set[int], table: Table
) -> dict[int, list[int]]:
    """Position of a node -> the values that no later node uses and that are not kept.

    first: the number of the first value that a node gives.
    """
    last: dict[int, int] = {}
    known = first
    for position, node in enumerate(nodes):
        for index in (*node.inputs, *node.sizes):
            if index is not None:
                last[index] = position
        count = table[node.op].gives(node.arguments)
        for index in range(known, known + count):
            last[index] = position
        known += count
    found: dict[int, list[int]] = {}
    for index, position in last.items():
        if index not in kept:
            found.setdefault(position, []).append(index)
    return found


def resolved(node: Node, values: Sequence[Any]) -> Mapping[str, Any]:
    """The arguments with each reference replaced by the integer it names. Raises Refused."""
    if not node.sizes:
        return node.arguments
    return {
        name: tuple(_resolve(item, values) for item in value)
        if isinstance(value, tuple)
        else _resolve(value, values)
        for name, value in node.arguments.items()
    }


def bytes_of(value: Value) -> int:
    """The bytes of a tensor; a size takes none."""
    return value.bytes if isinstance(value, Spec) else 0


def _examined(
    node: Node, position: int, values: Sequence[Value], table: Table
) -> tuple[tuple[Value, ...], Work]:
    try:
        inputs = []
        for index in node.inputs:
            value = None if index is None else values[index]
            if isinstance(value, int):
                raise Refused(f"value {index} is a size where a tensor is wanted")
            inputs.append(value)
        found, work = table[node.op].examined(inputs, resolved(node, values))
        for value in found:
            if isinstance(value, Spec) and not (
                value.rank <= MAX_RANK and value.extent <= MAX_INTEGER
            ):
                raise Refused(f"{value} is beyond rank {MAX_RANK} or 2^40 elements")
        return found, work
    except Refused as error:
        raise Refused(f"nodes[{position}] ({node.op}): {error}") from None


def _resolve(value: Any, values: Sequence[Any]) -> Any:
    if not isinstance(value, Ref):
        return value
    found = values[value.index]
    if not isinstance(found, int):
        raise Refused(f"value {value.index} is a tensor where a size is wanted")
    return found
