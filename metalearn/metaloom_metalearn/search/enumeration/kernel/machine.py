"""The machine: computes terms that stand in a table of nodes, in memory, without Python.

The table has a row of `WIDTH` words for each node: its kind, the nodes of up to four arguments, and
three words that depend on the kind:

    VARIABLE  its place
    CONSTANT  its word
    CALL      the address of the compiled primitive, how many arguments, whether calls are counted
    CHOICE    which argument is taken where the first is false, and where it is true
    PROGRAM   the node of its body, how many arguments
    FUNCTION  body first; the place of its first parameter, how many, whether its values are words
              without places (integers and truth values)

and the number of its head, for who reads the table.  An environment is the place in memory of the
words of the variables.  A function is the place of four words: the node of its body, the place of
its first parameter, its environment, and the third word of its node.
"""

from __future__ import annotations

from typing import Any

from numba import cfunc, njit

from metaloom_metalearn.search.enumeration.kernel.memory import (
    CALLS,
    FAILURE,
    FREE,
    POINTER,
    STATUS,
    TABLE,
    TOO_LONG,
    WORD,
    Word,
    claim,
    fail,
    invoke_four,
    invoke_one,
    invoke_three,
    invoke_two,
    pointer_to,
)
from metaloom_metalearn.search.grammar import application

VARIABLE, CONSTANT, CALL, CHOICE, FUNCTION, PROGRAM = range(6)
WIDTH = 9
ARGUMENTS, FIRST, SECOND, THIRD, HEAD = 1, 5, 6, 7, 8
METERED_CALLS = application.CALLS
UNMETERED = 1 << 60


@njit(cache=True)
def invoke(
    memory: Any, address: Word, arity: Word, metered: Word, a: Word, b: Word, c: Word, d: Word
) -> Word:
    """Call a compiled primitive; at most `CALLS` calls of functions where they are counted."""
    left = memory[CALLS]
    memory[CALLS] = METERED_CALLS if metered else UNMETERED
    if arity == 1:
        word = invoke_one(address, memory, a)
    elif arity == 2:
        word = invoke_two(address, memory, a, b)
    elif arity == 3:
        word = invoke_three(address, memory, a, b, c)
    else:
        word = invoke_four(address, memory, a, b, c, d)
    memory[CALLS] = left
    return word


@njit(WORD(POINTER, POINTER, WORD, WORD), cache=True)
def closure(memory: Any, table: Any, node: Word, environment: Word) -> Word:
    """The record of a function that has captured an environment."""
    at = node * WIDTH
    place = claim(memory, 4)
    if memory[STATUS]:
        return fail(memory)
    memory[place] = table[at + ARGUMENTS]
    memory[place + 1] = table[at + FIRST]
    memory[place + 2] = environment
    memory[place + 3] = table[at + THIRD]
    return place


@njit(WORD(POINTER, POINTER, WORD, WORD), cache=True)
def evaluate(memory: Any, table: Any, node: Word, environment: Word) -> Word:
    """The word of a node; see `STATUS` for whether there is one."""
    at = node * WIDTH
    kind = table[at]
    if kind == VARIABLE:
        return memory[environment + table[at + FIRST]]
    if kind == CONSTANT:
        return table[at + FIRST]
    if kind == FUNCTION:
        return closure(memory, table, node, environment)
    if kind == CHOICE:
        first = evaluate(memory, table, table[at + ARGUMENTS], environment)
        if memory[STATUS]:
            return 0
        taken = table[at + SECOND] if first else table[at + FIRST]
        if taken == 0:
            return first
        return evaluate(memory, table, table[at + ARGUMENTS + taken], environment)
    if kind == PROGRAM:
        count = table[at + SECOND]
        inner = claim(memory, count)
        if memory[STATUS]:
            return fail(memory)
        for k in range(count):
            memory[inner + k] = evaluate(memory, table, table[at + ARGUMENTS + k], environment)
            if memory[STATUS]:
                return 0
        return evaluate(memory, table, table[at + FIRST], inner)
    arity = table[at + SECOND]
    b = c = d = 0
    argument = table[at + ARGUMENTS] * WIDTH  # most are variables or constants: without a call
    if table[argument] == VARIABLE:
        a = memory[environment + table[argument + FIRST]]
    elif table[argument] == CONSTANT:
        a = table[argument + FIRST]
    else:
        a = evaluate(memory, table, table[at + ARGUMENTS], environment)
        if memory[STATUS]:
            return 0
    if arity > 1:
        argument = table[at + ARGUMENTS + 1] * WIDTH
        if table[argument] == VARIABLE:
            b = memory[environment + table[argument + FIRST]]
        elif table[argument] == CONSTANT:
            b = table[argument + FIRST]
        else:
            b = evaluate(memory, table, table[at + ARGUMENTS + 1], environment)
            if memory[STATUS]:
                return 0
    if arity > 2:
        c = evaluate(memory, table, table[at + ARGUMENTS + 2], environment)
        if memory[STATUS]:
            return 0
    if arity > 3:
        d = evaluate(memory, table, table[at + ARGUMENTS + 3], environment)
        if memory[STATUS]:
            return 0
    word = invoke(memory, table[at + FIRST], arity, table[at + THIRD], a, b, c, d)
    if memory[STATUS] == TOO_LONG:
        memory[STATUS] = FAILURE
    return word


@njit(WORD(POINTER, WORD, WORD, WORD, WORD, WORD), cache=True)
def run(memory: Any, body: Word, a: Word, b: Word, c: Word, d: Word) -> Word:
    """The body of a program on up to four arguments."""
    environment = claim(memory, 4)
    if memory[STATUS]:
        return fail(memory)
    memory[environment] = a
    memory[environment + 1] = b
    memory[environment + 2] = c
    memory[environment + 3] = d
    return evaluate(memory, pointer_to(memory[TABLE]), body, environment)


def apply_one(memory: Any, function: Word, x: Word) -> Word:
    """A function on one argument."""
    free, count = memory[FREE], memory[function + 1]
    environment = claim(memory, count + 1)
    if memory[STATUS]:
        return 0
    for i in range(count):
        memory[environment + i] = memory[memory[function + 2] + i]
    memory[environment + count] = x
    word = evaluate(memory, pointer_to(memory[TABLE]), memory[function], environment)
    if memory[function + 3]:
        memory[FREE] = free
    return word


def apply_two(memory: Any, function: Word, x: Word, y: Word) -> Word:
    """A function on two arguments."""
    free, count = memory[FREE], memory[function + 1]
    environment = claim(memory, count + 2)
    if memory[STATUS]:
        return 0
    for i in range(count):
        memory[environment + i] = memory[memory[function + 2] + i]
    memory[environment + count] = x
    memory[environment + count + 1] = y
    word = evaluate(memory, pointer_to(memory[TABLE]), memory[function], environment)
    if memory[function + 3]:
        memory[FREE] = free
    return word


ONE: Any = cfunc(WORD(POINTER, WORD, WORD), cache=True)(apply_one)
TWO: Any = cfunc(WORD(POINTER, WORD, WORD, WORD), cache=True)(apply_two)
