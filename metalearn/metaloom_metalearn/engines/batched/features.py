"""Features: what frozen blocks make of the inputs of a task, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from metaloom_metalearn.engines.batched.values import BatchedValue, concatenate, rows_of, take
from metaloom_registry import Entry, Loaded, Primitive, TypeMismatch

ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Features:
    """Applies chains of frozen blocks to columns, and remembers every step.

    A column is a batched value; it is known by its identity, and kept alive, so that equal numbers
    in two columns are computed twice but never mistaken.  Blocks are known by digest.  They run in
    eval mode, without gradients, at most `ROWS_AT_ONCE` rows at a time; their mode is put back.
    """

    load: Callable[[Entry], Loaded]
    _known: dict[tuple[Any, ...], tuple[BatchedValue, BatchedValue]] = field(default_factory=dict)

    def of(self, chain: tuple[Entry, ...], column: BatchedValue) -> BatchedValue:
        """The column after each block of the chain, first block first; detached."""
        if not chain:
            return column
        key = (*(entry.digest for entry in chain), id(column))
        if key not in self._known:
            before = self.of(chain[:-1], column)
            self._known[key] = (column, applied(self.load(chain[-1]), before))
        return self._known[key][1]


def applied(block: Loaded, column: BatchedValue) -> BatchedValue:
    """A frozen block, or a primitive of one argument, on a whole column."""
    if isinstance(block, Primitive):
        if block.batched is None or len(block.parameters) != 1:
            raise TypeMismatch(f"the primitive {block.reference} does not map a batch to a batch")
        with torch.no_grad():
            return block.batched(column)
    if not isinstance(block, nn.Module):
        raise TypeMismatch("features are computed by trained blocks and primitives")
    count = rows_of(column) or 0
    with torch.no_grad(), evaluating(block):
        if count <= ROWS_AT_ONCE:
            return block(column)
        rows = torch.split(torch.arange(count), ROWS_AT_ONCE)
        return concatenate([block(take(column, some)) for some in rows])


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in eval mode for a while, every submodule put back as it was."""
    training = [one for one in module.modules() if one.training]
    module.eval()
    try:
        yield
    finally:
        for one in training:
            one.training = True
