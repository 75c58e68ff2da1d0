"""A task: a few examples of what is wanted, and more to be judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from metaloom_registry import Arrow, Digest, InvalidTask, Type, dump_canonical, uncurried
from metaloom_registry.types import unhashable_key

if TYPE_CHECKING:
    import torch

Values: TypeAlias = "torch.Tensor | tuple[object, ...]"
"""One value an example: for a tensor type one stacked tensor [n, ...], else a tuple of n values.

Plain values are int, bool, float, str; lists and tuples are Python tuples; a tensor within them is
a torch tensor of its own shape, so `list[image[1,8,8]]` is a tuple of tuples of [1, 8, 8].
"""


@dataclass(frozen=True)
class Examples:
    """Pairs of inputs and outputs: one `Values` for each argument, and one for the outputs."""

    inputs: tuple[Values, ...]
    outputs: Values

    def __post_init__(self) -> None:
        for i, column in enumerate(self.inputs):
            if len(column) != len(self.outputs):
                raise InvalidTask(
                    f"argument {i + 1} has {len(column)} values for {len(self.outputs)} outputs; "
                    "every example needs one of each"
                )

    def __len__(self) -> int:
        return len(self.outputs)

    def take(self, indices: Sequence[int]) -> Examples:
        """The examples at these places, in this order."""
        return Examples(
            tuple(_taken(column, indices) for column in self.inputs), _taken(self.outputs, indices)
        )


def _taken(values: Values, indices: Sequence[int]) -> Values:
    if isinstance(values, tuple):
        return tuple(values[i] for i in indices)
    return values[list(indices)]


ASKED_FOR = frozenset({"recursion"})
"""The tags of primitives that a search uses only where the task allows them."""


@dataclass(frozen=True)
class Task:
    """What is to be solved: a function type, support to learn from and a query to be judged by.

    `type` is a function type such as `list[int] -> int` or `image[1,8,8] -> label[5]`.  A solver
    sees `support` alone; `query` is for the final score.  `classes` are the digests of the classes
    that the examples show: blocks trained on one of them are excluded.  `name` is for people.

    A task with a `memory` wants a program that remembers a value of that type from call to call;
    its examples are streams, `list[A] -> list[B]`, the memory empty before each.  `allows` are tags
    of primitives that are searched only for tasks that say so, such as `recursion`.

    Raises InvalidTask where there is no support, `type` is no function or has keys that cannot be
    keys, a stream has not as many outputs as inputs, or `allows` something unknown.
    """

    type: Type
    support: Examples
    query: Examples | None = None
    classes: frozenset[Digest] = frozenset()
    name: str = "task"
    memory: Type | None = None
    allows: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not isinstance(self.type, Arrow):
            raise InvalidTask(f"a task is a function, but its type is {self.type}")
        key = unhashable_key(self.type)
        if key is not None:
            raise InvalidTask(
                f"the type {self.type} of the task {self.name!r} has keys of the type {key}; keys "
                "are int, bool, float, text, or tuples of these"
            )
        unknown = self.allows - ASKED_FOR
        if unknown:
            raise InvalidTask(
                f"the task {self.name!r} allows {', '.join(sorted(unknown))}; it may allow "
                f"{', '.join(sorted(ASKED_FOR))}"
            )
        if self.memory is not None:
            _require_streams(self.support, self.name)
            if self.query is not None:
                _require_streams(self.query, self.name)
        if len(self.support) == 0:
            raise InvalidTask(
                f"the task {self.name!r} has no support example; give at least one to learn from"
            )

    @property
    def given(self) -> tuple[Type, ...]:
        """The types of the arguments."""
        return uncurried(self.type)[0]

    @property
    def want(self) -> Type:
        """The type of the output."""
        return uncurried(self.type)[1]


def _require_streams(examples: Examples, name: str) -> None:
    """Each example is a stream: as many outputs as inputs of each argument."""
    for i, outputs in enumerate(examples.outputs):
        for column in examples.inputs:
            inputs = column[i]
            counts = [
                len(one) if isinstance(one, tuple | list) else None for one in (inputs, outputs)
            ]
            if None in counts or counts[0] != counts[1]:
                raise InvalidTask(
                    f"example {i + 1} of {name!r} shows {counts[0]} inputs and {counts[1]} "
                    "outputs; with a memory an example is a list of inputs and as long a list of "
                    "outputs"
                )


class TaskSource(Protocol):
    """Where episodes come from."""

    def sample(self, generator: torch.Generator) -> Task:
        """Draw one task; equal generators draw equal tasks."""
        ...


def class_digest(dataset: str, name: str) -> Digest:
    """The identity of one class of one data set, such as the digit 3 of `sklearn/digits`."""
    return Digest.of(dump_canonical({"dataset": dataset, "class": name}))
