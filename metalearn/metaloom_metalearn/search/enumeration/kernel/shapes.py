"""The shapes of types in memory, and Python values written into it and read from it.

A shape is a row of a table: `(SCALAR, 0, 0)`, `(LIST, shape of the items, 0)` or `(PAIR, shape of
the first, shape of the second)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from metaloom_metalearn.search.enumeration.kernel.memory import SHIFT, packed
from metaloom_registry import Constructed, Type
from metaloom_registry.types import BOOL, INT

SCALAR, LIST, PAIR = range(3)
Words = npt.NDArray[np.int64]


@dataclass
class Shapes:
    """The table of the shapes of some types that `engines.is_compiled` permits."""

    types: dict[Type, int] = field(default_factory=dict)
    rows: list[tuple[int, int, int]] = field(default_factory=list)

    @classmethod
    def of(cls, types: Iterable[Type]) -> Shapes:
        shapes = cls()
        for type_ in types:
            shapes._add(type_)
        return shapes

    @property
    def table(self) -> Words:
        """int64 [shapes, 3]."""
        return np.array(self.rows, dtype=np.int64)

    def _add(self, type_: Type) -> int:
        if type_ not in self.types:
            if type_ in (INT, BOOL):
                row = (SCALAR, 0, 0)
            else:
                assert isinstance(type_, Constructed)
                parts = [self._add(part) for part in type_.arguments]
                row = (LIST, parts[0], 0) if type_.name == "list" else (PAIR, parts[0], parts[1])
            self.types[type_] = len(self.rows)
            self.rows.append(row)
        return self.types[type_]


def size_of(value: Any) -> int:
    """How many places a value needs besides its word."""
    if isinstance(value, tuple):
        return len(value) + sum(map(size_of, value))
    return 0


def written(value: Any, memory: Words, place: int) -> tuple[int, int]:
    """Write a value from a place on: its word, and the next free place."""
    if not isinstance(value, tuple):
        return int(value), place
    following = place + len(value)
    for i, item in enumerate(value):
        memory[place + i], following = written(item, memory, following)
    return _packed(place, len(value)), following


def read(word: int, type_: Type, memory: Words) -> Any:
    """The value of a word of a type."""
    if type_ == BOOL:
        return bool(word)
    if type_ == INT:
        return int(word)
    assert isinstance(type_, Constructed)
    place, length = int(word) >> SHIFT, int(word) & ((1 << SHIFT) - 1)
    items = memory[place : place + length].tolist()
    if type_.name == "tuple":
        return tuple(read(w, part, memory) for w, part in zip(items, type_.arguments, strict=True))
    if type_.arguments[0] == INT:
        return tuple(items)
    return tuple([read(item, type_.arguments[0], memory) for item in items])


_packed = packed.py_func
