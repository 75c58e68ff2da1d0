"""What an argument of an op may be: typed rules that read JSON and refuse everything else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

from metaloom_registry.canonical import Json
from metaloom_registry.errors import Refused
from metaloom_registry.graph.values import BYTES, MAX_INTEGER

MAX_LITERAL = 1 << 31


@dataclass(frozen=True, slots=True)
class Ref:
    """An integer value of the graph used as an argument; `{"value": index}` in JSON."""

    index: int


class Rule(Protocol):
    """Reads one argument; its `str` says in the documentation what is accepted."""

    def read(self, value: Json) -> Any:
        """The argument as Python value. Raises Refused."""
        ...


@dataclass(frozen=True, slots=True)
class Int:
    """An integer from `low` to `high`."""

    low: int = -MAX_LITERAL
    high: int = MAX_LITERAL

    def read(self, value: Json) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _misfit(value, self)
        if not self.low <= value <= self.high:
            raise _misfit(value, self)
        return value

    def __str__(self) -> str:
        return f"integer {_range(self.low, self.high)}".rstrip()


@dataclass(frozen=True, slots=True)
class Float:
    """A finite number from `low` to `high`."""

    low: float = -1e300
    high: float = 1e300

    def read(self, value: Json) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _misfit(value, self)
        if not self.low <= value <= self.high:
            raise _misfit(value, self)
        return float(value)

    def __str__(self) -> str:
        unbounded = self.low == -1e300 and self.high == 1e300
        return "number" if unbounded else f"number {self.low:g}..{self.high:g}"


@dataclass(frozen=True, slots=True)
class Extended:
    """A finite number, or one of the words `"inf"` and `"-inf"`."""

    def read(self, value: Json) -> float:
        if isinstance(value, str) and value in ("inf", "-inf"):
            return float(value)
        return Float().read(value)

    def __str__(self) -> str:
        return 'number, "inf" or "-inf"'


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number that keeps whether it is an integer, or a size of the graph."""

    def read(self, value: Json) -> int | float | Ref:
        if isinstance(value, dict):
            return _reference(value, self)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _misfit(value, self)
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise _misfit(value, self)
        return value

    def __str__(self) -> str:
        return "integer, number or size value"


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def read(self, value: Json) -> bool:
        if not isinstance(value, bool):
            raise _misfit(value, self)
        return value

    def __str__(self) -> str:
        return "boolean"


@dataclass(frozen=True, slots=True)
class Mode:
    """True, false, or `"mode"`: whether the module is in training mode."""

    def read(self, value: Json) -> bool | str:
        if not isinstance(value, bool) and value != "mode":
            raise _misfit(value, self)
        return value

    def __str__(self) -> str:
        return 'boolean or "mode"'


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: Json) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise _misfit(value, self)
        return value

    def __str__(self) -> str:
        return " or ".join(f'"{word}"' for word in self.words)


@dataclass(frozen=True, slots=True)
class DType:
    """The name of a dtype."""

    def read(self, value: Json) -> str:
        if not isinstance(value, str) or value not in BYTES:
            raise _misfit(value, self)
        return value

    def __str__(self) -> str:
        return "dtype"


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches a pattern as a whole."""

    pattern: str
    limit: int = 200

    def read(self, value: Json) -> str:
        if not isinstance(value, str) or len(value) > self.limit:
            raise _misfit(value, self)
        if not re.fullmatch(self.pattern, value, re.ASCII):
            raise _misfit(value, self)
        return value

    def __str__(self) -> str:
        return f"text `{self.pattern}`"


@dataclass(frozen=True, slots=True)
class Size:
    """An integer from `low` to `high`, or a size of the graph."""

    low: int = -MAX_LITERAL
    high: int = MAX_LITERAL

    def read(self, value: Json) -> int | Ref:
        if isinstance(value, dict):
            return _reference(value, self)
        return Int(self.low, self.high).read(value)

    def __str__(self) -> str:
        return f"{Int(self.low, self.high)} or size value"


@dataclass(frozen=True, slots=True)
class Many:
    """A list of `fewest` to `most` items that one rule reads."""

    rule: Rule
    fewest: int
    most: int

    def read(self, value: Json) -> tuple[Any, ...]:
        if not isinstance(value, list) or not self.fewest <= len(value) <= self.most:
            raise _misfit(value, self)
        return tuple(self.rule.read(item) for item in value)

    def __str__(self) -> str:
        count = str(self.most) if self.fewest == self.most else f"{self.fewest} to {self.most}"
        return f"list of {count}: {self.rule}"


@dataclass(frozen=True, slots=True)
class Maybe:
    """What another rule reads, or null."""

    rule: Rule

    def read(self, value: Json) -> Any:
        return None if value is None else self.rule.read(value)

    def __str__(self) -> str:
        return f"{self.rule}, or null"


@dataclass(frozen=True, slots=True)
class Nested:
    """The body of a loop; `read_graph`, which knows the operations, reads what is in it."""

    def read(self, value: Json) -> Any:
        raise _misfit(value, self)

    def __str__(self) -> str:
        return "body"


def _reference(value: dict[str, Any], rule: Rule) -> Ref:
    index = value.get("value")
    if set(value) != {"value"} or isinstance(index, bool) or not isinstance(index, int):
        raise _misfit(value, rule)
    return Ref(index)


def _misfit(value: Json, rule: Rule) -> Refused:
    return Refused(f"{str(value)[:80]} is given where {rule} is wanted")


def _range(low: int, high: int) -> str:
    if low == -MAX_LITERAL and high == MAX_LITERAL:
        return ""
    if high == MAX_LITERAL:
        return f"from {low}"
    return f"{low}..{high}"
