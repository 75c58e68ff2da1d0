"""Truth values, the conditional and pairs."""

from __future__ import annotations

from metaloom_registry import Primitive

LOGIC = (
    Primitive(
        "lists/if", 1, "bool -> a -> a -> a",
        "The second argument where the first is true, else the third; the other is not computed.",
        ("condition", "then", "otherwise"),
        lambda condition, then, otherwise: then if condition else otherwise,
        choose=lambda condition: 1 if condition else 2,
        source="then if condition else otherwise",
        examples=(("(if true 1 2)", 1), ("(if false 1 2)", 2), ("(if true 1 (head empty))", 1)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/and", 1, "bool -> bool -> bool", "Whether both are true.",
        ("p", "q"), lambda p, q: p and q,
        choose=lambda p: 1 if p else 0,
        source="p and q", examples=(("(and true false)", False), ("(and true true)", True)),
    ),
    Primitive(
        "lists/or", 1, "bool -> bool -> bool", "Whether at least one is true.",
        ("p", "q"), lambda p, q: p or q,
        choose=lambda p: 0 if p else 1,
        source="p or q", examples=(("(or true false)", True), ("(or false false)", False)),
    ),
    Primitive(
        "lists/not", 1, "bool -> bool", "Whether it is false.", ("p",), lambda p: not p,
        source="not p", examples=(("(not true)", False), ("(not false)", True)),
    ),
    Primitive(
        "lists/pair", 1, "a -> b -> (a, b)", "Two values as one.",
        ("x", "y"), lambda x, y: (x, y),
        source="(x, y)", examples=(("(pair 1 true)", (1, True)), ("(pair 2 2)", (2, 2))),
    ),
    Primitive(
        "lists/first", 1, "(a, b) -> a", "The first of a pair.",
        ("both",), lambda both: both[0],
        source="both[0]", examples=(("(first (pair 1 2))", 1), ("(first (pair true 2))", True)),
    ),
    Primitive(
        "lists/second", 1, "(a, b) -> b", "The second of a pair.",
        ("both",), lambda both: both[1],
        source="both[1]", examples=(("(second (pair 1 2))", 2), ("(second (pair 1 true))", True)),
    ),
)  # fmt: skip
"""The primitives on truth values and pairs."""
