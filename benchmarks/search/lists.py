"""Solving list tasks for a benchmark: what `solve` would have answered at each of some deadlines.

Seconds are seconds of processor time of one process with one thread.  A task is solved once with
the longest budget; its answer at a deadline is the best candidate that `solve` had by then.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contract import progress
from metaloom_lists import PRIMITIVES
from metaloom_metalearn import (
    Arm,
    Clock,
    Constants,
    Divide,
    Enumerate,
    Evaluator,
    Event,
    Examples,
    Task,
    solve,
)
from metaloom_metalearn.search.enumeration.engines import fastest
from metaloom_metalearn.search.enumeration.kernel.rehearsal import rehearse
from metaloom_metalearn.solver import ENUMERATED
from metaloom_registry import (
    EvaluationError,
    MemoryLibrary,
    NoSolution,
    PrimitiveTable,
    parse_term,
    parse_type,
)

PROCESSES = 2
"""Tasks are solved on so many processes, each on one core; a task on one."""

TABLE = PrimitiveTable(PRIMITIVES)
DREAMCODER = tuple(p for p in PRIMITIVES if "dreamcoder" in p.tags)
"""The primitives DreamCoder starts from on lists (Ellis et al. 2021); its integers are 0 and 1."""


@dataclass(frozen=True)
class Way:
    """A way to search: the primitives and literals there are, and whether division follows.

    `dreamcoder` says that there are DreamCoder's alone.
    """

    name: str
    dreamcoder: bool = False
    divide: bool = True

    @property
    def library(self) -> MemoryLibrary:
        return MemoryLibrary.of(DREAMCODER if self.dreamcoder else PRIMITIVES)

    @property
    def arms(self) -> Sequence[Arm]:
        constants = Constants(((0, 1.0), (1, 1.0)), mined=0) if self.dreamcoder else Constants()
        share = ENUMERATED if self.divide else 1.0
        enumerate_ = Enumerate(constants, engine=fastest, share=share)
        return (enumerate_, Divide(constants, share=1.0)) if self.divide else (enumerate_,)


FULL = Way("all primitives")
ALONE = Way("DreamCoder's primitives", dreamcoder=True)
ENUMERATION = Way("enumeration alone", divide=False)


@dataclass(frozen=True)
class Question:
    """A task by name and type, the examples the search sees, and those that judge.

    An example is an input and an output.
    """

    name: str
    type: str
    seen: tuple[tuple[Any, Any], ...]
    judged: tuple[tuple[Any, Any], ...]
    budget: float
    way: Way = FULL


@dataclass(frozen=True)
class Answer:
    """A program that was the best from `seconds` on, and which judged examples it is right on."""

    seconds: float
    program: str
    right: tuple[bool, ...]


def hard(value: Any) -> Any:
    """A JSON value as the search has it: lists as tuples."""
    return tuple(map(hard, value)) if isinstance(value, list) else value


def compile_all() -> None:
    """Have the compiled engine compiled, or loaded, which no figure counts."""
    rehearse(PRIMITIVES)


@dataclass
class _Improvements:
    """Keeps the best candidates of a solve as they are told."""

    events: list[Event] = field(default_factory=list)

    def record(self, event: Event) -> None:
        if event.kind == "best":
            self.events.append(event)


def answers(question: Question) -> tuple[Answer, ...]:
    """What `solve` had found, with the time at which each became its answer."""
    inputs, outputs = zip(*question.seen, strict=True)
    task = Task(parse_type(question.type), Examples((inputs,), outputs), name=question.name)
    journal = _Improvements()
    with suppress(NoSolution):  # what was found on the way is in the journal all the same
        solve(
            task,
            question.way.library,
            clock=Clock(question.budget, time.process_time),
            searches=question.way.arms,
            journal=journal,
        )
    return tuple(
        Answer(
            event.seconds,
            str(event.facts["term"]),
            judged_on(str(event.facts["term"]), question.judged),
        )
        for event in journal.events
    )


def judged_on(program: str, examples: Sequence[tuple[Any, Any]]) -> tuple[bool, ...]:
    """Which examples a program is right on."""
    run = Evaluator(TABLE.__getitem__).compile(parse_term(program))

    def right(given: Any, wanted: Any) -> bool:
        try:
            return bool(run(given) == wanted)
        except EvaluationError:
            return False

    return tuple(right(given, wanted) for given, wanted in examples)


def answer_at(found: Sequence[Answer], seconds: float) -> Answer | None:
    """The answer at a deadline."""
    return next((a for a in reversed(found) if a.seconds <= seconds), None)


def all_answers(questions: Sequence[Question]) -> Iterator[tuple[Question, tuple[Answer, ...]]]:
    """Each question with its answers, as they come in; what is pending is dropped on Ctrl-C.

    What is to be compiled is compiled here, once, and loaded by the processes.
    """
    compile_all()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, context, initializer=compile_all) as pool:
        pending = {pool.submit(answers, question): question for question in questions}
        try:
            for done, future in enumerate(as_completed(pending), 1):
                question, found = pending[future], future.result()
                last = found[-1] if found else None
                share = f"{sum(last.right)}/{len(last.right)}" if last else "nothing"
                at = f"{last.seconds:6.2f} s" if last else ""
                progress(
                    f"[{done}/{len(pending)}] {at} {share} {question.name}, {question.way.name}"
                )
                yield question, found
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
