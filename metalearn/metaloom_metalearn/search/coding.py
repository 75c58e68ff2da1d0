"""How long it takes to write a value out, in nats: what a wrong output costs a candidate.

    int        Elias gamma of |n| + 1, and a sign where n is not 0: 2 floor(log2(|n| + 1)) + 1 bits
    bool       1 bit                            label[k]   ln k
    float      64 bits
    text       its length, then ln 128 a character, or ln 2^21 where one is not ASCII
    list, set  its length, then its items       (A, B)     its items
    dict[K,V]  its length, then keys and values graph[N]   as dict[N, dict[N, int]]
    grid       rows, columns, then ln 10 a cell
    other tensors  32 bits a number

An output that a candidate gets wrong is an exception to it: the mark that makes it one
(`EXCEPTION`), which of the n examples it is (ln n), and the output itself.  What all n outputs cost
as exceptions (`table_cost`) is the ceiling: a program longer than the table of its examples
explains nothing.  An output that a program comes near to may cost less: see `corrections` and
`noise`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from metaloom_metalearn.tasks import Task
from metaloom_registry import Constructed, Tensor, Type
from metaloom_registry.types import INT, dict_of

BIT = math.log(2)
EXCEPTION = 4.0


def description_length(value: Any, type_: Type) -> float:
    """The nats that write out a value of this type."""
    if isinstance(type_, Tensor):
        return _tensor(value, type_)
    if not isinstance(type_, Constructed):
        return 64 * BIT
    name = type_.name
    if name == "int":
        magnitude = abs(int(value))
        return (2 * (magnitude + 1).bit_length() - 1 + (magnitude > 0)) * BIT
    if name == "bool":
        return BIT
    if name == "text":
        letter = math.log(128) if value.isascii() else math.log(1 << 21)
        return description_length(len(value), INT) + letter * len(value)
    if name == "tuple":
        return sum(description_length(v, t) for v, t in zip(value, type_.arguments, strict=True))
    if name in ("list", "set"):
        return description_length(len(value), INT) + sum(
            description_length(item, type_.arguments[0]) for item in value
        )
    if name == "dict" and isinstance(value, Mapping):
        key, held = type_.arguments
        return description_length(len(value), INT) + sum(
            description_length(k, key) + description_length(v, held) for k, v in value.items()
        )
    if name == "graph" and isinstance(value, Mapping):
        (node,) = type_.arguments
        return description_length(value, dict_of(node, dict_of(node, INT)))
    if name == "grid":
        cells = sum(len(row) for row in value)
        width = len(value[0]) if len(value) else 0
        return (
            description_length(len(value), INT)
            + description_length(width, INT)
            + cells * math.log(10)
        )
    return 64 * BIT


def exception_cost(value: Any, type_: Type, examples: int) -> float:
    """The nats of one wrong output among so many examples."""
    return EXCEPTION + math.log(examples) + description_length(value, type_)


def table_cost(outputs: Sequence[Any], type_: Type) -> float:
    """The nats of the outputs written out one by one, with no program at all."""
    return sum(exception_cost(value, type_, len(outputs)) for value in outputs)


def task_ceiling(task: Task) -> float:
    """The score of knowing nothing: every support output an exception."""
    outputs = task.support.outputs
    return table_cost([outputs[i] for i in range(len(outputs))], task.want)


def _tensor(value: Any, type_: Tensor) -> float:
    size = math.prod(d for d in type_.dimensions if isinstance(d, int))
    if type_.kind == "label":
        return math.log(max(2, size))
    return 32 * BIT * size
