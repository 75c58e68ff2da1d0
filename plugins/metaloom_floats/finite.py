"""Finite floats: what every primitive of the plugin gives."""

from __future__ import annotations

import math

from metaloom_registry import EvaluationError


def finite(value: float) -> float:
    """The value itself. Raises EvaluationError where it is infinite or no number."""
    if math.isfinite(value):
        return value
    raise EvaluationError("a float overflows")
