"""What the compiled loops work on: the memory, the table of nodes, and stores of distinct terms.

A store has a row of words for each term: masks of the rows on which it has no value, 63 rows a
word, then a word for each row of its bank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaloom_metalearn.search.enumeration.kernel import machine
from metaloom_metalearn.search.enumeration.kernel.loops import BITS, indexed, make
from metaloom_metalearn.search.enumeration.kernel.machine import (
    CALL,
    CHOICE,
    CONSTANT,
    FUNCTION,
    HEAD,
    PROGRAM,
    VARIABLE,
    WIDTH,
)
from metaloom_metalearn.search.enumeration.kernel.memory import (
    CALL_ONE,
    CALL_TWO,
    END,
    FREE,
    HEADER,
    TABLE,
    compiled,
)
from metaloom_metalearn.search.enumeration.kernel.shapes import (
    SCALAR,
    Shapes,
    Words,
    size_of,
    written,
)
from metaloom_metalearn.search.enumeration.kernel.state import LEFT, NODES, TOP
from metaloom_metalearn.search.enumeration.node import Abstraction, Head, Node, Variable
from metaloom_metalearn.search.grammar.grammar import Grammar, Production
from metaloom_metalearn.search.grammar.programs import (
    MOST_PARAMETERS,
    Body,
    Call,
    Choice,
    Closure,
    Parameter,
    Program,
    Written,
)
from metaloom_registry import Type

SCRATCH = 1 << 21
"""How many words one term may use on the way to its values on all rows."""


SHARE = 3
"""A value takes a third of the memory that it takes in Python."""


class Tables:
    """The memory and the nodes of one enumeration; both grow."""

    def __init__(self, grammar: Grammar, cells: int) -> None:
        self.shapes = Shapes.of(grammar.universe)
        self.shape_table = self.shapes.table
        self.memory: Words = np.zeros(SCRATCH + SHARE * cells, np.int64)  # taken as it is used
        self.table: Words = np.zeros((1 << 14, WIDTH), np.int64)
        self.costs = np.zeros(1 << 14)
        self.uses: Words = np.zeros(1 << 14, np.int64)
        self.heads: list[Head] = []
        self.state: Words = np.zeros(16, np.int64)
        self.state[TOP], self.state[LEFT] = SCRATCH, SHARE * cells
        self._numbers: dict[Production, tuple[int, ...]] = {}
        self._rows: dict[int, tuple[Words, Any]] = {}
        self._forms: list[Any] = []
        self._programs: dict[Program, int] = {}
        self._nodes: dict[int, Node] = {}
        self._point()

    def _point(self) -> None:
        memory = self.memory
        memory[FREE], memory[END] = HEADER, SCRATCH
        memory[CALL_ONE], memory[CALL_TWO] = int(machine.ONE.address), int(machine.TWO.address)
        memory[TABLE] = address_of(self.table)

    def more_memory(self) -> None:
        """Twice the memory."""
        self.memory = grown(self.memory, 2 * len(self.memory))
        self._point()

    def more_nodes(self, count: int) -> None:
        """Room for so many more nodes."""
        wanted = int(self.state[NODES]) + count
        if wanted > len(self.table):
            size = max(wanted, 2 * len(self.table))
            self.table = grown(self.table, size)
            self.costs = grown(self.costs, size)
            self.uses = grown(self.uses, size)
            self._point()

    def keep(self, value: Any) -> int:
        """The word of a Python value, which is kept in memory."""
        size = size_of(value)
        while self.state[TOP] + size > len(self.memory):
            self.more_memory()
        word, top = written(value, self.memory, int(self.state[TOP]))
        self.state[TOP] = top
        return word

    def add(self, node: Sequence[int], head: Head, cost: float, uses: int) -> int:
        """The number of a new node; `node` is its kind, arguments and words."""
        self.more_nodes(1)
        number = int(self.state[NODES])
        self.state[NODES] += 1
        self.table[number, : len(node)] = node
        self.table[number, HEAD] = len(self.heads)
        self.heads.append(head)
        self.costs[number] = cost
        self.uses[number] = uses
        return number

    def variable(self, place: int, cost: float) -> int:
        row = (VARIABLE, 0, 0, 0, 0, place)
        return self.add(row, Variable(place), cost, 1 << place)

    def constant(self, head: Head, word: int, cost: float) -> int:
        return self.add((CONSTANT, 0, 0, 0, 0, word), head, cost, 0)

    def functions(
        self, bodies: Words, base: int, count: int, extra: float, fresh: int, result: Type
    ) -> Words:
        """The nodes of functions with these bodies, whose parameters stand from `base` on."""
        self.more_nodes(len(bodies))
        start = int(self.state[NODES])
        numbers = np.arange(start, start + len(bodies), dtype=np.int64)
        self.state[NODES] += len(bodies)
        rows = self.table[start : start + len(bodies)]
        scalar = self.shape_table[self.shapes.types[result], 0] == SCALAR
        rows[:] = (FUNCTION, 0, 0, 0, 0, base, count, int(scalar), len(self.heads))
        rows[:, machine.ARGUMENTS] = bodies
        self.heads.append(Abstraction(base, count))
        self.costs[numbers] = self.costs[bodies] + extra
        self.uses[numbers] = self.uses[bodies] & ~fresh
        return numbers

    def head_row(self, production: Production) -> tuple[int, ...]:
        """How the loops apply a production; see `loops` for the columns."""
        found = self._numbers.get(production)
        if found is None:
            arity = len(production.slots)
            kind, address, metered, if_false, if_true = CALL, 0, int(production.metered), 0, 0
            if production.choose is not None:
                kind = CHOICE
                if_false, if_true = production.choose(False), production.choose(True)
            elif production.program is not None:
                kind, address = PROGRAM, self.program(production.program)
            else:
                assert production.kernel is not None
                address = self.form(production.kernel, arity)
            found = (len(self.heads), kind, arity, address, metered, if_false, if_true)
            self.heads.append(production)
            self._numbers[production] = found
        return found

    def form(self, kernel: Callable[..., Any], arity: int) -> int:
        """The address of a compiled form, which is kept alive."""
        form = compiled_form(kernel, arity)
        self._forms.append(form)
        return int(form.address)

    def program(self, program: Program) -> int:
        """The node of the body of a program."""
        found = self._programs.get(program)
        if found is None:
            found = self._programs[program] = self._body(program.body)
        return found

    def _body(self, body: Body) -> int:
        """The node of a tree; it is no term, so its head and its cost mean nothing."""
        row: tuple[int, ...]
        if isinstance(body, Parameter):
            row = (VARIABLE, 0, 0, 0, 0, body.place)
        elif isinstance(body, Written):
            row = (CONSTANT, 0, 0, 0, 0, self.keep(body.value))
        elif isinstance(body, Closure):
            row = (FUNCTION, self._body(body.body), 0, 0, 0, body.base, body.count, 0)
        else:
            nodes = [self._body(argument) for argument in body.arguments]
            arguments = (*nodes, 0, 0, 0, 0)[:MOST_PARAMETERS]
            if isinstance(body, Choice):
                row = (CHOICE, *arguments, body.if_false, body.if_true, 0)
            elif isinstance(body, Call):
                row = (CALL, *arguments, self.form(body.kernel, len(nodes)), len(nodes), 0)
            else:
                row = (PROGRAM, *arguments, self.program(body.program), len(nodes), 0)
        return self.add(row, Variable(0), 0.0, 0)

    def heads_of(self, productions: Sequence[Production]) -> tuple[Words, Any]:
        """The rows and the costs of some productions of the grammar, which outlives this."""
        known = self._rows.get(id(productions))
        if known is None:
            rows = np.array([self.head_row(one) for one in productions], np.int64)
            costs = np.array([one.cost for one in productions], np.float64)
            known = self._rows[id(productions)] = (rows, costs)
        return known

    def node(self, number: int) -> Node:
        """A node of the table as a node of a term, without values."""
        found = self._nodes.get(number)
        if found is None:
            row = self.table[number].tolist()
            kind, head = row[0], self.heads[row[HEAD]]
            count = len(head.slots) if isinstance(head, Production) else int(kind == FUNCTION)
            arguments = tuple(self.node(n) for n in row[1 : 1 + count])
            cost, uses = float(self.costs[number]), int(self.uses[number])
            found = self._nodes[number] = Node(head, arguments, (), cost, uses, failed=False)
        return found


_COMPILED: dict[tuple[Callable[..., Any], int], Any] = {}


def compiled_form(form: Callable[..., Any], arity: int) -> Any:
    """The compiled form of a primitive, each compiled once."""
    resolve = getattr(form, "function", None)
    key = (form, arity)
    if key not in _COMPILED:
        _COMPILED[key] = compiled(form if resolve is None else resolve, arity)
    return _COMPILED[key]


def is_loaded(grammar: Grammar) -> bool:
    """Whether all that a grammar needs is compiled in this process."""
    return bool(make.signatures) and all(kernel in _COMPILED for kernel in grammar.kernels())


@dataclass
class Store:
    """The distinct terms of one type in one bank."""

    rows: int
    count: int = 0

    def __post_init__(self) -> None:
        self.masks = (self.rows + BITS - 1) // BITS
        self.words: Words = np.zeros((64, self.masks + self.rows), np.int64)
        self.nodes: Words = np.zeros(64, np.int64)
        self.hashes: Words = np.zeros(64, np.int64)
        self.index: Words = np.zeros(256, np.int64)
        self._point()

    def _point(self) -> None:
        """Where the words and the nodes stand, and how many bytes a row of words has."""
        self.addresses = (address_of(self.words), address_of(self.nodes))
        self.stride = self.words.strides[0]

    def reserve(self, more: int) -> None:
        """Room for so many more terms, and one to try."""
        wanted = self.count + more + 1
        if wanted > len(self.nodes):
            size = max(wanted, 2 * len(self.nodes))
            self.words = grown(self.words, size)
            self.nodes = grown(self.nodes, size)
            self.hashes = grown(self.hashes, size)
            self._point()
        if 2 * wanted > len(self.index):
            self.index = np.zeros(1 << (4 * wanted).bit_length(), np.int64)
            indexed(self.hashes, self.count, self.index)


def grown(array: Any, size: int) -> Any:
    """The array with room for `size` rows."""
    larger = np.zeros((size, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


def address_of(array: Any) -> int:
    """Where the items of an array stand."""
    return int(array.__array_interface__["data"][0])
