"""How large a dictionary or a set may become."""

from __future__ import annotations

from collections.abc import Sized
from typing import TypeVar

from metaloom_registry import EvaluationError

MAX_ITEMS = 100_000

Held = TypeVar("Held", bound=Sized)


def bounded(held: Held) -> Held:
    """The value itself. Raises EvaluationError where it holds too much."""
    if len(held) > MAX_ITEMS:
        raise EvaluationError(
            f"a dictionary or set of {len(held)} items is larger than the {MAX_ITEMS} allowed"
        )
    return held
