"""Searches for programs on list tasks at equal budget: tasks solved against time.

Enumeration, beam search, annealing, evolution and, as their control, programs drawn at random from
the grammar.  Each task is given to each search alone, with the same seconds of processor time in
one process, the same grammar and the same literals; the first two thirds of its examples are seen.

solved: tasks on all of whose examples, unseen ones too, the program is right that a search had at
each of some times.  seconds: when each of those programs was found, sorted, so that the i-th is
where the curve of tasks solved rises to i.  tried_per_second: programs of the task's type scored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.list_tasks import questions_of
from benchmarks.search.lists import Question, compile_all, judged_on
from metaloom_lists import PRIMITIVES
from metaloom_metalearn import (
    Arm,
    Candidate,
    Clock,
    Constants,
    Enumerate,
    Examples,
    MemoryJournal,
    Scored,
    Space,
    Strategy,
    Task,
    anneal,
    beam,
    evolve,
    fastest,
    solve,
)
from metaloom_registry import MemoryLibrary, NoSolution, parse_type

TIMES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds of processor time at which a search is asked how many tasks it has solved."""

TASKS = 30
NATS = 30.0
"""The most nats of a program that is drawn at random: what annealing and evolution begin with."""

ATTEMPTS = 1000
LITERALS = Constants(strict=False)
LIBRARY = MemoryLibrary.of(PRIMITIVES)

SETTINGS = {
    "seconds": "processor time of one process, from the call of solve, compilation excluded",
    "seen": "the first two thirds of a task's examples",
    "solved": "right on all examples, seen and unseen",
    "primitives": len(PRIMITIVES),
}


class RandomSearch:
    """Programs as likely as their cost says, whatever is told of them; a `Search`."""

    def __init__(self, space: Space) -> None:
        self.space = space

    def ask(self, n: int) -> Sequence[Candidate]:
        found: list[Candidate] = []
        for _ in range(ATTEMPTS + n):
            if len(found) == n or self.space.expired():
                break
            node = self.space.drawn(NATS)
            candidate = None if node is None else self.space.propose(node)
            if candidate is not None:
                found.append(candidate)
        return found

    def tell(self, scored: Sequence[Scored]) -> None:
        """It learns nothing."""


SEARCHES: Mapping[str, Callable[[], Arm]] = {
    "enumerate": lambda: Enumerate(LITERALS, engine=fastest),
    "beam": beam,
    "anneal": anneal,
    "evolve": evolve,
    "random": lambda: Strategy("random", RandomSearch),
}


@dataclass(frozen=True)
class Attempt:
    """What a search had for a task at the end: the seconds it took, or None; and what it tried."""

    solved: float | None
    tried: int
    seconds: float


def attempt(question: Question, arm: Arm, seconds: float, seed: int) -> Attempt:
    """One search on one task; its last best program counts, at the time it was found."""
    inputs, outputs = zip(*question.seen, strict=True)
    task = Task(parse_type(question.type), Examples((inputs,), outputs), name=question.name)
    journal, clock = MemoryJournal(), Clock(seconds, time.process_time)
    generator = torch.Generator().manual_seed(seed)
    with suppress(NoSolution):
        solve(task, LIBRARY, clock=clock, searches=[arm], journal=journal, generator=generator)
    took = clock.elapsed()
    best = [event for event in journal.events if event.kind == "best"]
    tried = max((int(str(e.facts.get("tried", 0))) for e in journal.events), default=0)
    solved = bool(best) and all(judged_on(str(best[-1].facts["term"]), question.judged))
    return Attempt(best[-1].seconds if solved else None, tried, took)


def compared(questions: Sequence[Question], seconds: float, seed: int) -> dict[str, list[Attempt]]:
    """Every search on every task, the tasks in turn."""
    found: dict[str, list[Attempt]] = {name: [] for name in SEARCHES}
    for place, question in enumerate(questions, 1):
        for name, make in SEARCHES.items():
            found[name].append(attempt(question, make(), seconds, seed))
        said = ", ".join(
            f"{name} {'-' if one.solved is None else f'{one.solved:.2f} s'}"
            for name, (*_, one) in found.items()
        )
        progress(f"[{place}/{len(questions)}] {question.name}: {said}")
    return found


def measure(options: Options) -> Metrics:
    compile_all()
    questions = questions_of(options.file("list_tasks.json.gz"))
    count, seconds = (4, 0.5) if options.quick else (TASKS, max(TIMES))
    some = Random(options.seed).sample(questions, min(count, len(questions)))
    return summary(compared(some, seconds, options.seed), seconds)


def summary(found: Mapping[str, Sequence[Attempt]], seconds: float) -> dict[str, Any]:
    """The metrics; `seconds` is the budget of a task."""
    took = {
        name: sorted(one.solved for one in attempts if one.solved is not None)
        for name, attempts in found.items()
    }
    return {
        "tasks": len(next(iter(found.values()))),
        "budget": seconds,
        "solved": {
            name: {f"{t:g}s": sum(s <= t for s in each) for t in TIMES if t <= seconds}
            for name, each in took.items()
        },
        "seconds": {name: [round(s, 4) for s in each] for name, each in took.items()},
        "tried_per_second": {
            name: round(sum(one.tried for one in each) / sum(one.seconds for one in each))
            for name, each in found.items()
        },
    }


if __name__ == "__main__":
    run("strategies", measure, settings=SETTINGS)
