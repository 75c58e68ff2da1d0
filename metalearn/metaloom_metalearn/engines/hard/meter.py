"""What an evaluation has spent, and the code that spends it.

All of that code shares one variable, which Python reaches faster than an attribute: calling a
lambda is the inner loop of every search.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metaloom_metalearn.engines.hard.code import Code, Run, constant, failure
from metaloom_metalearn.engines.hard.limits import Limits
from metaloom_registry import EvaluationError, Primitive

CHUNK = 256
"""How many steps pass between two looks at the clock."""


@dataclass(frozen=True)
class Meter:
    """`start()` begins an evaluation; the others make code that counts what it does.

    `function(body)` is a function of one argument with this body; `entered(value, body)` the body
    with the value as `$0`; `sized(code)` the same code, whose result is a list or a text, its
    items counted; `counted(primitive, scalar, sized)` a primitive's function as a value.
    """

    start: Callable[[], None]
    function: Callable[[Code], Code]
    entered: Callable[[Code, Code], Code]
    sized: Callable[[Code], Code]
    counted: Callable[[Primitive, Callable[..., Any], bool], Callable[..., Any]]


def meter(limits: Limits, now: Callable[[], float] = time.monotonic) -> Meter:
    """A meter of its own; not to be shared by threads."""
    left = 0
    chunks = 0
    until: float | None = None
    chunk = min(CHUNK, limits.steps, limits.items)

    def start() -> None:
        nonlocal left, chunks, until
        left = chunk
        chunks = limits.steps - left
        until = None

    def refill(made: int) -> None:
        """The chunk is spent: look at the limits and take the next one."""
        nonlocal left, chunks, until
        if made > limits.items:
            raise EvaluationError(
                f"a list of {made} items is longer than the {limits.items} allowed"
            )
        if chunks + left < 0:
            raise EvaluationError(f"it takes more than {limits.steps} steps")
        if limits.clock is not None and limits.clock.expired():
            raise EvaluationError("the deadline has passed")
        time_is = now()
        if until is None:
            until = time_is + limits.seconds
        elif time_is > until:
            raise EvaluationError(f"it takes longer than {limits.seconds} s")
        chunks += left
        left = min(chunk, chunks)
        chunks -= left

    def function(body: Code) -> Code:
        inner = body.run

        def make(environment: Any) -> Callable[[Any], Any]:
            def call(argument: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    refill(0)
                return inner((argument, environment))

            return call

        return constant(make(None)) if body.reach <= 1 else Code(make, body.reach - 1)

    def entered(value: Code, body: Code) -> Code:
        outer, inner = value.run, body.run

        def run(environment: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                refill(0)
            return inner((outer(environment), environment))

        return Code(run, max(value.reach, body.reach - 1))

    def sized(code: Code) -> Code:
        inner: Run = code.run

        def run(environment: Any) -> Any:
            nonlocal left
            result = inner(environment)
            left -= len(result)
            if left < 0:
                refill(len(result))
            return result

        return Code(run, code.reach)

    def counted(
        primitive: Primitive, scalar: Callable[..., Any], sized: bool
    ) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal left
            try:
                result = scalar(*arguments)
            except EvaluationError:
                raise
            except Exception as error:
                raise failure(primitive, error) from error
            made = len(result) if sized else 1
            left -= made
            if left < 0:
                refill(made)
            return result

        return call

    return Meter(start, function, entered, sized, counted)
