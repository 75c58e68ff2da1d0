"""Threads that share the tasks of a meta-batch, each with memory of its own.

One thread for a few tasks beats all threads for one operation: the operations are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from metaloom_metalearn.learners.batched.arena import Arena

T = TypeVar("T")


class Workers:
    """Runs parts of a computation without autograd; keeps the memory they used for the next."""

    def __init__(self) -> None:
        self._arenas: dict[tuple[torch.dtype, torch.device], list[Arena]] = {}
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def each(
        self,
        compute: Callable[[Arena, slice], T],
        parts: Sequence[slice],
        threads: int,
        like: Tensor,
    ) -> Iterator[T]:
        """The results in the order of the parts; an arena is of the dtype and device of `like`.

        What is computed must not lie in the arena.  Meanwhile torch's own threads are set to one.
        """
        free = self._arenas.setdefault((like.dtype, like.device), [])

        def run(part: slice) -> T:
            arena = free.pop() if free else Arena(like.dtype, like.device)
            try:
                with torch.no_grad():
                    return compute(arena, part)
            finally:
                arena.release((0, 0))
                free.append(arena)

        def alone(part: slice) -> T:
            torch.set_num_threads(1)
            return run(part)

        if min(threads, len(parts)) == 1:
            yield from map(run, parts)
            return
        with _one_thread_each():
            yield from self._threads(threads).map(alone, parts)

    def _threads(self, count: int) -> ThreadPoolExecutor:
        if self._pool is None or self._pool[0] != count:
            self._pool = count, ThreadPoolExecutor(count, "metaloom-tasks")
        return self._pool[1]


@contextmanager
def _one_thread_each() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
