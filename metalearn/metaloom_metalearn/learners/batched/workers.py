"""Threads that share the tasks of a meta-batch.

One thread for a few tasks beats all threads for one operation: the operations are small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from metaloom_metalearn.threads import one_thread

T = TypeVar("T")


class Workers:
    """Runs parts of a computation, outside autograd; keeps its threads for the next."""

    def __init__(self) -> None:
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def each(
        self, compute: Callable[[slice], T], parts: Sequence[slice], threads: int
    ) -> Iterator[T]:
        """The results in the order of the parts.

        While several threads compute, torch's own operations have one each.
        """

        def run(part: slice) -> T:
            with torch.no_grad():
                return compute(part)

        def alone(part: slice) -> T:
            torch.set_num_threads(1)
            return run(part)

        if min(threads, len(parts)) <= 1:
            yield from map(run, parts)
            return
        with one_thread():
            yield from self._threads(threads).map(alone, parts)

    def _threads(self, count: int) -> ThreadPoolExecutor:
        if self._pool is None or self._pool[0] != count:
            self._pool = count, ThreadPoolExecutor(count, "metaloom-tasks")
        return self._pool[1]
