"""Ctrl-C between steps: a first one is noted, a second one interrupts at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noted_interrupts() -> Iterator[Callable[[], bool]]:
    """Gives a function that says whether there was a Ctrl-C inside.

    The handler that was there before is put back at the first Ctrl-C and at the end.  Outside the
    main thread, and where interrupts are ignored, nothing is noted.
    """
    noted = False
    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread() and callable(before)

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal noted
        del number, frame
        noted = True
        signal.signal(signal.SIGINT, before)

    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield lambda: noted
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)
