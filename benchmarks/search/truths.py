"""What the list tasks of DreamCoder mean, by their names, so that programs can be judged further.

A name such as `keep-mod-k with k=3` is read as a function.  A name that is not known, or a function
that is wrong on one of the task's own examples, gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import isqrt, prod
from random import Random
from typing import Any, TypeAlias

Truth: TypeAlias = Callable[[tuple[int, ...]], Any]
Predicate: TypeAlias = Callable[[int], bool]

FURTHER = 10
"""How many longer inputs judge a program."""


def is_prime(x: int) -> bool:
    return x > 1 and all(x % d for d in range(2, isqrt(x) + 1))


def is_square(x: int) -> bool:
    return x >= 0 and isqrt(x) ** 2 == x


PREDICATES: dict[str, Callable[[int], Predicate]] = {
    "k": lambda k: lambda x: x == k, "eq-k": lambda k: lambda x: x == k,
    "gt-k": lambda k: lambda x: x > k, "geq-k": lambda k: lambda x: x >= k,
    "lt-k": lambda k: lambda x: x < k, "mod-k": lambda k: lambda x: x % k == 0,
    "is-mod-k": lambda k: lambda x: x % k == 0, "is-prime": lambda _: is_prime,
    "primes": lambda _: is_prime, "is-square": lambda _: is_square,
    "squares": lambda _: is_square, "evens": lambda _: lambda x: x % 2 == 0,
    "odds": lambda _: lambda x: x % 2 == 1,
}  # fmt: skip

PLAIN: dict[str, Truth] = {
    "identity": lambda xs: xs, "reverse": lambda xs: xs[::-1], "tail": lambda xs: xs[1:],
    "sort": lambda xs: tuple(sorted(xs)), "dup": lambda xs: xs + xs, "head": lambda xs: xs[0],
    "last": lambda xs: xs[-1], "len": len, "max": max, "min": min, "sum": sum, "product": prod,
    "has-head-in-tail": lambda xs: xs[0] in xs[1:],
    "count-head-in-tail": lambda xs: xs[1:].count(xs[0]),
    "keep-mod-head": lambda xs: tuple(x for x in xs[1:] if x % xs[0] == 0),
    "repeat-many": lambda xs: xs[1:] * xs[0],
    "evens": lambda xs: tuple(x for x in xs if x % 2 == 0),
    "odds": lambda xs: tuple(x for x in xs if x % 2 == 1),
}  # fmt: skip

WITH_NUMBERS: dict[str, Callable[..., Truth]] = {
    "add-k": lambda k: lambda xs: tuple(x + k for x in xs),
    "mult-k": lambda k: lambda xs: tuple(x * k for x in xs),
    "pow-k": lambda k: lambda xs: tuple(x**k for x in xs),
    "modulo-k": lambda k: lambda xs: tuple(x % k for x in xs),
    "caesar-cipher-k-modulo-n": lambda k, n: lambda xs: tuple((x + k) % n for x in xs),
    "append-k": lambda k: lambda xs: (*xs, k), "prepend-k": lambda k: lambda xs: (k, *xs),
    "append-index-k": lambda k: lambda xs: (*xs, xs[k - 1]),
    "prepend-index-k": lambda k: lambda xs: (xs[k - 1], *xs),
    "replace-all-with-index-k": lambda k: lambda xs: (xs[k - 1],) * len(xs),
    "remove-index-k": lambda k: lambda xs: xs[: k - 1] + xs[k:],
    "index-k": lambda k: lambda xs: xs[k - 1], "take-k": lambda k: lambda xs: xs[:k],
    "drop-k": lambda k: lambda xs: xs[k:], "repeat-k": lambda k: lambda xs: xs * k,
    "slice-k-n": lambda k, n: lambda xs: xs[k - 1 : k - 1 + n],
    "rotate-k": lambda k: lambda xs: xs[-k % len(xs) :] + xs[: -k % len(xs)],
    "kth-largest": lambda k: lambda xs: sorted(xs)[-k],
    "kth-smallest": lambda k: lambda xs: sorted(xs)[k - 1],
}  # fmt: skip

WITH_PREDICATE: dict[str, Callable[[Predicate], Truth]] = {
    "bool-identify-": lambda p: lambda xs: tuple(map(p, xs)),
    "keep-": lambda p: lambda xs: tuple(filter(p, xs)),
    "remove-": lambda p: lambda xs: tuple(x for x in xs if not p(x)),
    "count-": lambda p: lambda xs: sum(map(p, xs)),
    "has-": lambda p: lambda xs: any(map(p, xs)),
    "is-": lambda p: lambda xs: all(map(p, xs)),
}


def truth_of(name: str, examples: Sequence[tuple[Any, Any]]) -> Truth | None:
    """The function that a task's name says, if it is right on the task's examples."""
    said, _, _ = name.partition(" with ")
    numbers = [int(n) for n in re.findall(r"[kn]=(-?\d+)", name)]
    for truth in _readings(said, numbers):
        try:
            if all(truth(given) == wanted for given, wanted in examples):
                return truth
        except (IndexError, TypeError, ValueError, ZeroDivisionError):
            continue
    return None


def _readings(said: str, numbers: Sequence[int]) -> Sequence[Truth]:
    found = [PLAIN[said]] if said in PLAIN else []
    if said in WITH_NUMBERS and len(numbers) == said.count("-k") + said.count("-n") + (
        said.startswith("kth")
    ):
        found.append(WITH_NUMBERS[said](*numbers))
    for start, made in WITH_PREDICATE.items():
        predicate = PREDICATES.get(said.removeprefix(start))
        if said.startswith(start) and predicate is not None:
            found.append(made(predicate(numbers[0] if numbers else 0)))
    return found


def longer_inputs(inputs: Sequence[tuple[int, ...]], seed: int) -> list[tuple[int, ...]]:
    """Inputs twice as long as the longest of these, of items that occur in them."""
    draw = Random(seed)
    items = [item for xs in inputs for item in xs]
    length = 2 * max(map(len, inputs))
    return [tuple(draw.choices(items, k=length)) for _ in range(FURTHER)]
