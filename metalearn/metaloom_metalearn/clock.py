"""Time, passed in: a deadline that searches share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from metaloom_registry import ParseError


@dataclass(frozen=True)
class Clock:
    """A budget of seconds that began when the clock was made; `now` is seconds, monotonic."""

    budget: float
    now: Callable[[], float] = time.monotonic
    _start: float = field(init=False)

    def __post_init__(self) -> None:
        if not self.budget > 0:
            raise ParseError(f"a budget of {self.budget} s is no time at all; give more than 0 s")
        object.__setattr__(self, "_start", self.now())

    def elapsed(self) -> float:
        return self.now() - self._start

    def left(self) -> float:
        """The seconds left, at least 0."""
        return max(0.0, self.budget - self.elapsed())

    def expired(self) -> bool:
        return self.elapsed() >= self.budget


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_budget(text: str | float) -> float:
    """Read `60s`, `500ms`, `2min`, `1h` or a number of seconds. Raises ParseError."""
    if isinstance(text, int | float):
        return float(text)
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyz")
    unit = text.strip()[len(number) :] or "s"
    try:
        seconds = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise ParseError(f"{text!r} is not a budget; write 60s, 500ms, 2min or 1h") from None
    return seconds
