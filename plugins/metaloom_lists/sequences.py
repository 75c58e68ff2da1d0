"""Making lists, looking into them and rearranging them; a list is a Python tuple."""

from __future__ import annotations

from typing import Any, TypeAlias

from metaloom_lists.numbers import int64
from metaloom_registry import EvaluationError, Primitive

MAX_ITEMS = 100_000

Items: TypeAlias = tuple[Any, ...]


def bounded(count: int) -> int:
    """The count itself. Raises EvaluationError where no list may be that long."""
    if count > MAX_ITEMS:
        raise EvaluationError(f"a list of {count} items is longer than the {MAX_ITEMS} allowed")
    return count


def head(xs: Items) -> Any:
    if not xs:
        raise EvaluationError("an empty list has no head")
    return xs[0]


def last(xs: Items) -> Any:
    if not xs:
        raise EvaluationError("an empty list has no last item")
    return xs[-1]


def index(i: int, xs: Items) -> Any:
    try:
        return xs[i]
    except IndexError:
        raise EvaluationError(f"a list of {len(xs)} items has none at {i}") from None


def minimum(xs: tuple[int, ...]) -> int:
    if not xs:
        raise EvaluationError("an empty list has no minimum")
    return min(xs)


def maximum(xs: tuple[int, ...]) -> int:
    if not xs:
        raise EvaluationError("an empty list has no maximum")
    return max(xs)


def repeat(n: int, x: Any) -> Items:
    return (x,) * bounded(n)


def flatten(xss: tuple[Items, ...]) -> Items:
    bounded(sum(map(len, xss)))
    return tuple(x for xs in xss for x in xs)


SEQUENCES = (
    Primitive(
        "lists/empty", 1, "list[a]", "The list without items.", (), lambda: (),
        source="[]", examples=(("empty", ()), ("(length empty)", 0)), tags=("dreamcoder",),
    ),
    Primitive(
        "lists/cons", 1, "a -> list[a] -> list[a]", "The list with one more item in front.",
        ("x", "xs"), lambda x, xs: (x, *xs),
        source="[x, *xs]", examples=(("(cons 1 empty)", (1,)), ("(cons 2 (range 2))", (2, 0, 1))),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/append", 1, "a -> list[a] -> list[a]", "The list with one more item at its end.",
        ("x", "xs"), lambda x, xs: (*xs, x),
        source="[*xs, x]",
        examples=(("(append 1 empty)", (1,)), ("(append 9 (range 2))", (0, 1, 9))),
    ),
    Primitive(
        "lists/singleton", 1, "a -> list[a]", "The list of one item.", ("x",), lambda x: (x,),
        source="[x]", examples=(("(singleton 3)", (3,)), ("(singleton true)", (True,))),
    ),
    Primitive(
        "lists/concat", 1, "list[a] -> list[a] -> list[a]", "One list and then the other.",
        ("xs", "ys"), lambda xs, ys: xs + ys,
        source="xs + ys",
        examples=(("(concat (range 2) (range 1))", (0, 1, 0)), ("(concat empty (range 1))", (0,))),
    ),
    Primitive(
        "lists/flatten", 1, "list[list[a]] -> list[a]", "The items of all the lists, in order.",
        ("xss",), flatten,
        source="[x for xs in xss for x in xs]",
        examples=(
            ("(flatten (map range (range 4)))", (0, 0, 1, 0, 1, 2)),
            ("(flatten (singleton (range 2)))", (0, 1)),
        ),
    ),
    Primitive(
        "lists/range", 1, "int -> list[int]", "The integers from 0 up to one less than n.",
        ("n",), lambda n: tuple(range(bounded(n))),
        source="list(range(n))", examples=(("(range 3)", (0, 1, 2)), ("(range -1)", ())),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/repeat", 1, "int -> a -> list[a]", "The item n times.", ("n", "x"), repeat,
        source="[x] * n", examples=(("(repeat 3 7)", (7, 7, 7)), ("(repeat -1 7)", ())),
    ),
    Primitive(
        "lists/is_empty", 1, "list[a] -> bool", "Whether the list has no items.",
        ("xs",), lambda xs: not xs,
        source="not xs", examples=(("(is_empty empty)", True), ("(is_empty (range 2))", False)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/length", 1, "list[a] -> int", "How many items the list has.", ("xs",), len,
        source="len(xs)", examples=(("(length (range 3))", 3), ("(length empty)", 0)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/head", 1, "list[a] -> a", "The first item; none of an empty list.", ("xs",), head,
        source="xs[0]", examples=(("(head (range 3))", 0), ("(head (singleton 5))", 5)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/last", 1, "list[a] -> a", "The last item; none of an empty list.", ("xs",), last,
        source="xs[-1]", examples=(("(last (range 3))", 2), ("(last (singleton 5))", 5)),
    ),
    Primitive(
        "lists/tail", 1, "list[a] -> list[a]", "The list without its first item.",
        ("xs",), lambda xs: xs[1:],
        source="xs[1:]", examples=(("(tail (range 3))", (1, 2)), ("(tail empty)", ())),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/init", 1, "list[a] -> list[a]", "The list without its last item.",
        ("xs",), lambda xs: xs[:-1],
        source="xs[:-1]", examples=(("(init (range 3))", (0, 1)), ("(init empty)", ())),
    ),
    Primitive(
        "lists/index", 1, "int -> list[a] -> a",
        "The item at place i, counted from 0; below 0, from the end.", ("i", "xs"), index,
        source="xs[i]", examples=(("(index 1 (range 3))", 1), ("(index -1 (range 3))", 2)),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/take", 1, "int -> list[a] -> list[a]",
        "The first n items; below 0, all but the last -n.",
        ("n", "xs"), lambda n, xs: xs[:n],
        source="xs[:n]", examples=(("(take 2 (range 4))", (0, 1)), ("(take -1 (range 3))", (0, 1))),
    ),
    Primitive(
        "lists/drop", 1, "int -> list[a] -> list[a]",
        "All but the first n items; below 0, the last -n.",
        ("n", "xs"), lambda n, xs: xs[n:],
        source="xs[n:]", examples=(("(drop 2 (range 4))", (2, 3)), ("(drop -1 (range 3))", (2,))),
    ),
    Primitive(
        "lists/slice", 1, "int -> int -> list[a] -> list[a]",
        "The items from place i up to before place j, as Python slices.",
        ("i", "j", "xs"), lambda i, j, xs: xs[i:j],
        source="xs[i:j]",
        examples=(("(slice 1 3 (range 5))", (1, 2)), ("(slice 1 -1 (range 4))", (1, 2))),
    ),
    Primitive(
        "lists/reverse", 1, "list[a] -> list[a]", "The items in the opposite order.",
        ("xs",), lambda xs: xs[::-1],
        source="xs[::-1]", examples=(("(reverse (range 3))", (2, 1, 0)), ("(reverse empty)", ())),
    ),
    Primitive(
        "lists/sort", 1, "list[int] -> list[int]", "The integers, the least first.",
        ("xs",), lambda xs: tuple(sorted(xs)),
        source="sorted(xs)",
        examples=(("(sort (reverse (range 3)))", (0, 1, 2)), ("(sort empty)", ())),
    ),
    Primitive(
        "lists/unique", 1, "list[int] -> list[int]", "Each integer once, where it first stands.",
        ("xs",), lambda xs: tuple(dict.fromkeys(xs)),
        source="list(dict.fromkeys(xs))",
        examples=(("(unique (cons 1 (range 3)))", (1, 0, 2)), ("(unique (repeat 3 4))", (4,))),
    ),
    Primitive(
        "lists/contains", 1, "int -> list[int] -> bool", "Whether the integer is in the list.",
        ("x", "xs"), lambda x, xs: x in xs,
        source="x in xs",
        examples=(("(contains 2 (range 3))", True), ("(contains 3 (range 3))", False)),
    ),
    Primitive(
        "lists/sum", 1, "list[int] -> int", "The sum of the integers.",
        ("xs",), lambda xs: int64(sum(xs)),
        source="sum(xs)", examples=(("(sum (range 4))", 6), ("(sum empty)", 0)),
    ),
    Primitive(
        "lists/minimum", 1, "list[int] -> int", "The least of the integers; none of none.",
        ("xs",), minimum,
        source="min(xs)", examples=(("(minimum (range 3))", 0), ("(minimum (singleton 4))", 4)),
    ),
    Primitive(
        "lists/maximum", 1, "list[int] -> int", "The greatest of the integers; none of none.",
        ("xs",), maximum,
        source="max(xs)", examples=(("(maximum (range 3))", 2), ("(maximum (singleton 4))", 4)),
    ),
    Primitive(
        "lists/zip", 1, "list[a] -> list[b] -> list[(a, b)]",
        "The items of two lists in pairs, as many as the shorter list has.",
        ("xs", "ys"), lambda xs, ys: tuple(zip(xs, ys, strict=False)),
        source="list(zip(xs, ys))",
        examples=(
            ("(zip (range 2) (reverse (range 3)))", ((0, 2), (1, 1))),
            ("(length (zip (range 2) (range 5)))", 2),
        ),
    ),
)  # fmt: skip
"""The primitives on lists that take no function."""
