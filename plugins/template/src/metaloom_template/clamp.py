"""Clamp: a number brought between two others."""

from metaloom_registry import EvaluationError


def clamp(low: int, high: int, n: int) -> int:
    """The number nearest to `n` that is no less than `low` and no more than `high`.

    Raises EvaluationError where `low` is above `high`: a program that asks for it has no value.
    """
    if low > high:
        raise EvaluationError(f"clamp wants its bounds in order, and {low} is above {high}")
    return max(low, min(high, n))
