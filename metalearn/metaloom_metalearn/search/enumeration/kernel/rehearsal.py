"""A rehearsal of the compiled engine, which leaves on disk all that searches will load.

`python -m metaloom_metalearn.search.enumeration.kernel.rehearsal` compiles the engine, and the
compiled forms of the primitives of every plugin that is installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.enumeration.engines import fastest
from metaloom_metalearn.search.enumeration.enumerate import Enumerate
from metaloom_metalearn.search.enumeration.kernel.ahead import write_down
from metaloom_metalearn.search.enumeration.kernel.tables import compiled_form
from metaloom_metalearn.tasks import Examples, Task
from metaloom_registry import MemoryLibrary, Primitive, discover, load_primitives, parse_type

NICE = 10
"""By how much this process gives way to others."""

LONGEST = 600.0
"""Seconds that the rehearsal may take."""


def rehearse(primitives: Iterable[Primitive]) -> None:
    """Load, or else compile, the compiled forms of primitives, and the engine by a small search."""
    compiled = [p for p in primitives if p.kernel is not None]
    for primitive in compiled:
        if primitive.kernel is not None:
            compiled_form(primitive.kernel, len(primitive.parameters))
    library = MemoryLibrary.of(compiled)
    lists = ((3, 1, 2), (5, 4), (7,), (0, 9, 9, 8))
    task = Task(
        parse_type("list[int] -> list[int]"),
        Examples((lists,), tuple(tuple(x + 2 for x in xs) for xs in lists)),
    )
    entries = tuple(library.candidates(task.want, task.given, len(compiled)))
    for _ in Enumerate(engine=fastest).run(Problem(task, library, entries, Clock(LONGEST))):
        pass


def main() -> None:
    os.nice(NICE)
    primitives, _ = load_primitives(discover("metaloom.primitives"))
    rehearse(primitives)
    write_down(primitives)


if __name__ == "__main__":
    main()
