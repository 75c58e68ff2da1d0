"""String editing by example: the programming-by-example tasks of SyGuS-Comp.

The search sees the first two thirds of a task's examples; a task is solved where the program it
answers with, within ten seconds of processor time on one core, is right on all of them, seen and
unseen.  The main figure uses no literal but those mined from the seen examples, and none that is a
whole input or output.  solved_with: the same with the string literals that the task's own grammar
offers (`given_literals`), and with enumeration alone, at the same budget (`enumeration`).
seen_only: tasks where the program is right on what was seen, but not on all.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.search.sygus import StringTask, read_sygus
from metaloom_lists import PRIMITIVES as ON_LISTS
from metaloom_metalearn import Clock, Constants, Divide, Enumerate, Examples, Task, solve
from metaloom_registry import MemoryLibrary, NoSolution, parse_type
from metaloom_text import PRIMITIVES as ON_TEXT

SECONDS = 10.0
PROCESSES = 2
ARMS = ("main", "given_literals", "enumeration")

SETTINGS = {
    "seconds": SECONDS,
    "time": "processor time of one process with one thread, from the call of solve",
    "processes": PROCESSES,
    "seen": "the first two thirds of a task's examples, rounded down, at least one",
    "primitives": {"text": len(ON_TEXT), "lists": len(ON_LISTS)},
    "literals": "mined from the seen examples; none equals a whole input or output",
}


@dataclass(frozen=True)
class Outcome:
    """How one task went: on how many examples its program is right, seen and in all."""

    name: str
    arm: str
    seconds: float
    seen: bool
    right: int
    of: int
    program: str

    @property
    def solved(self) -> bool:
        return self.right == self.of and self.seconds <= SECONDS


def tasks_of(path: Path) -> list[StringTask]:
    """The tasks of a file: the text of each .sl file by its name."""
    files = json.loads(gzip.decompress(path.read_bytes()))
    return [read_sygus(name, text) for name, text in files.items()]


def attempt(task: StringTask, arm: str) -> Outcome:
    """Solve one task and judge the program on all of its examples."""
    count = max(1, len(task.examples) * 2 // 3)
    inputs, outputs = zip(*task.examples, strict=True)
    columns = tuple(zip(*inputs, strict=True))
    seen = Examples(tuple(column[:count] for column in columns), outputs[:count])
    constants = Constants(texts=task.literals if arm == "given_literals" else ())
    division = () if arm == "enumeration" else (Divide(constants),)
    clock = Clock(SECONDS, time.process_time)
    try:
        solution = solve(
            Task(parse_type(task.type), seen, name=task.name),
            MemoryLibrary.of([*ON_TEXT, *ON_LISTS]),
            clock=clock,
            searches=(*division, Enumerate(constants)),
        )
    except NoSolution:
        return Outcome(task.name, arm, clock.elapsed(), False, 0, len(outputs), "")
    seconds = clock.elapsed()
    right = [a == b for a, b in zip(solution.predict_many(*columns), outputs, strict=True)]
    shown = solution.source.strip()
    return Outcome(task.name, arm, seconds, all(right[:count]), sum(right), len(right), shown)


def outcomes(tasks: Sequence[StringTask]) -> Iterator[Outcome]:
    """All tasks in all ways, as they come in."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        pending = [pool.submit(attempt, task, arm) for arm in ARMS for task in tasks]
        try:
            for done, future in enumerate(as_completed(pending), 1):
                one = future.result()
                share = f"{one.right}/{one.of} in {one.seconds:.2f} s"
                progress(f"[{done}/{len(pending)}] {one.arm}: {share} {one.name}")
                yield one
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def measure(options: Options) -> Metrics:
    tasks = tasks_of(options.file("sygus_strings.json.gz"))
    if options.quick:
        tasks = tasks[:: max(1, len(tasks) // 6)][:6]
    found = list(outcomes(tasks))
    main = [one for one in found if one.arm == "main"]
    counted: dict[str, Any] = {
        arm: sum(one.solved for one in found if one.arm == arm) for arm in ARMS[1:]
    }
    return {
        "solved": sum(one.solved for one in main),
        "total": len(tasks),
        "solved_with": counted,
        "seen_only": sum(one.seen and not one.solved for one in main),
        "solved_within_1s": sum(one.solved and one.seconds <= 1.0 for one in main),
        "primitives": len(ON_TEXT) + len(ON_LISTS),
        "unsolved": sorted(one.name for one in main if not one.solved),
    }


if __name__ == "__main__":
    run("strings", measure, settings=SETTINGS)
