"""Which primitives have a batched, a soft and a compiled form.

torch is imported when one of the former is called, numba when one of the latter is compiled.
"""

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

_KERNELS = _NUMBERS | _LISTS | {
    "unfold": "unfold", "all": "every", "any": "some", "take_while": "taken_while",
    "drop_while": "dropped_while",
}  # fmt: skip
_CALLING = frozenset({
    "map", "map_indexed", "filter", "filter_indexed", "count", "zip_with", "sort_by", "fold",
    "scan", "unfold", "all", "any", "take_while", "drop_while",
})  # fmt: skip
_CHOICES = ("if", "and", "or")

_CERTAIN = frozenset({"is_empty", "length"})
"""Lists are as long as they are: these give certain values in soft mode too."""


def with_forms(primitive: Primitive) -> Primitive:
    """The primitive with the forms that it has.

    `unfold`, and what stops at the first item that decides (`all`, `any`, `take_while`,
    `drop_while`), have no batched form.
    """
    short = primitive.short
    if short in _KERNELS and primitive.parameters and short not in _CHOICES:
        kernels = "calling_kernels" if short in _CALLING else "kernels"
        kernel = Deferred(f"metaloom_lists.{kernels}", _KERNELS[short])
        primitive = replace(primitive, kernel=kernel)
    module, name = "batched", _NUMBERS.get(short)
    if name is None:
        module, name = "ragged", _LISTS.get(short)
    if name is None:
        return primitive
    batched = Deferred(f"metaloom_lists.{module}", name)
    soft = Deferred("metaloom_lists.soft", name) if short in _SOFT else None
    return replace(primitive, batched=batched, soft=batched if short in _CERTAIN else soft)
