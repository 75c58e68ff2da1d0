"""The loops on a whole batch at once: each round runs on the rows that still go on."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from metaloom_metalearn import BatchedValue, put, take
from metaloom_recursion.loops import MAX_ROUNDS
from metaloom_registry import EvaluationError

Function = Callable[[BatchedValue], BatchedValue]


def loop_while(condition: Function, step: Function, state: BatchedValue) -> BatchedValue:
    """`condition` gives bool [rows]."""
    rows = condition(state).nonzero()[:, 0]
    for _ in range(MAX_ROUNDS):
        if len(rows) == 0:
            return state
        state = put(state, rows, take(step, rows)(take(state, rows)))
        rows = rows[take(condition, rows)(take(state, rows))]
    raise EvaluationError(f"a loop does not end within the {MAX_ROUNDS} rounds allowed")


def iterate(n: Tensor, step: Function, state: BatchedValue) -> BatchedValue:
    """n: int64 [rows]."""
    longest = int(n.max()) if len(n) else 0
    if longest > MAX_ROUNDS:
        raise EvaluationError(f"a loop of {longest} rounds is longer than the {MAX_ROUNDS} allowed")
    for done in range(longest):
        rows = (n > done).nonzero()[:, 0]
        state = put(state, rows, take(step, rows)(take(state, rows)))
    return state
