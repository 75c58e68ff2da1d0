"""Programs with a memory: what their types say, and what they give call after call.

Such a program takes its memory first and gives it back beside its output, `store[s] -> a -> (b,
store[s])`.  A task for one shows streams: the inputs of calls in turn as a list, and the outputs as
another.  A memory begins as the empty value of its type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from metaloom_registry import Constructed, EvaluationError, FrozenDict, InvalidTask, Type, uncurried
from metaloom_registry.types import function, list_of, store_of, tuple_of

_EMPTY = {
    "int": 0, "bool": False, "float": 0.0, "text": "", "list": (), "set": frozenset(),
    "dict": FrozenDict(), "graph": FrozenDict(),
}  # fmt: skip


@dataclass(frozen=True)
class Effect:
    """What a program with a memory remembers, takes and gives in one call."""

    held: Type
    given: tuple[Type, ...]
    want: Type

    @classmethod
    def of(cls, type_: Type) -> Effect | None:
        """The effect of a program of this type; None where it has no memory."""
        given, result = uncurried(type_)
        if len(given) < 2 or not isinstance(result, Constructed) or result.name != "tuple":
            return None
        if len(result.arguments) != 2 or result.arguments[1] != given[0]:
            return None
        store = given[0]
        if not isinstance(store, Constructed) or store.name != "store":
            return None
        return cls(store.arguments[0], given[1:], result.arguments[0])

    @property
    def type(self) -> Type:
        """The type of the program."""
        store = store_of(self.held)
        return function(store, *self.given, tuple_of(self.want, store))

    @property
    def streams(self) -> Type:
        """The type of what it does to streams: a list for each argument and for the output."""
        return function(*map(list_of, self.given), list_of(self.want))

    @property
    def call(self) -> Type:
        """The type of one call, the memory left out."""
        return function(*self.given, self.want)


def empty_value(type_: Type) -> Any:
    """What a memory of this type holds at first: 0, false, or nothing.

    Raises InvalidTask where the type has no such value: tensors, functions.
    """
    if isinstance(type_, Constructed):
        if type_.name in _EMPTY:
            return _EMPTY[type_.name]
        if type_.name == "tuple":
            return tuple(map(empty_value, type_.arguments))
    raise InvalidTask(
        f"a memory cannot hold {type_}; it holds int, bool, float, text, and lists, tuples, sets, "
        "dictionaries and graphs of these"
    )


def called_in_turn(
    program: Callable[..., Any], memory: Any, columns: Sequence[Sequence[Any]]
) -> tuple[tuple[Any, ...], Any]:
    """The outputs of calls in turn, one column of inputs an argument, and the memory after them.

    Raises EvaluationError where a call has no value, or the columns are not of one length.
    """
    if len({len(column) for column in columns}) != 1:
        raise EvaluationError("the inputs of the calls are not equally many for each argument")
    outputs = []
    for inputs in zip(*columns, strict=True):
        output, memory = program(memory, *inputs)
        outputs.append(output)
    return tuple(outputs), memory
