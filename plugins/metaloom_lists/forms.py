"""Which primitives have a batched and a soft form; torch is imported when one is called."""

from __future__ import annotations

from dataclasses import replace

from metaloom_registry import Deferred, Primitive

_NUMBERS = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide",
    "modulo": "modulo", "negate": "negate", "absolute": "absolute", "min": "smaller",
    "max": "larger", "equal": "equal", "less": "less", "greater": "greater", "is_even": "even",
    "is_odd": "odd", "is_prime": "prime", "is_square": "square", "if": "conditional",
    "and": "both", "or": "either", "not": "negation", "pair": "pair", "first": "first",
    "second": "second",
}  # fmt: skip

_LISTS = {
    "empty": "empty", "cons": "cons", "append": "append", "singleton": "singleton",
    "concat": "concat", "flatten": "flattened", "range": "counted", "repeat": "repeated",
    "is_empty": "is_empty", "length": "length", "head": "head", "last": "last", "tail": "tail",
    "init": "init", "index": "index", "take": "taken", "drop": "dropped", "slice": "sliced",
    "reverse": "reverse", "sort": "ordered", "unique": "unique", "contains": "contains",
    "sum": "total", "minimum": "minimum", "maximum": "maximum", "zip": "zipped", "map": "mapped",
    "map_indexed": "mapped_indexed", "filter": "filtered", "filter_indexed": "filtered_indexed",
    "count": "number", "zip_with": "zipped_with", "sort_by": "ordered_by", "fold": "fold",
    "scan": "scan",
}  # fmt: skip

_SOFT = frozenset({
    "add", "subtract", "multiply", "negate", "absolute", "min", "max", "equal", "less", "greater",
    "is_even", "is_odd", "if", "and", "or", "not", "sum", "count",
})  # fmt: skip

_CERTAIN = frozenset({"is_empty", "length"})
"""Lists are as long as they are: these give certain values in soft mode too."""


def with_forms(primitive: Primitive) -> Primitive:
    """The primitive with its batched and soft forms, where it has them.

    `unfold`, and what stops at the first item that decides (`all`, `any`, `take_while`,
    `drop_while`), have none.
    """
    short = primitive.short
    module, name = "batched", _NUMBERS.get(short)
    if name is None:
        module, name = "ragged", _LISTS.get(short)
    if name is None:
        return primitive
    batched = Deferred(f"metaloom_lists.{module}", name)
    soft = Deferred("metaloom_lists.soft", name) if short in _SOFT else None
    return replace(primitive, batched=batched, soft=batched if short in _CERTAIN else soft)
