"""Functions over lists that take functions: map, filter, fold and their kin."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, dropwhile, takewhile
from typing import Any

from metaloom_lists.sequences import MAX_ITEMS, Items
from metaloom_registry import EvaluationError, Primitive


def fold(f: Callable[[Any], Callable[[Any], Any]], initial: Any, xs: Items) -> Any:
    total = initial
    for x in xs:
        total = f(total)(x)
    return total


def unfold(
    stop: Callable[[Any], bool],
    emit: Callable[[Any], Any],
    step: Callable[[Any], Any],
    seed: Any,
) -> Items:
    items: list[Any] = []
    while not stop(seed):
        if len(items) >= MAX_ITEMS:
            raise EvaluationError(f"an unfolded list is longer than the {MAX_ITEMS} items allowed")
        items.append(emit(seed))
        seed = step(seed)
    return tuple(items)


FUNCTIONS = (
    Primitive(
        "lists/map", 1, "(a -> b) -> list[a] -> list[b]", "The function's value on each item.",
        ("f", "xs"), lambda f, xs: tuple([f(x) for x in xs]),
        source="[f(x) for x in xs]",
        examples=(
            ("(map (lam (multiply 2 $0)) (range 3))", (0, 2, 4)),
            ("(map (add 1) (range 3))", (1, 2, 3)),
            ("(map is_even (range 2))", (True, False)),
        ),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/filter", 1, "(a -> bool) -> list[a] -> list[a]", "The items of which it is true.",
        ("p", "xs"), lambda p, xs: tuple([x for x in xs if p(x)]),
        source="[x for x in xs if p(x)]",
        examples=(
            ("(filter is_even (range 5))", (0, 2, 4)),
            ("(filter (lam (greater $0 2)) (range 5))", (3, 4)),
        ),
    ),
    Primitive(
        "lists/fold", 1, "(b -> a -> b) -> b -> list[a] -> b",
        "What is left of the list when each item in turn is taken into the total.",
        ("f", "initial", "xs"), fold,
        source="reduce(lambda total, x: f(total)(x), xs, initial)",
        imports=("from functools import reduce",),
        examples=(
            ("(fold add 0 (range 5))", 10),
            ("(fold (lam (lam (subtract $0 $1))) 0 (range 4))", 2),
            ("(fold (lam (lam (cons $0 $1))) empty (range 3))", (2, 1, 0)),
        ),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/unfold", 1, "(a -> bool) -> (a -> b) -> (a -> a) -> a -> list[b]",
        "A list made from a seed: an item for each state, until the state says to stop.",
        ("stop", "emit", "step", "seed"), unfold,
        source=(
            "[emit(s) for s in takewhile(lambda s: not stop(s), "
            "accumulate(repeat(None), lambda s, _: step(s), initial=seed))]"
        ),
        imports=("from itertools import accumulate, repeat, takewhile",),
        examples=(
            ("(unfold (equal 0) (multiply 2) (add -1) 3)", (6, 4, 2)),
            ("(unfold (lam (greater $0 50)) (lam $0) (multiply 2) 9)", (9, 18, 36)),
        ),
        tags=("dreamcoder",),
    ),
    Primitive(
        "lists/scan", 1, "(a -> a -> a) -> list[a] -> list[a]",
        "The totals after each item, the first being the first item.",
        ("f", "xs"), lambda f, xs: tuple(accumulate(xs, lambda total, x: f(total)(x))),
        source="list(accumulate(xs, lambda total, x: f(total)(x)))",
        imports=("from itertools import accumulate",),
        examples=(
            ("(scan add (range 5))", (0, 1, 3, 6, 10)),
            ("(scan max (cons 2 (range 4)))", (2, 2, 2, 2, 3)),
        ),
    ),
    Primitive(
        "lists/map_indexed", 1, "(int -> a -> b) -> list[a] -> list[b]",
        "The function's value on the place of each item, counted from 0, and the item.",
        ("f", "xs"), lambda f, xs: tuple([f(i)(x) for i, x in enumerate(xs)]),
        source="[f(i)(x) for i, x in enumerate(xs)]",
        examples=(
            ("(map_indexed multiply (repeat 4 5))", (0, 5, 10, 15)),
            ("(map_indexed (lam (lam (if (is_even $1) $0 0))) (repeat 3 7))", (7, 0, 7)),
        ),
    ),
    Primitive(
        "lists/filter_indexed", 1, "(int -> a -> bool) -> list[a] -> list[a]",
        "The items of which it is true, given their place, counted from 0, and themselves.",
        ("p", "xs"), lambda p, xs: tuple([x for i, x in enumerate(xs) if p(i)(x)]),
        source="[x for i, x in enumerate(xs) if p(i)(x)]",
        examples=(
            ("(filter_indexed (lam (lam (is_even $1))) (reverse (range 5)))", (4, 2, 0)),
            ("(filter_indexed equal (cons 0 (repeat 3 2)))", (0, 2)),
        ),
    ),
    Primitive(
        "lists/zip_with", 1, "(a -> b -> c) -> list[a] -> list[b] -> list[c]",
        "The function's value on the items of two lists in turn, as many as the shorter has.",
        ("f", "xs", "ys"),
        lambda f, xs, ys: tuple([f(x)(y) for x, y in zip(xs, ys, strict=False)]),
        source="[f(x)(y) for x, y in zip(xs, ys)]",
        examples=(
            ("(zip_with add (range 3) (range 5))", (0, 2, 4)),
            ("(zip_with (lam (lam $1)) (range 2) (range 2))", (0, 1)),
        ),
    ),
    Primitive(
        "lists/sort_by", 1, "(a -> int) -> list[a] -> list[a]",
        "The items by what the function gives of them, the least first, equal ones as they stand.",
        ("f", "xs"), lambda f, xs: tuple(sorted(xs, key=f)),
        source="sorted(xs, key=lambda x: f(x))",
        examples=(
            ("(sort_by negate (range 3))", (2, 1, 0)),
            ("(sort_by (lam (modulo $0 2)) (range 5))", (0, 2, 4, 1, 3)),
        ),
    ),
    Primitive(
        "lists/take_while", 1, "(a -> bool) -> list[a] -> list[a]",
        "The items before the first of which it is false.",
        ("p", "xs"), lambda p, xs: tuple(takewhile(p, xs)),
        source="list(takewhile(lambda x: p(x), xs))", imports=("from itertools import takewhile",),
        examples=(
            ("(take_while (lam (less $0 2)) (range 5))", (0, 1)),
            ("(take_while is_odd (range 5))", ()),
        ),
    ),
    Primitive(
        "lists/drop_while", 1, "(a -> bool) -> list[a] -> list[a]",
        "The items from the first of which it is false.",
        ("p", "xs"), lambda p, xs: tuple(dropwhile(p, xs)),
        source="list(dropwhile(lambda x: p(x), xs))", imports=("from itertools import dropwhile",),
        examples=(
            ("(drop_while (lam (less $0 2)) (range 5))", (2, 3, 4)),
            ("(drop_while is_odd (range 2))", (0, 1)),
        ),
    ),
    Primitive(
        "lists/count", 1, "(a -> bool) -> list[a] -> int", "Of how many items it is true.",
        ("p", "xs"), lambda p, xs: sum([1 for x in xs if p(x)]),
        source="sum(1 for x in xs if p(x))",
        examples=(("(count is_even (range 5))", 3), ("(count (equal 7) (range 5))", 0)),
    ),
    Primitive(
        "lists/all", 1, "(a -> bool) -> list[a] -> bool", "Whether it is true of every item.",
        ("p", "xs"), lambda p, xs: all(map(p, xs)),
        source="all(p(x) for x in xs)",
        examples=(("(all is_even (range 3))", False), ("(all is_even empty)", True)),
    ),
    Primitive(
        "lists/any", 1, "(a -> bool) -> list[a] -> bool", "Whether it is true of some item.",
        ("p", "xs"), lambda p, xs: any(map(p, xs)),
        source="any(p(x) for x in xs)",
        examples=(("(any is_odd (range 3))", True), ("(any is_odd empty)", False)),
    ),
)  # fmt: skip
"""The primitives on lists that take a function."""
