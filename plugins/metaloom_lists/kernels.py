"""The compiled forms of what calls no function, over words of memory."""

from __future__ import annotations

from typing import Any, TypeAlias

from metaloom_metalearn import claim, fail, failed, length_of, packed, place_of

Word: TypeAlias = Any
"""A word in compiled code: numba, not mypy, tells its type."""

LOWEST = -(1 << 63)
HIGHEST = (1 << 63) - 1
LARGEST_PRIME = 10**12


def add(memory: Any, x: Word, y: Word) -> Word:
    if (x > 0 and y > HIGHEST - x) or (x < 0 and y < LOWEST - x):
        return fail(memory)
    return x + y


def subtract(memory: Any, x: Word, y: Word) -> Word:
    if (y > 0 and x < LOWEST + y) or (y < 0 and x > HIGHEST + y):
        return fail(memory)
    return x - y


def multiply(memory: Any, x: Word, y: Word) -> Word:
    """Told before, because the compiler may take it that no product wraps around."""
    if -(1 << 31) < x < 1 << 31 and -(1 << 31) < y < 1 << 31:
        return x * y
    if x == 0 or y == 0:
        return 0
    if x == -1 or y == -1:
        other = y if x == -1 else x
        return fail(memory) if other == LOWEST else -other
    if x > 0:
        wrong = y > HIGHEST // x or (x > 1 and y < -((HIGHEST // x) + (HIGHEST % x + 1) // x))
    elif y > 0:
        wrong = y > 1 and x < -((HIGHEST // y) + (HIGHEST % y + 1) // y)
    else:
        wrong = x == LOWEST or y == LOWEST or -x > HIGHEST // -y
    return fail(memory) if wrong else x * y


def divide(memory: Any, x: Word, y: Word) -> Word:
    if y == 0 or (x == LOWEST and y == -1):
        return fail(memory)
    return x // y


def modulo(memory: Any, x: Word, y: Word) -> Word:
    if y == 0:
        return fail(memory)
    if y == -1:
        return 0
    return x % y


def negate(memory: Any, x: Word) -> Word:
    if x == LOWEST:
        return fail(memory)
    return -x


def absolute(memory: Any, x: Word) -> Word:
    if x == LOWEST:
        return fail(memory)
    return -x if x < 0 else x


def smaller(memory: Any, x: Word, y: Word) -> Word:
    return x if x <= y else y


def larger(memory: Any, x: Word, y: Word) -> Word:
    return x if x >= y else y


def equal(memory: Any, x: Word, y: Word) -> Word:
    return 1 if x == y else 0


def less(memory: Any, x: Word, y: Word) -> Word:
    return 1 if x < y else 0


def greater(memory: Any, x: Word, y: Word) -> Word:
    return 1 if x > y else 0


def even(memory: Any, x: Word) -> Word:
    return 1 - (x & 1)


def odd(memory: Any, x: Word) -> Word:
    return x & 1


def prime(memory: Any, x: Word) -> Word:
    if x > LARGEST_PRIME:
        return fail(memory)
    if x < 4 or x % 2 == 0:
        return 1 if x == 2 or x == 3 else 0
    divisor = 3
    while divisor * divisor <= x:
        if x % divisor == 0:
            return 0
        divisor += 2
    return 1


def square(memory: Any, x: Word) -> Word:
    if x < 0:
        return 0
    root = int(x**0.5)
    while root > 3037000499 or root * root > x:
        root -= 1
    while root < 3037000499 and (root + 1) * (root + 1) <= x:
        root += 1
    return 1 if root * root == x else 0


def negation(memory: Any, p: Word) -> Word:
    return 1 - p


def pair(memory: Any, x: Word, y: Word) -> Word:
    place = claim(memory, 2)
    if failed(memory):
        return 0
    memory[place] = x
    memory[place + 1] = y
    return packed(place, 2)


def first(memory: Any, both: Word) -> Word:
    return memory[place_of(both)]


def second(memory: Any, both: Word) -> Word:
    return memory[place_of(both) + 1]


def cons(memory: Any, x: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n + 1)
    if failed(memory):
        return 0
    memory[place] = x
    for i in range(n):
        memory[place + 1 + i] = memory[at + i]
    return packed(place, n + 1)


def append(memory: Any, x: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n + 1)
    if failed(memory):
        return 0
    for i in range(n):
        memory[place + i] = memory[at + i]
    memory[place + n] = x
    return packed(place, n + 1)


def singleton(memory: Any, x: Word) -> Word:
    place = claim(memory, 1)
    if failed(memory):
        return 0
    memory[place] = x
    return packed(place, 1)


def concat(memory: Any, xs: Word, ys: Word) -> Word:
    n, m, at, other = length_of(xs), length_of(ys), place_of(xs), place_of(ys)
    place = claim(memory, n + m)
    if failed(memory):
        return 0
    for i in range(n):
        memory[place + i] = memory[at + i]
    for i in range(m):
        memory[place + n + i] = memory[other + i]
    return packed(place, n + m)


def flattened(memory: Any, xss: Word) -> Word:
    n, at = length_of(xss), place_of(xss)
    total = 0
    for i in range(n):
        total += length_of(memory[at + i])
    place = claim(memory, total)
    if failed(memory):
        return 0
    to = place
    for i in range(n):
        xs = memory[at + i]
        for j in range(length_of(xs)):
            memory[to] = memory[place_of(xs) + j]
            to += 1
    return packed(place, total)


def counted(memory: Any, n: Word) -> Word:
    if n < 0:
        n = 0
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        memory[place + i] = i
    return packed(place, n)


def repeated(memory: Any, n: Word, x: Word) -> Word:
    if n < 0:
        n = 0
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        memory[place + i] = x
    return packed(place, n)


def is_empty(memory: Any, xs: Word) -> Word:
    return 1 if length_of(xs) == 0 else 0


def length(memory: Any, xs: Word) -> Word:
    return length_of(xs)


def head(memory: Any, xs: Word) -> Word:
    if length_of(xs) == 0:
        return fail(memory)
    return memory[place_of(xs)]


def last(memory: Any, xs: Word) -> Word:
    if length_of(xs) == 0:
        return fail(memory)
    return memory[place_of(xs) + length_of(xs) - 1]


def tail(memory: Any, xs: Word) -> Word:
    if length_of(xs) == 0:
        return xs
    return packed(place_of(xs) + 1, length_of(xs) - 1)


def init(memory: Any, xs: Word) -> Word:
    if length_of(xs) == 0:
        return xs
    return packed(place_of(xs), length_of(xs) - 1)


def index(memory: Any, i: Word, xs: Word) -> Word:
    n = length_of(xs)
    if i < 0:
        i += n
    if i < 0 or i >= n:
        return fail(memory)
    return memory[place_of(xs) + i]


def taken(memory: Any, n: Word, xs: Word) -> Word:
    size = length_of(xs)
    if n < 0:
        n = max(0, n + size)
    return packed(place_of(xs), min(n, size))


def dropped(memory: Any, n: Word, xs: Word) -> Word:
    size = length_of(xs)
    if n < 0:
        n = max(0, n + size)
    n = min(n, size)
    return packed(place_of(xs) + n, size - n)


def sliced(memory: Any, i: Word, j: Word, xs: Word) -> Word:
    size = length_of(xs)
    if i < 0:
        i = max(0, i + size)
    if j < 0:
        j = max(0, j + size)
    i, j = min(i, size), min(j, size)
    return packed(place_of(xs) + i, max(0, j - i))


def reverse(memory: Any, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        memory[place + i] = memory[at + n - 1 - i]
    return packed(place, n)


def ordered(memory: Any, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        x, j = memory[at + i], i
        while j > 0 and memory[place + j - 1] > x:
            memory[place + j] = memory[place + j - 1]
            j -= 1
        memory[place + j] = x
    return packed(place, n)


def unique(memory: Any, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory):
        return 0
    count = 0
    for i in range(n):
        x = memory[at + i]
        known = False
        for j in range(count):
            if memory[place + j] == x:
                known = True
                break
        if not known:
            memory[place + count] = x
            count += 1
    return packed(place, count)


def contains(memory: Any, x: Word, xs: Word) -> Word:
    for i in range(length_of(xs)):
        if memory[place_of(xs) + i] == x:
            return 1
    return 0


def total(memory: Any, xs: Word) -> Word:
    """The halves of 32 bits are summed apart, so that only the whole sum may overflow."""
    low, high = 0, 0
    for i in range(length_of(xs)):
        x = memory[place_of(xs) + i]
        low += x & 0xFFFFFFFF
        high += x >> 32
    high += low >> 32
    if high < -(1 << 31) or high >= 1 << 31:
        return fail(memory)
    return (high << 32) | (low & 0xFFFFFFFF)


def minimum(memory: Any, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    if n == 0:
        return fail(memory)
    found = memory[at]
    for i in range(1, n):
        found = min(found, memory[at + i])
    return found


def maximum(memory: Any, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    if n == 0:
        return fail(memory)
    found = memory[at]
    for i in range(1, n):
        found = max(found, memory[at + i])
    return found


def zipped(memory: Any, xs: Word, ys: Word) -> Word:
    n = min(length_of(xs), length_of(ys))
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        two = claim(memory, 2)
        if failed(memory):
            return 0
        memory[two] = memory[place_of(xs) + i]
        memory[two + 1] = memory[place_of(ys) + i]
        memory[place + i] = packed(two, 2)
    return packed(place, n)
