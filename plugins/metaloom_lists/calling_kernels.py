"""The compiled forms of what calls a function for each item; numba is imported with them."""

from __future__ import annotations

from typing import Any

from numba import njit

from metaloom_lists.kernels import Word
from metaloom_metalearn import call_one, call_two, claim, failed, length_of, packed, place_of


def mapped(memory: Any, f: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        memory[place + i] = call_one(memory, f, memory[at + i])
        if failed(memory):
            return 0
    return packed(place, n)


def mapped_indexed(memory: Any, f: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        memory[place + i] = call_two(memory, f, i, memory[at + i])
        if failed(memory):
            return 0
    return packed(place, n)


def filtered(memory: Any, p: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory):
        return 0
    count = 0
    for i in range(n):
        kept = call_one(memory, p, memory[at + i])
        if failed(memory):
            return 0
        if kept:
            memory[place + count] = memory[at + i]
            count += 1
    return packed(place, count)


def filtered_indexed(memory: Any, p: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory):
        return 0
    count = 0
    for i in range(n):
        kept = call_two(memory, p, i, memory[at + i])
        if failed(memory):
            return 0
        if kept:
            memory[place + count] = memory[at + i]
            count += 1
    return packed(place, count)


def number(memory: Any, p: Word, xs: Word) -> Word:
    count = 0
    for i in range(length_of(xs)):
        count += call_one(memory, p, memory[place_of(xs) + i])
        if failed(memory):
            return 0
    return count


def zipped_with(memory: Any, f: Word, xs: Word, ys: Word) -> Word:
    n = min(length_of(xs), length_of(ys))
    place = claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        x, y = memory[place_of(xs) + i], memory[place_of(ys) + i]
        memory[place + i] = call_two(memory, f, x, y)
        if failed(memory):
            return 0
    return packed(place, n)


def ordered_by(memory: Any, f: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place, keys = claim(memory, n), claim(memory, n)
    if failed(memory):
        return 0
    for i in range(n):
        x = memory[at + i]
        key, j = call_one(memory, f, x), i
        if failed(memory):
            return 0
        while j > 0 and memory[keys + j - 1] > key:
            memory[place + j] = memory[place + j - 1]
            memory[keys + j] = memory[keys + j - 1]
            j -= 1
        memory[place + j] = x
        memory[keys + j] = key
    return packed(place, n)


def fold(memory: Any, f: Word, initial: Word, xs: Word) -> Word:
    total = initial
    for i in range(length_of(xs)):
        total = call_two(memory, f, total, memory[place_of(xs) + i])
        if failed(memory):
            return 0
    return total


def scan(memory: Any, f: Word, xs: Word) -> Word:
    n, at = length_of(xs), place_of(xs)
    place = claim(memory, n)
    if failed(memory) or n == 0:
        return packed(place, 0)
    memory[place] = memory[at]
    for i in range(1, n):
        memory[place + i] = call_two(memory, f, memory[place + i - 1], memory[at + i])
        if failed(memory):
            return 0
    return packed(place, n)


def unfold(memory: Any, stop: Word, emit: Word, step: Word, seed: Word) -> Word:
    place, room, n = claim(memory, 8), 8, 0
    while True:
        stops = call_one(memory, stop, seed)
        if failed(memory):
            return 0
        if stops:
            return packed(place, n)
        if n == room:
            wider = claim(memory, 2 * room)
            if failed(memory):
                return 0
            for i in range(n):
                memory[wider + i] = memory[place + i]
            place, room = wider, 2 * room
        memory[place + n] = call_one(memory, emit, seed)
        n += 1
        seed = call_one(memory, step, seed)
        if failed(memory):
            return 0


def every(memory: Any, p: Word, xs: Word) -> Word:
    for i in range(length_of(xs)):
        holds = call_one(memory, p, memory[place_of(xs) + i])
        if failed(memory) or not holds:
            return 0
    return 1


def some(memory: Any, p: Word, xs: Word) -> Word:
    for i in range(length_of(xs)):
        holds = call_one(memory, p, memory[place_of(xs) + i])
        if failed(memory):
            return 0
        if holds:
            return 1
    return 0


@njit(cache=True)
def _holding(memory: Any, p: Word, xs: Word) -> Word:
    for i in range(length_of(xs)):
        holds = call_one(memory, p, memory[place_of(xs) + i])
        if failed(memory) or not holds:
            return i
    return length_of(xs)


def taken_while(memory: Any, p: Word, xs: Word) -> Word:
    return packed(place_of(xs), _holding(memory, p, xs))


def dropped_while(memory: Any, p: Word, xs: Word) -> Word:
    n = _holding(memory, p, xs)
    return packed(place_of(xs) + n, length_of(xs) - n)
