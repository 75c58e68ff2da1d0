"""Rows of a column by their places, so that a frozen block reads each row of the column once.

Programs that are tried one after another on the same inputs pick, repeat and reorder these inputs;
what a block makes of them is picked from what it made of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from metaloom_metalearn.engines.batched.features import applied
from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged, Rows
from metaloom_metalearn.search.examples import holds_tensors
from metaloom_registry import Loaded, Primitive


@dataclass(frozen=True, eq=False)
class Picked(Rows):
    """The rows of `column` [n, ...] at the places `index`, int64 [rows]."""

    column: torch.Tensor
    index: torch.Tensor

    @classmethod
    def every(cls, value: BatchedValue) -> BatchedValue:
        """A tensor, or the tensor in a list of them, as all of its rows; all else as it is."""
        if isinstance(value, Ragged):
            return Ragged(cls.every(value.items), value.lengths)
        if not isinstance(value, torch.Tensor):
            return value
        return cls(value, torch.arange(len(value), device=value.device))

    def gathered(self) -> torch.Tensor:
        """[rows, ...]: the rows themselves."""
        return self.column[self.index]

    def rows(self) -> int:
        return len(self.index)

    def device(self) -> torch.device:
        return self.column.device

    def take(self, index: torch.Tensor) -> Picked:
        return Picked(self.column, self.index[index])

    @classmethod
    def join(cls, values: Sequence[BatchedValue]) -> Rows:
        column = next(one.column for one in values if isinstance(one, Picked))
        if all(isinstance(one, Picked) and one.column is column for one in values):
            return cls(column, torch.cat([one.index for one in values]))
        rows: Picked = cls.every(torch.cat([gathered(one) for one in values]))
        return rows


def gathered(value: BatchedValue) -> BatchedValue:
    """The value with its picked rows themselves."""
    if isinstance(value, Picked):
        return value.gathered()
    if isinstance(value, Ragged):
        return Ragged(gathered(value.items), value.lengths)
    return tuple(map(gathered, value)) if isinstance(value, tuple) else value


class Remembering(nn.Module):
    """A frozen block that computes what it makes of a column once, and picks from that."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block.eval()
        self._known: dict[int, tuple[torch.Tensor, BatchedValue]] = {}

    def forward(self, *inputs: BatchedValue) -> BatchedValue:
        if len(inputs) == 1 and isinstance(inputs[0], Picked):
            column, index = inputs[0].column, inputs[0].index
            if id(column) not in self._known:
                self._known[id(column)] = (column, applied(self.block, column))
            made = self._known[id(column)][1]
            if isinstance(made, torch.Tensor):
                return Picked(made, index)
        with torch.no_grad():
            return self.block(*map(gathered, inputs))


def remembering(block: Loaded) -> Loaded:
    """A trained block that remembers; a primitive that looks into tensors, given their rows."""
    if isinstance(block, nn.Module):
        return Remembering(block)
    if isinstance(block, Primitive) and holds_tensors(block.signature):
        return replace(block, batched=_gathering(block.batched), soft=_gathering(block.soft))
    return block


def _gathering(form: Callable[..., Any] | None) -> Callable[..., Any] | None:
    return None if form is None else lambda *inputs: form(*map(gathered, inputs))
