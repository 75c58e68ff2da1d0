"""Loops until something holds, so many times, or until nothing changes; and general recursion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_registry import Deferred, EvaluationError, Primitive

MAX_ROUNDS = 100_000

Function = Callable[[Any], Any]


def _endless() -> EvaluationError:
    return EvaluationError(f"a loop does not end within the {MAX_ROUNDS} rounds allowed")


def loop_while(condition: Callable[[Any], bool], step: Function, state: Any) -> Any:
    for _ in range(MAX_ROUNDS + 1):
        if not condition(state):
            return state
        state = step(state)
    raise _endless()


def iterate(n: int, step: Function, state: Any) -> Any:
    if n > MAX_ROUNDS:
        raise EvaluationError(f"a loop of {n} rounds is longer than the {MAX_ROUNDS} allowed")
    for _ in range(n):
        state = step(state)
    return state


def fixpoint(step: Function, state: Any) -> Any:
    for _ in range(MAX_ROUNDS + 1):
        after = step(state)
        if after == state:
            return state
        state = after
    raise _endless()


def fix(f: Callable[[Function], Function], x: Any) -> Any:
    left = MAX_ROUNDS

    def itself(y: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise _endless()
        return f(itself)(y)

    try:
        return itself(x)
    except RecursionError:
        raise EvaluationError("it calls itself too deeply; use a loop instead") from None


LOOPS = (
    Primitive(
        "recursion/while", 1, "(a -> bool) -> (a -> a) -> a -> a",
        "The state after as many steps as it takes until the condition is false.",
        ("condition", "step", "state"), loop_while,
        batched=Deferred("metaloom_recursion.batched", "loop_while"),
        source=(
            "next(s for s in accumulate(repeat(None), lambda s, _: step(s), initial=state) "
            "if not condition(s))"
        ),
        imports=("from itertools import accumulate, repeat",),
        examples=(
            ("(while (lam $0) (lam false) true)", False),
            ("(while (lam false) (lam 5) 3)", 3),
        ),
        tags=("recursion",),
    ),
    Primitive(
        "recursion/iterate", 1, "int -> (a -> a) -> a -> a",
        "The state after n steps; the state itself where n is below 1.",
        ("n", "step", "state"), iterate,
        batched=Deferred("metaloom_recursion.batched", "iterate"),
        source="reduce(lambda s, _: step(s), range(n), state)",
        imports=("from functools import reduce",),
        examples=(
            ("(iterate 3 (lam (iterate $0 (lam 2) $0)) 1)", 2),
            ("(iterate -1 (lam false) true)", True),
        ),
        tags=("recursion",),
    ),
    Primitive(
        "recursion/fixpoint", 1, "(a -> a) -> a -> a",
        "The first state that a step does not change.",
        ("step", "state"), fixpoint,
        source=(
            "next(s for s, t in pairwise(accumulate(repeat(None), lambda s, _: step(s), "
            "initial=state)) if s == t)"
        ),
        imports=("from itertools import accumulate, pairwise, repeat",),
        examples=(("(fixpoint (lam 2) 1)", 2), ("(fixpoint (lam $0) true)", True)),
        tags=("recursion",),
    ),
    Primitive(
        "recursion/fix", 1, "((a -> b) -> a -> b) -> a -> b",
        "The value of a function that is given itself.",
        ("f", "x"), fix,
        source="(lambda g: g(g))(lambda g: lambda y: f(lambda z: g(g)(z))(y))(x)",
        examples=(
            ("(fix (lam (lam (while (lam $0) (lam ($2 false)) $0))) true)", False),
            ("(fix (lam (lam $0)) 3)", 3),
        ),
        tags=("recursion",),
    ),
)  # fmt: skip
"""The primitives of recursion."""
