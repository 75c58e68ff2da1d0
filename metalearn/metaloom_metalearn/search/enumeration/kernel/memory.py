"""The memory that compiled primitives compute in, and what they may do with it.

Memory is one array of 64-bit words: a header, a scratch area, and what is kept.  A value is a word:
an integer or truth value is itself; a list or tuple is `packed(place, length)`, where its items
stand in memory from `place` on, a word each; a function is the place of its record.

The compiled form of a primitive is a plain Python function that numba can compile,
`form(memory, *arguments) -> word`, for example

    def second(memory, xs):
        if length_of(xs) < 2:
            return fail(memory)
        return memory[place_of(xs) + 1]

It writes into no place but those it has claimed, checks after `claim`, `call_one` and `call_two`
whether `failed(memory)`, and returns at once where that is so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from llvmlite import ir
from numba import cfunc, njit, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from metaloom_metalearn.search.grammar.application import LONGEST

Word: TypeAlias = Any
"""A word in compiled code: numba, not mypy, tells its type."""

POINTER: Any = types.CPointer(types.int64)  # type: ignore[no-untyped-call]
WORD = types.int64

FREE, STATUS, CALLS, END, CALL_ONE, CALL_TWO, TABLE = range(7)
HEADER = 16
"""What the first words are: the first free place of the scratch area, the status, how many calls of
functions are left, where the scratch area ends, and addresses: of two functions, and of the table
of nodes."""

FINE, FAILURE, TOO_LONG = range(3)
MOST = 100_000
"""No list may be longer, wherever it is made; see `LONGEST` for those within functions."""

SHIFT = 20


@njit(cache=True)
def packed(place: Word, length: Word) -> Word:
    """The word of a list or tuple."""
    return (place << SHIFT) | length


@njit(cache=True)
def place_of(word: Word) -> Word:
    """Where the items of a list or tuple stand."""
    return word >> SHIFT


@njit(cache=True)
def length_of(word: Word) -> Word:
    """How many items a list or tuple has."""
    return word & ((1 << SHIFT) - 1)


@njit(cache=True)
def fail(memory: Any) -> Word:
    """Say that there is no value; return what this returns."""
    memory[STATUS] = FAILURE
    return 0


@njit(cache=True)
def failed(memory: Any) -> bool:
    """Whether there is no value."""
    return bool(memory[STATUS] != FINE)


@njit(cache=True)
def claim(memory: Any, length: Word) -> Word:
    """The place of so many new words; fails where a list may not be that long."""
    if length > LONGEST:
        memory[STATUS] = FAILURE if length > MOST else TOO_LONG
        return 0
    place = memory[FREE]
    if place + length > memory[END]:
        return fail(memory)
    memory[FREE] = place + length
    return place


def _call(arity: int) -> Any:
    """An intrinsic that calls the compiled function of so many words at an address."""

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        del context, signature
        word = ir.IntType(64)
        type_ = ir.FunctionType(word, [word.as_pointer()] + [word] * arity)
        return builder.call(builder.inttoptr(values[0], type_.as_pointer()), values[1:])

    return lower


def _invoke_one(typing: Any, address: Any, memory: Any, a: Any) -> Any:
    """Call the function of one word at an address."""
    return WORD(WORD, POINTER, WORD), _call(1)


def _invoke_two(typing: Any, address: Any, memory: Any, a: Any, b: Any) -> Any:
    """Call the function of two words at an address."""
    return WORD(WORD, POINTER, WORD, WORD), _call(2)


def _invoke_three(typing: Any, address: Any, memory: Any, a: Any, b: Any, c: Any) -> Any:
    """Call the function of three words at an address."""
    return WORD(WORD, POINTER, WORD, WORD, WORD), _call(3)


def _invoke_four(typing: Any, address: Any, memory: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Call the function of four words at an address."""
    return WORD(WORD, POINTER, WORD, WORD, WORD, WORD), _call(4)


def _pointer_to(typing: Any, address: Any) -> Any:
    """The words at an address."""

    def lower(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], ir.IntType(64).as_pointer())

    return POINTER(WORD), lower


invoke_one: Any = intrinsic(_invoke_one)
invoke_two: Any = intrinsic(_invoke_two)
invoke_three: Any = intrinsic(_invoke_three)
invoke_four: Any = intrinsic(_invoke_four)
pointer_to: Any = intrinsic(_pointer_to)


@njit(cache=True)
def call_one(memory: Any, function: Word, x: Word) -> Word:
    """The value of a function of one argument."""
    memory[CALLS] -= 1
    if memory[CALLS] < 0:
        return fail(memory)
    return invoke_two(memory[CALL_ONE], memory, function, x)


@njit(cache=True)
def call_two(memory: Any, function: Word, x: Word, y: Word) -> Word:
    """The value of a function of two arguments, which terms write as a function of a function."""
    memory[CALLS] -= 1
    if memory[CALLS] < 0:
        return fail(memory)
    return invoke_three(memory[CALL_TWO], memory, function, x, y)


def compiled(form: Any, arity: Word) -> Any:
    """The C function of a compiled form; its `address` is valid while it lives.

    What numba keeps on disk names the modules it was made from.  Where one of them is gone since,
    as after an upgrade, what it kept of that folder's functions is thrown away and made anew.
    """
    make = cfunc(WORD(POINTER, *[WORD] * arity), cache=True)
    try:
        return make(form)
    except ImportError:
        cache: Any = FunctionCache(form)  # type: ignore[no-untyped-call]
        for kept in Path(cache.cache_path).glob("*.nb[ic]"):
            kept.unlink(missing_ok=True)
        return make(form)
