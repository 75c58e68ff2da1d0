"""Memory that a computation takes piece by piece and gives back as a stack, to be used again.

Fresh memory of the size of activations costs more page faults than the kernels that fill it cost
time, so each thread keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import TypeAlias

import torch
from torch import Tensor

BLOCK = 1 << 20
"""Elements of the smallest block."""

Mark: TypeAlias = tuple[int, int]
"""A place in an arena: block and offset."""


class Arena:
    """Blocks of one dtype on one device, filled from the front."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._blocks: list[Tensor] = []
        self._block, self._offset = 0, 0

    def empty(self, *shape: int) -> Tensor:
        """A contiguous tensor of undefined content, valid until a mark before it is released."""
        count = prod(shape)
        size = -(-count // 16) * 16  # every tensor begins on a cache line
        while True:
            if self._block == len(self._blocks):
                block = torch.empty(max(BLOCK, size), dtype=self.dtype, device=self.device)
                self._blocks.append(block)
            block = self._blocks[self._block]
            if self._offset + size <= len(block):
                break
            self._block, self._offset = self._block + 1, 0
        found = block[self._offset : self._offset + count].view(shape)
        self._offset += size
        return found

    def mark(self) -> Mark:
        """The place where the next tensor begins."""
        return self._block, self._offset

    def release(self, mark: Mark) -> None:
        """Give back all that was taken since the mark."""
        self._block, self._offset = mark


class Arenas:
    """Arenas that wait to be used again."""

    def __init__(self) -> None:
        self._free: dict[tuple[torch.dtype, torch.device], list[Arena]] = {}

    @contextmanager
    def lent(self, like: Tensor) -> Iterator[Arena]:
        """An arena of the dtype and device of a tensor; what was taken from it ends with it."""
        free = self._free.setdefault((like.dtype, like.device), [])
        arena = free.pop() if free else Arena(like.dtype, like.device)
        try:
            yield arena
        finally:
            arena.release((0, 0))
            free.append(arena)
