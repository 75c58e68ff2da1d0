"""Applying a block where values may be missing: what fails on one row has no value there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from metaloom_registry import EvaluationError

CALLS = 100
"""How often a block may call the functions it is given on one row, where no list bounds it."""

LONGEST = 10_000
"""The longest list or text that the body of a function may make."""


class Failed:
    """The value of a term where it has none."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "FAILED"


FAILED: Final = Failed()


def safe(call: Callable[..., Any], arity: int) -> Callable[..., Any]:
    """The function, which gives `FAILED` where it raises and where an argument is `FAILED`."""
    if arity == 1:

        def run_one(x: Any) -> Any:
            if x is FAILED:
                return FAILED
            try:
                return call(x)
            except Exception:
                return FAILED

        return run_one
    if arity == 2:

        def run_two(x: Any, y: Any) -> Any:
            if x is FAILED or y is FAILED:
                return FAILED
            try:
                return call(x, y)
            except Exception:
                return FAILED

        return run_two

    def run(*arguments: Any) -> Any:
        for argument in arguments:
            if argument is FAILED:
                return FAILED
        try:
            return call(*arguments)
        except Exception:
            return FAILED

    return run


def chosen(choose: Callable[[Any], int]) -> Callable[..., Any]:
    """A choice among its arguments: it fails only where the one it takes does."""

    def run(*arguments: Any) -> Any:
        first = arguments[0]
        return FAILED if first is FAILED else arguments[choose(first)]

    return run


def metered(call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, failing where it calls the functions it is given more than `CALLS` times."""

    def run(*arguments: Any) -> Any:
        left = CALLS

        def limited(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
            def step(argument: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise EvaluationError(f"more than {CALLS} calls in a loop that no list bounds")
                return function(argument)

            return step

        return call(*[limited(a) if callable(a) else a for a in arguments])

    return run


def sized(call: Callable[..., Any]) -> Callable[..., Any]:
    """The function, failing where it makes a list or text longer than `LONGEST`."""

    def run(*arguments: Any) -> Any:
        value = call(*arguments)
        if len(value) > LONGEST:
            raise EvaluationError(f"a list of {len(value)} items within a function is too long")
        return value

    return run
