"""Python's cyclic garbage collector, put off while a search builds banks."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_put_off() -> Iterator[None]:
    """Collect no cycles for a while, and put the collector back as it was.

    A bank holds millions of small values that live as long as the search; to look through them for
    cycles again and again took half of the time.  Memory is bounded by the search itself.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
