"""The values of the batched engine: many examples at once, one row each.

| type                             | batched value                                               |
|----------------------------------|-------------------------------------------------------------|
| image, vec, logits, table, label | tensor [rows, ...] (float32; label int64)                   |
| int, bool, float                 | tensor [rows] (int64, bool, float64)                        |
| list[T]                          | `Ragged(items, lengths)`: items of all rows, row after row  |
| (A, B)                           | Python tuple of batched values                              |
| examples[X, Y]                   | `Support(x, y, classes)`: one for all rows, not one a row   |
| A -> B                           | a Python callable from a batched value to a batched value   |

In soft mode an int may also be a `SoftInt`, a bool a `SoftBool` and a label a `SoftLabel`: rows of
distributions.

How a batched primitive calls a function it is given: `f(x)`, and `f(a)(b)` for one of two
arguments.  A function may have captured values, one for each row it was made for; to call it on
other rows, say which with `take(f, index)` first.  So `map` is

    Ragged(take(f, xs.owners())(xs.items), xs.lengths)

which is one call on the items of all rows.  `take`, `put` and `concatenate` work on every batched
value, soft ones included; a primitive written with these alone is its own soft form.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import torch

from metaloom_registry import TypeMismatch

BatchedValue: TypeAlias = Any
"""A tensor, a tuple of batched values, a `Rows`, a `Support` or a callable: see the table above."""


class Rows(ABC):
    """A batched value of a form of its own: what it takes to pick, replace and join its rows."""

    @abstractmethod
    def rows(self) -> int | None:
        """How many rows; None where the value is the same for all rows."""

    @abstractmethod
    def take(self, index: torch.Tensor) -> Self:
        """The rows at `index`, int64 [m], in this order; a row may be taken often."""

    @classmethod
    def join(cls, values: Sequence[BatchedValue]) -> Rows:
        """The rows of several values of one type; the first that is no tensor is of this class."""
        del values
        raise TypeMismatch(f"rows of a {cls.__name__} cannot be joined")

    def device(self) -> torch.device | None:
        """Where the value lies; None where it does not matter."""
        return None

    def to(self, device: torch.device | str) -> Rows:
        """The value on a device."""
        del device
        raise TypeMismatch(f"a {type(self).__name__} cannot be moved to a device")


@dataclass(frozen=True, eq=False)
class Ragged(Rows):
    """Lists, one a row: the items of all rows one after another, and how many each row has.

    `items` is a batched value of `lengths.sum()` rows; `lengths` is int64 [rows].  Where no row has
    an item and the type of items is open, as in the empty list of a program, `items` is None.
    """

    items: BatchedValue
    lengths: torch.Tensor

    def rows(self) -> int:
        return int(self.lengths.shape[0])

    def device(self) -> torch.device:
        return self.lengths.device

    def to(self, device: torch.device | str) -> Ragged:
        return Ragged(moved(self.items, device), self.lengths.to(device))

    def owners(self) -> torch.Tensor:
        """int64 [items]: the row that each item belongs to."""
        return torch.repeat_interleave(self.lengths)

    def offsets(self) -> torch.Tensor:
        """int64 [rows]: where the items of each row begin."""
        return self.lengths.cumsum(0) - self.lengths

    def positions(self) -> torch.Tensor:
        """int64 [items]: the place of each item in its own list, from 0."""
        count = int(self.lengths.sum())
        return torch.arange(count, device=self.lengths.device) - self.offsets()[self.owners()]

    def places(self, index: torch.Tensor) -> torch.Tensor:
        """int64: where the items of the rows at `index` stand in `items`, row after row."""
        taken = Ragged(None, self.lengths[index])
        return self.offsets()[index][taken.owners()] + taken.positions()

    def take(self, index: torch.Tensor) -> Ragged:
        return Ragged(take(self.items, self.places(index)), self.lengths[index])

    @classmethod
    def join(cls, values: Sequence[BatchedValue]) -> Ragged:
        items = [one.items for one in values if one.items is not None]
        lengths = torch.cat([one.lengths for one in values])
        return cls(concatenate(items) if items else None, lengths)


@dataclass(frozen=True, eq=False)
class Support(Rows):
    """The labelled examples of a task, the same for every row: `examples[X, Y]`.

    `x` and `y` are batched values of n rows, one an example; for `examples[X, label[k]]` y is int64
    [n] and `classes` is k, else 0.
    """

    x: BatchedValue
    y: BatchedValue
    classes: int = 0

    def rows(self) -> None:
        return None

    def take(self, index: torch.Tensor) -> Support:
        del index
        return self

    def device(self) -> torch.device | None:
        return device_of(self.x)

    def to(self, device: torch.device | str) -> Support:
        return Support(moved(self.x, device), moved(self.y, device), self.classes)


def rows_of(value: BatchedValue) -> int | None:
    """How many rows a batched value has; None where it is the same for all rows."""
    if isinstance(value, torch.Tensor):
        return value.shape[0]
    if isinstance(value, tuple):
        return next((n for n in map(rows_of, value) if n is not None), None)
    return value.rows() if isinstance(value, Rows) else None


def same_for_all(function: BatchedValue) -> BatchedValue:
    """The function, fit to be called on other rows than the batch's, such as those of a support.

    Raises TypeMismatch where it captures a value that differs from row to row.
    """
    if rows_of(function) is not None:
        raise TypeMismatch(
            "a function that is applied to the examples of a task captures a value that differs "
            "from input to input; let it use the task's examples alone"
        )
    return function


def device_of(value: BatchedValue) -> torch.device | None:
    """Where a batched value lies; None for a function that captures nothing."""
    if isinstance(value, torch.Tensor):
        return value.device
    if isinstance(value, tuple):
        return next((d for d in map(device_of, value) if d is not None), None)
    return value.device() if isinstance(value, Rows) else None


def moved(value: BatchedValue, device: torch.device | str) -> BatchedValue:
    """A batched value on a device."""
    if isinstance(value, torch.Tensor | Rows):
        return value.to(device)
    return tuple(moved(part, device) for part in value) if isinstance(value, tuple) else value


def take(value: BatchedValue, index: torch.Tensor) -> BatchedValue:
    """The rows of a batched value at `index`, int64 [m]; a row may be taken often."""
    if isinstance(value, torch.Tensor):
        return value[index]
    if isinstance(value, tuple):
        return tuple(take(part, index) for part in value)
    return value.take(index) if isinstance(value, Rows) else value


def put(value: BatchedValue, index: torch.Tensor, new: BatchedValue) -> BatchedValue:
    """`value` with row `index[i]` replaced by row `i` of `new`; differentiable in both."""
    if isinstance(value, torch.Tensor) and isinstance(new, torch.Tensor):
        return value.index_copy(0, index, new)
    if isinstance(value, tuple):
        return tuple(put(one, index, other) for one, other in zip(value, new, strict=True))
    both = concatenate([value, new])
    count = rows_of(value) or 0
    choice = torch.arange(count, device=index.device)
    choice[index] = count + torch.arange(len(index), device=index.device)
    return take(both, choice)


def concatenate(values: Sequence[BatchedValue]) -> BatchedValue:
    """The rows of several batched values of one type, one value after another; at least one."""
    first = next((value for value in values if isinstance(value, Rows)), values[0])
    if isinstance(first, Rows):
        return first.join(values)
    if isinstance(first, torch.Tensor):
        return torch.cat(list(values))
    if isinstance(first, tuple):
        return tuple(concatenate(parts) for parts in zip(*values, strict=True))
    raise TypeMismatch(f"rows of a {type(first).__name__} cannot be joined")
