"""The values of terms as words: hashed, compared, measured, and moved into what is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from metaloom_metalearn.search.enumeration.kernel.memory import (
    END,
    Word,
    length_of,
    packed,
    place_of,
)
from metaloom_metalearn.search.enumeration.kernel.shapes import LIST, SCALAR
from metaloom_metalearn.search.enumeration.kernel.state import TOP


@njit(cache=True)
def hashed_items(memory: Any, word: Word) -> Word:
    """The hash of a list of words without places."""
    place, length = place_of(word), length_of(word)
    total = np.int64(length) + 0x51ED27
    for i in range(length):
        total = (total ^ memory[place + i]) * 0x100000001B3
        total ^= total >> 29
    return total


@njit(cache=True)
def hashed(memory: Any, word: Word, shape: Word, shapes: Any) -> Word:
    kind = shapes[shape, 0]
    if kind == SCALAR:
        return word
    place, length = place_of(word), length_of(word)
    total = np.int64(length) + 0x51ED27
    if kind == LIST:
        item = shapes[shape, 1]
        if shapes[item, 0] == SCALAR:
            return hashed_items(memory, word)
        for i in range(length):
            total = (total ^ hashed(memory, memory[place + i], item, shapes)) * 0x100000001B3
            total ^= total >> 29
        return total
    for i in range(2):
        total = (total ^ hashed(memory, memory[place + i], shapes[shape, 1 + i], shapes)) * (
            0x100000001B3
        )
        total ^= total >> 29
    return total


@njit(cache=True)
def equal(memory: Any, one: Word, other: Word, shape: Word, shapes: Any) -> bool:
    if one == other:
        return True
    kind = shapes[shape, 0]
    if kind == SCALAR:
        return False
    length = length_of(one)
    if length != length_of(other):
        return False
    here, there = place_of(one), place_of(other)
    if kind == LIST:
        item = shapes[shape, 1]
        if shapes[item, 0] == SCALAR:
            i = 0
            while i < length and memory[here + i] == memory[there + i]:
                i += 1
            return bool(i == length)
        for i in range(length):
            if not equal(memory, memory[here + i], memory[there + i], item, shapes):
                return False
        return True
    for i in range(2):
        if not equal(memory, memory[here + i], memory[there + i], shapes[shape, 1 + i], shapes):
            return False
    return True


@njit(cache=True)
def places_of(memory: Any, word: Word, shape: Word, shapes: Any) -> Word:
    """How many places a word's items need that are not kept yet."""
    kind = shapes[shape, 0]
    if kind == SCALAR:
        return 0
    place, length = place_of(word), length_of(word)
    if place >= memory[END]:
        return 0
    total = length
    if kind == LIST:
        item = shapes[shape, 1]
        if shapes[item, 0] != SCALAR:
            for i in range(length):
                total += places_of(memory, memory[place + i], item, shapes)
        return total
    for i in range(2):
        total += places_of(memory, memory[place + i], shapes[shape, 1 + i], shapes)
    return total


@njit(cache=True)
def moved(memory: Any, word: Word, shape: Word, shapes: Any, state: Any) -> Word:
    """The same value with its items in what is kept, where they may stand already."""
    kind = shapes[shape, 0]
    if kind == SCALAR:
        return word
    place, length = place_of(word), length_of(word)
    if place >= memory[END]:
        return word
    to = state[TOP]
    state[TOP] += length
    for i in range(length):
        part = shapes[shape, 1] if kind == LIST else shapes[shape, 1 + i]
        memory[to + i] = moved(memory, memory[place + i], part, shapes, state)
    return packed(to, length)
