"""The inner loops: all combinations of some arguments applied, compared, and kept where new.

`make` and `scan` do for many terms what `Bank._apply` and `frontier` do for one, in the same order.
What they read and write is laid out in `store`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from metaloom_metalearn.search.enumeration.kernel.machine import (
    ARGUMENTS,
    CHOICE,
    FIRST,
    HEAD,
    PROGRAM,
    SECOND,
    THIRD,
    WIDTH,
    invoke,
    run,
)
from metaloom_metalearn.search.enumeration.kernel.memory import (
    FAILURE,
    FINE,
    FREE,
    HEADER,
    STATUS,
    TABLE,
    TOO_LONG,
    Word,
    length_of,
    pointer_to,
)
from metaloom_metalearn.search.enumeration.kernel.shapes import LIST, SCALAR
from metaloom_metalearn.search.enumeration.kernel.state import (
    CHOSEN,
    COUNT,
    DISTINCT,
    EMITTED,
    FAILED,
    GENERATED,
    LEFT,
    NODES,
    OVERSIZED,
    POSITION,
    TOP,
)
from metaloom_metalearn.search.enumeration.kernel.values import (
    equal,
    hashed,
    hashed_items,
    moved,
    places_of,
)

BITS = 63
"""How many rows a word of the mask of failures covers."""

NUMBER, KIND, ARITY, ADDRESS, METERED, IF_FALSE, IF_TRUE = range(7)
"""The columns of heads: of a production its number, the kind of its nodes, and what that needs."""

IS_FUNCTION, STRIDE, WORDS, CHOICES, COUNTED, NODE_NUMBERS = range(6)
"""The columns of slots: whether a function stands there; of the store of the other terms the bytes
of a row and the address; the address of the choices and how many; the address of their nodes."""

HEAD_WIDTH, SLOT_WIDTH, BYTES = 7, 6, 8
"""How many columns these have, and how many bytes a word."""

DONE, MORE, MEMORY, CELLS = range(4)
"""Why a loop returns: all is done; it did what it was asked; there is too little memory; `Bounds`
permits no more cells."""


@njit(cache=True)
def value_on(
    memory: Any, row: Word, masks: Word, head: Any, slots: Any, arguments: Any, environment: Word
) -> Word:
    """One term on one row; the status says whether there is a value."""
    arity = head[ARITY]
    choice = head[KIND] == CHOICE
    a = b = c = d = np.int64(0)
    column, bit = row // BITS, np.int64(1) << (row % BITS)
    memory[STATUS] = FINE
    taken = 0
    for k in range(arity):
        if choice and k > 0 and k != taken:
            continue
        at = k * SLOT_WIDTH
        if slots[at + IS_FUNCTION]:
            word = memory[FREE]
            memory[FREE] += 4
            table = pointer_to(memory[TABLE])
            node = arguments[k] * WIDTH
            memory[word] = table[node + ARGUMENTS]
            memory[word + 1] = table[node + FIRST]
            memory[word + 2] = environment
            memory[word + 3] = table[node + THIRD]
        else:
            stored = pointer_to(slots[at + WORDS] + arguments[k] * slots[at + STRIDE])
            if stored[column] & bit:
                memory[STATUS] = FAILURE
                return 0
            word = stored[masks + row]
        if choice:
            if k > 0:
                return word
            taken = head[IF_TRUE] if word else head[IF_FALSE]
            if taken == 0:
                return word
        if k == 0:
            a = word
        elif k == 1:
            b = word
        elif k == 2:
            c = word
        else:
            d = word
    if head[KIND] == PROGRAM:
        return run(memory, head[ADDRESS], a, b, c, d)
    return invoke(memory, head[ADDRESS], arity, head[METERED], a, b, c, d)


@njit(cache=True)
def chosen(slots: Any, arity: Word, lead: Word, last: Word, arguments: Any) -> None:
    """The arguments of a combination: `lead` counts those of all slots but the last."""
    for k in range(arity - 2, -1, -1):
        count = slots[k * SLOT_WIDTH + COUNTED]
        arguments[k] = pointer_to(slots[k * SLOT_WIDTH + CHOICES])[lead % count]
        lead //= count
    arguments[arity - 1] = pointer_to(slots[(arity - 1) * SLOT_WIDTH + CHOICES])[last]


@njit(cache=True)
def node_of(slots: Any, k: Word, argument: Word) -> Word:
    """The node of an argument: a function is known by its node, a value by its place in a store."""
    at = k * SLOT_WIDTH
    return argument if slots[at + IS_FUNCTION] else pointer_to(slots[at + NODE_NUMBERS])[argument]


@njit(cache=True)
def cost_of(slots: Any, arity: Word, arguments: Any, cost: float, costs: Any) -> float:
    for k in range(arity):
        cost += costs[node_of(slots, k, arguments[k])]
    return cost


@njit(cache=True)
def find(
    memory: Any, shapes: Any, shape: Word, words: Any, hashes: Any, index: Any,
    count: Word, total: Word, masks: Word, rows: Word,
) -> Word:  # fmt: skip
    """Where in the index the term that stands behind the last one belongs; -1 if it is known."""
    room, is_held = len(index) - 1, shapes[shape, 0] != SCALAR
    place = total & room
    while index[place]:
        other = index[place] - 1
        if hashes[other] == total:
            same = True
            for column in range(masks):
                same = same and words[other, column] == words[count, column]
            for row in range(rows):
                if not same:
                    break
                known, word = words[other, masks + row], words[count, masks + row]
                same = known == word or (is_held and equal(memory, known, word, shape, shapes))
            if same:
                return -1
        place = (place + 1) & room
    return place


@njit(cache=True)
def make(
    array: Any, shapes: Any, shape: Word, heads: Any, head_costs: Any, many: Any,
    environments: Any, items: Word, table: Any, costs: Any, uses: Any,
    words: Any, nodes: Any, hashes: Any, index: Any, state: Any, limit: Word,
) -> Word:  # fmt: skip
    """Apply every head to every combination of the choices; keep the terms of new values.

    `many` has the slots of several choices, one after the other; a position counts through them.
    """
    memory = pointer_to(array.ctypes.data)
    rows = len(environments)
    masks = (rows + BITS - 1) // BITS
    arity = heads[0, ARITY]
    arguments = pointer_to(state.ctypes.data + CHOSEN * BYTES)
    places = pointer_to(environments.ctypes.data)
    is_list = shapes[shape, 0] != SCALAR
    bounded = shapes[shape, 0] == LIST
    flat = bounded and shapes[shapes[shape, 1], 0] == SCALAR
    width = words.shape[1]
    start, end, offset = state[POSITION], state[POSITION] + limit, 0
    for which in range(len(many)):
        slots = pointer_to(many.ctypes.data + which * arity * SLOT_WIDTH * BYTES)
        last_count = slots[(arity - 1) * SLOT_WIDTH + COUNTED]
        total = len(heads) * last_count
        for k in range(arity - 1):
            total *= slots[k * SLOT_WIDTH + COUNTED]
        for position in range(max(0, start - offset), min(total, end - offset)):
            lead, rest = divmod(position, len(heads) * last_count)
            p, last = divmod(rest, last_count)
            chosen(slots, arity, lead, last, arguments)
            head = pointer_to(heads.ctypes.data + p * HEAD_WIDTH * BYTES)
            memory[FREE] = HEADER
            state[GENERATED] += 1
            count = state[COUNT]
            for column in range(masks):
                words[count, column] = 0
            failures, longest, oversized = 0, 0, False
            total_hash = np.int64(7)
            kept = pointer_to(words.ctypes.data + count * width * BYTES)
            for row in range(rows):
                word = value_on(memory, row, masks, head, slots, arguments, places[row])
                if memory[STATUS] != FINE:
                    oversized = oversized or memory[STATUS] == TOO_LONG
                    words[count, row // BITS] |= np.int64(1) << (row % BITS)
                    failures += 1
                    word = 0
                    total_hash = (total_hash ^ 0x2545F491) * 0x100000001B3
                else:
                    if is_list:
                        longest = max(longest, length_of(word))
                    if not is_list:
                        total_hash ^= word
                    elif flat:
                        total_hash ^= hashed_items(memory, word)
                    else:
                        total_hash ^= hashed(memory, word, shape, shapes)
                    total_hash *= 0x100000001B3
                total_hash ^= total_hash >> 31
                kept[masks + row] = word
            place = find(
                memory, shapes, shape, words, hashes, index, count, total_hash, masks, rows
            )
            if place < 0:
                continue
            if failures == rows:
                state[FAILED] += 1
                continue
            if oversized or (bounded and longest > items):
                state[OVERSIZED] += 1
                continue
            need = 0
            if is_list:
                for row in range(rows):
                    need += places_of(memory, words[count, masks + row], shape, shapes)
                if state[TOP] + need > len(array):
                    state[GENERATED] -= 1
                    state[POSITION] = offset + position
                    return MEMORY
                for row in range(rows):
                    words[count, masks + row] = moved(
                        memory, words[count, masks + row], shape, shapes, state
                    )
            state[LEFT] -= rows + need
            if state[LEFT] < 0:
                return CELLS
            node = state[NODES]
            state[NODES] += 1
            table[node, 0] = heads[p, KIND]
            choice = heads[p, KIND] == CHOICE
            table[node, FIRST] = heads[p, IF_FALSE] if choice else heads[p, ADDRESS]
            table[node, SECOND] = heads[p, IF_TRUE] if choice else arity
            table[node, THIRD] = heads[p, METERED]
            table[node, HEAD] = heads[p, NUMBER]
            used = np.int64(0)
            for k in range(arity):
                argument = node_of(slots, k, arguments[k])
                table[node, ARGUMENTS + k] = argument
                used |= uses[argument]
            uses[node] = used
            costs[node] = cost_of(slots, arity, arguments, head_costs[p], costs)
            nodes[count] = node
            hashes[count] = total_hash
            index[place] = count + 1
            state[COUNT] += 1
            state[DISTINCT] += 1
        offset += total
        if end < offset:
            state[POSITION] = end
            return MORE
    state[POSITION] = offset
    return DONE


@njit(cache=True)
def scan(
    array: Any, shapes: Any, shape: Word, heads: Any, head_costs: Any, choice: Any,
    environments: Any, costs: Any, target: Any, telling: Word, losses: Any, lowest: float,
    emitted: Any, state: Any, limit: Word,
) -> Word:  # fmt: skip
    """Try every combination on the telling rows; emit those that agree somewhere and score low.

    A term is emitted where it is right on all rows, or its cost and the losses of the rows it gets
    wrong are below `lowest`.
    """
    slots = pointer_to(choice.ctypes.data)
    memory = pointer_to(array.ctypes.data)
    rows = len(environments)
    masks = (rows + BITS - 1) // BITS
    arity = heads[0, ARITY]
    arguments = pointer_to(state.ctypes.data + CHOSEN * BYTES)
    places = pointer_to(environments.ctypes.data)
    last_count = slots[(arity - 1) * SLOT_WIDTH + COUNTED]
    total = len(heads) * last_count
    for k in range(arity - 1):
        total *= slots[k * SLOT_WIDTH + COUNTED]
    is_held = shapes[shape, 0] != SCALAR
    start = state[POSITION]
    state[EMITTED] = 0
    for position in range(start, min(total, start + limit)):
        lead, rest = divmod(position, len(heads) * last_count)
        p, last = divmod(rest, last_count)
        chosen(slots, arity, lead, last, arguments)
        head = pointer_to(heads.ctypes.data + p * HEAD_WIDTH * BYTES)
        state[POSITION] = position + 1
        state[GENERATED] += 1
        agrees = False
        for row in range(telling):
            memory[FREE] = HEADER
            word = value_on(memory, row, masks, head, slots, arguments, places[row])
            if memory[STATUS] == FINE and (
                word == target[row] or (is_held and equal(memory, word, target[row], shape, shapes))
            ):
                agrees = True
                break
        if not agrees:
            continue
        loss = 0.0
        cost = cost_of(slots, arity, arguments, head_costs[p], costs)
        for row in range(rows):
            memory[FREE] = HEADER
            word = value_on(memory, row, masks, head, slots, arguments, places[row])
            if memory[STATUS] != FINE or not equal(memory, word, target[row], shape, shapes):
                loss += losses[row]
                if cost + loss >= lowest:
                    break
        if loss > 0 and cost + loss >= lowest:
            continue
        emitted[state[EMITTED], 0] = p
        for k in range(arity):
            emitted[state[EMITTED], 1 + k] = arguments[k]
        state[EMITTED] += 1
        if state[EMITTED] == len(emitted):
            break
    return DONE if state[POSITION] == total else MORE


@njit(cache=True)
def store(
    array: Any, shapes: Any, shape: Word, source: Any, numbers: Any, owners: Any,
    words: Any, nodes: Any, hashes: Any, index: Any, state: Any,
) -> Word:  # fmt: skip
    """Keep terms whose values are known: row r of the bank is row `owners[r]` of the source."""
    memory = pointer_to(array.ctypes.data)
    rows = len(owners)
    masks = (rows + BITS - 1) // BITS
    source_masks = (source.shape[1] + BITS) // (BITS + 1)
    for term in range(len(numbers)):
        count = state[COUNT]
        total_hash = np.int64(7)
        for column in range(masks):
            words[count, column] = 0
        for row in range(rows):
            owner = owners[row]
            word = source[term, source_masks + owner]
            if source[term, owner // BITS] & (np.int64(1) << (owner % BITS)):
                words[count, row // BITS] |= np.int64(1) << (row % BITS)
                total_hash = (total_hash ^ 0x2545F491) * 0x100000001B3
                word = 0
            else:
                total_hash ^= hashed(memory, word, shape, shapes)
                total_hash *= 0x100000001B3
            total_hash ^= total_hash >> 31
            words[count, masks + row] = word
        place = find(memory, shapes, shape, words, hashes, index, count, total_hash, masks, rows)
        if place < 0:
            continue
        state[LEFT] -= rows
        if state[LEFT] < 0:
            return CELLS
        nodes[count] = numbers[term]
        hashes[count] = total_hash
        index[place] = count + 1
        state[COUNT] += 1
    return DONE


@njit(cache=True)
def values_of(
    array: Any, heads: Any, p: Word, choice: Any, combination: Any, environments: Any, found: Any
) -> None:
    """The words of one term on all rows, in the scratch area, after the masks."""
    slots, arguments = pointer_to(choice.ctypes.data), pointer_to(combination.ctypes.data)
    head = pointer_to(heads.ctypes.data + p * HEAD_WIDTH * BYTES)
    places = pointer_to(environments.ctypes.data)
    memory = pointer_to(array.ctypes.data)
    rows = len(environments)
    masks = (rows + BITS - 1) // BITS
    memory[FREE] = HEADER
    found[:] = 0
    for row in range(rows):
        word = value_on(memory, row, masks, head, slots, arguments, places[row])
        if memory[STATUS] != FINE:
            found[row // BITS] |= np.int64(1) << (row % BITS)
        else:
            found[masks + row] = word


@njit(cache=True)
def indexed(hashes: Any, count: Word, index: Any) -> None:
    """Fill an empty index of a store: the place of a term plus 1, at its hash or after."""
    room = len(index) - 1
    for term in range(count):
        place = hashes[term] & room
        while index[place]:
            place = (place + 1) & room
        index[place] = term + 1
