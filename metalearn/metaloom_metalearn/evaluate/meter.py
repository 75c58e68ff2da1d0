"""What an evaluation has spent, and the functions that spend it.

All of them share one variable, which Python reaches faster than an attribute: a call of a lambda is
the inner loop of every search.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from metaloom_metalearn.evaluate.limits import Limits
from metaloom_registry import EvaluationError, Primitive

Environment: TypeAlias = "tuple[Any, Environment] | None"
"""The values of `$0`, `$1`, ...: the innermost first, as linked pairs."""

Run: TypeAlias = Callable[[Any], Any]
"""A compiled term: from an environment to its value."""

CHUNK = 256
"""How many steps pass between two looks at the clock."""


@dataclass(frozen=True)
class Meter:
    """`start()` begins an evaluation; the others make functions that count what they do.

    `closure(body)` turns the code of a body into the code of a function of one argument.
    `counted(primitive, scalar)` is the primitive's function with its result counted and its errors
    named.  `sized(...)` does the same for a primitive that makes a list, on evaluated arguments.
    """

    start: Callable[[], None]
    closure: Callable[[Run], Run]
    counted: Callable[[Primitive, Callable[..., Any], bool], Callable[..., Any]]
    sized: Callable[[Primitive, Callable[..., Any], tuple[Run, ...]], Run]
    enter: Callable[[Run, Run], Run]


def meter(limits: Limits, now: Callable[[], float] = time.monotonic) -> Meter:
    """A meter of its own; not to be shared by threads."""
    left = 0
    chunks = 0
    until: float | None = None
    longest = limits.items
    clock = limits.clock
    chunk = min(CHUNK, limits.steps, limits.items)

    def start() -> None:
        nonlocal left, chunks, until
        left = chunk
        chunks = limits.steps - left
        until = None

    def refill(made: int) -> None:
        """The chunk is spent: look at the limits and take the next one."""
        nonlocal left, chunks, until
        if made > longest:
            raise EvaluationError(f"a list of {made} items is longer than the {longest} allowed")
        if chunks + left < 0:
            raise EvaluationError(f"it takes more than {limits.steps} steps")
        if clock is not None and clock.expired():
            raise EvaluationError("the deadline has passed")
        time_is = now()
        if until is None:
            until = time_is + limits.seconds
        elif time_is > until:
            raise EvaluationError(f"it takes longer than {limits.seconds} s")
        chunks += left
        left = min(chunk, chunks)
        chunks -= left

    def closure(body: Run) -> Run:
        def make(environment: Any) -> Callable[[Any], Any]:
            def call(argument: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    refill(0)
                return body((argument, environment))

            return call

        return make

    def enter(value: Run, body: Run) -> Run:
        def run(environment: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                refill(0)
            return body((value(environment), environment))

        return run

    def counted(
        primitive: Primitive, scalar: Callable[..., Any], makes_items: bool
    ) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            try:
                result = scalar(*arguments)
            except EvaluationError:
                raise
            except Exception as error:
                raise failure(primitive, error) from error
            made = len(result) if makes_items else 1
            left -= made
            if left < 0:
                refill(made)
            return result

        return call

    def sized(primitive: Primitive, scalar: Callable[..., Any], arguments: tuple[Run, ...]) -> Run:
        call = counted(primitive, scalar, True)
        if len(arguments) == 1:
            (only,) = arguments

            def run_one(environment: Any) -> Any:
                nonlocal left
                try:
                    result = scalar(only(environment))
                except EvaluationError:
                    raise
                except Exception as error:
                    raise failure(primitive, error) from error
                left -= len(result)
                if left < 0:
                    refill(len(result))
                return result

            return run_one
        if len(arguments) == 2:
            first, second = arguments

            def run_two(environment: Any) -> Any:
                nonlocal left
                try:
                    result = scalar(first(environment), second(environment))
                except EvaluationError:
                    raise
                except Exception as error:
                    raise failure(primitive, error) from error
                left -= len(result)
                if left < 0:
                    refill(len(result))
                return result

            return run_two
        return lambda environment: call(*[argument(environment) for argument in arguments])

    return Meter(start, closure, counted, sized, enter)


def failure(primitive: Primitive, error: Exception) -> EvaluationError:
    """What a primitive raised, as the error of an evaluation."""
    if isinstance(error, RecursionError):
        return EvaluationError("it calls functions within functions too deeply")
    return EvaluationError(f"{primitive.name} fails: {type(error).__name__}: {error}")
