"""An end to searches that do not end by themselves: a primitive of a plugin that loops for ever."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

GRACE = 5.0
"""Seconds that a search may take beyond its budget."""


@contextmanager
def overdue(seconds: float) -> Iterator[None]:
    """Interrupt what runs within, as Ctrl-C does, so many seconds and a grace after it began.

    Where there are no alarms (on Windows, or off the main thread) it does nothing.
    """
    usable = threading.current_thread() is threading.main_thread()
    if not usable or not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
