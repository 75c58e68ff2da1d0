"""Looking into a memory, changing it, and what a program with one gives for calls in turn.

What a memory is at any time is the one value it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_registry import Primitive

Program = Callable[[Any], Callable[[Any], tuple[Any, Any]]]


def calls(program: Program, memory: Any, xs: tuple[Any, ...]) -> tuple[Any, ...]:
    outputs = []
    for x in xs:
        output, memory = program(memory)(x)
        outputs.append(output)
    return tuple(outputs)


REMEMBERING = (
    Primitive(
        "memory/recall", 1, "store[a] -> a", "What is remembered.",
        ("memory",), lambda memory: memory,
        source="memory",
        examples=(
            ("(calls (lam (lam (remember $0 (recall $1) $1))) 9 (range 3))", (9, 0, 1)),
            ("(calls (lam (lam (pair (recall $1) $1))) true (range 2))", (True, True)),
        ),
        tags=("memory",),
    ),
    Primitive(
        "memory/remember", 1, "a -> b -> store[a] -> (b, store[a])",
        "The second as the output, and the memory, which now holds the first.",
        ("value", "output", "memory"), lambda value, output, memory: (output, value),
        source="(output, value)",
        examples=(
            ("(calls (lam (lam (remember (add $0 (recall $1)) (recall $1) $1))) 5 (range 3))",
             (5, 5, 6)),
            ("(calls (lam (lam (remember $0 (equal $0 (recall $1)) $1))) 0 (range 2))",
             (True, False)),
        ),
        tags=("memory",),
    ),
    Primitive(
        "memory/calls", 1, "(store[a] -> b -> (c, store[a])) -> a -> list[b] -> list[c]",
        "What a program with a memory gives for calls in turn, if that is remembered before.",
        ("program", "before", "xs"), calls,
        source=(
            "reduce(lambda done, x: (lambda both: ([*done[0], both[0]], both[1]))"
            "(program(done[1])(x)), xs, ([], before))[0]"
        ),
        imports=("from functools import reduce",),
        examples=(
            ("(calls (lam (lam (remember $0 (add $0 (recall $1)) $1))) 5 (range 3))", (5, 1, 3)),
            ("(calls (lam (lam (remember 0 $0 $1))) 0 empty)", ()),
        ),
        tags=("memory",),
    ),
)  # fmt: skip
"""The primitives of memory."""
