"""Small libraries and problems for the tests of search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Clock, Examples, Problem, Task
from metaloom_metalearn.testing.search import Ticks
from metaloom_registry import (
    Digest,
    Entry,
    MemoryLibrary,
    Primitive,
    PrimitiveTable,
    Reference,
    Term,
    parse_term,
    parse_type,
    uncurried,
)

NAMES = PrimitiveTable(PRIMITIVES).short_names

LISTS = (
    (3, 1, 4, 1, 5), (), (9, 2, 6), (5,), (3, 5, 8, 9, 7), (9, 3), (2, 3, 8, 4), (6, 2, 6),
)  # fmt: skip


def library(*names: str) -> MemoryLibrary:
    """The list primitives of these short names, or all of them."""
    return MemoryLibrary.of([p for p in PRIMITIVES if not names or p.short in names])


def term(text: str) -> Term:
    return parse_term(text, NAMES)


def task_of(
    type_: str, function: Callable[..., Any], inputs: Sequence[Any] = LISTS, name: str = "task"
) -> Task:
    """The task of a Python function of one argument, the last quarter of the inputs its query."""
    cut = max(1, len(inputs) * 3 // 4)
    outputs = [function(value) for value in inputs]
    return Task(
        parse_type(type_),
        Examples((tuple(inputs[:cut]),), tuple(outputs[:cut])),
        Examples((tuple(inputs[cut:]),), tuple(outputs[cut:])),
        name=name,
    )


def problem_of(task: Task, library: MemoryLibrary, budget: float = 1e6) -> Problem:
    """A problem on a clock of ticks, of which 10^6 are more than a test needs."""
    entries = tuple(library.candidates(task.want, task.given, 1000))
    return Problem(task, library, entries, Clock(budget, Ticks()))


def publish(library: MemoryLibrary, name: str, type_: str, loaded: Any, kind: str) -> Reference:
    """Add a block as the hub would: known by its digest."""
    digest = Digest.of(name.encode())
    reference = Reference(None, digest)
    library.add(Entry(reference, digest, kind, parse_type(type_), name), loaded)
    return reference


def primitive(name: str, type_: str, function: Callable[..., Any]) -> Primitive:
    parameters = ("x", "y", "z")[: len(uncurried(parse_type(type_))[0])]
    return Primitive(f"test/{name}", 1, type_, name, parameters, function, source="x")
