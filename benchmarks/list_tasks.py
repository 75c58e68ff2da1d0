"""List-processing tasks, of which the first two thirds of the examples are seen.

solved: tasks on all of whose examples the program is right, within seconds of processor time; tasks
`list->list` without those whose outputs are their inputs, and `other` to int, bool, list of bool.
programs_per_second: distinct well-typed terms, each evaluated until its first mismatch or, where it
is kept, in full, duplicates removed; all examples of a task are rows; what is made twice counts
once.  dreamcoder_primitives: the same with the primitives and literals of DreamCoder alone.
held_out: of the tasks whose seen examples the program gets right, the share whose unseen ones too.
longer: of the programs that solve a task, those right on all of ten inputs twice as long as
any example, against a recurrent network that learned from the examples seen.
"""

from __future__ import annotations

import gzip
import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.search.lists import (
    ALONE,
    DREAMCODER,
    FULL,
    PROCESSES,
    Answer,
    Question,
    Way,
    all_answers,
    answer_at,
    hard,
    judged_on,
)
from benchmarks.search.truths import longer_inputs, truth_of
from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Clock, Enumerate, Examples, Problem, Task
from metaloom_metalearn.search.enumeration.collection import collection_put_off
from metaloom_metalearn.search.enumeration.engines import Engine, PlainTerms, fastest
from metaloom_registry import Deferred, MemoryLibrary, parse_type

TYPES = {
    "int": "int", "bool": "bool", "list-of-int": "list[int]", "list-of-bool": "list[bool]",
}  # fmt: skip
BUDGETS = {"list->list": (1, 10, 60), "other": (10,)}
OTHER = ("list[int] -> int", "list[int] -> bool", "list[int] -> list[bool]")
SEEN = 2 / 3

network_right_on = Deferred("benchmarks.search.network", "right_on")
"""Deferred, so that the processes that search do not load torch."""

Answered: TypeAlias = tuple[Question, tuple[Answer, ...]]
"""A task, and what was answered over time."""

SETTINGS = {
    "seconds": "processor time of one process with one thread, from the call of solve",
    "processes": PROCESSES,
    "seen": "the first two thirds of a task's examples",
    "literals": "none equals a whole input or output, except one that every output is",
    "primitives": len(PRIMITIVES),
    "dreamcoder_primitives": sorted(p.short for p in DREAMCODER),
}


def questions_of(path: Path) -> tuple[Question, ...]:
    """The tasks of a file; those of the kind list->list are not the identity."""
    found = []
    for task in json.loads(gzip.decompress(path.read_bytes())):
        given, want = TYPES[task["type"]["input"]], TYPES[task["type"]["output"]]
        judged = tuple((hard(e["i"]), hard(e["o"])) for e in task["examples"])
        kind = _kind(f"{given} -> {want}")
        if kind == "left out" or (kind == "list->list" and all(i == o for i, o in judged)):
            continue
        seen = judged[: int(len(judged) * SEEN)]
        budget = float(max(BUDGETS[kind]))
        found.append(Question(task["name"], f"{given} -> {want}", seen, judged, budget))
    return tuple(found)


def _kind(type_: str) -> str:
    if type_ == "list[int] -> list[int]":
        return "list->list"
    return "other" if type_ in OTHER else "left out"


def measure(options: Options) -> Metrics:
    questions = questions_of(options.file("list_tasks.json.gz"))
    if options.quick:
        shuffled = Random(options.seed).sample(questions, 5)
        questions = tuple(replace(q, budget=0.5) for q in shuffled)
    found = answers_by_way(questions)
    return {
        **summary(found[FULL]),
        "programs_per_second": rates(questions, options),
        "dreamcoder_primitives": {"primitives": len(DREAMCODER), **summary(found[ALONE])},
        "longer": longer(found[FULL], options),
        "primitives": len(PRIMITIVES),
    }


def answers_by_way(questions: Sequence[Question]) -> dict[Way, list[Answered]]:
    """The answers with all primitives, and with DreamCoder's; those so far are told at the end."""
    found: dict[Way, list[Answered]] = {FULL: [], ALONE: []}
    try:
        for question, answers in all_answers([replace(q, way=w) for w in found for q in questions]):
            found[question.way].append((question, answers))
    finally:
        for way, answered in found.items():
            progress(f"{way.name}: {json.dumps(summary(answered))}")
    return found


def longer(found: Sequence[Answered], options: Options) -> dict[str, Any]:
    """How many solved programs are right on all inputs twice as long; and how many networks.

    A network learns from the examples that the search saw.
    """
    judged, right, network = 0, 0, 0
    for question, answers in found:
        truth = truth_of(question.name, question.judged)
        if truth is None or not answers or not all(answers[-1].right):
            continue
        if options.quick and judged == 1:
            break
        inputs = longer_inputs([given for given, _ in question.judged], options.seed)
        further = tuple((given, truth(given)) for given in inputs)
        judged += 1
        right += all(judged_on(answers[-1].program, further))
        network += network_right_on(question.seen, further, options.seed)
        progress(f"twice as long: {right} programs and {network} networks of {judged}")
    return {"programs": judged, "right": right, "network": network}


def summary(found: Sequence[Answered]) -> dict[str, Any]:
    kinds: dict[str, dict[str, int]] = {}
    explained = held = 0
    for kind, budgets in BUDGETS.items():
        of_kind = [(q, a) for q, a in found if _kind(q.type) == kind]
        solved = kinds[kind] = {"total": len(of_kind)}
        for budget in budgets:
            at = [answer_at(answers, budget) for _, answers in of_kind]
            solved[f"{budget}s"] = sum(answer is not None and all(answer.right) for answer in at)
        for question, answers in of_kind:
            if answers and all(answers[-1].right[: len(question.seen)]):
                explained += 1
                held += all(answers[-1].right)
    return {"solved": kinds, "held_out": held / max(1, explained), "explained": explained}


def rates(questions: Sequence[Question], options: Options) -> dict[str, float]:
    """Programs per second of processor time in Python and compiled, on the same tasks."""
    lists = [q for q in questions if _kind(q.type) == "list->list" and len(q.judged) >= 15]
    chosen = Random(options.seed).sample(lists, min(len(lists), 2 if options.quick else 8))
    seconds = 0.3 if options.quick else 5.0
    engines: dict[str, Engine] = {"python": PlainTerms, "numba": fastest}
    found = {}
    for name, engine in engines.items():
        if engine is fastest:
            rate(chosen[0], engine, 1.0)  # compiles
        measured = [rate(question, engine, seconds) for question in chosen]
        found[name] = sum(n for n, _ in measured) / sum(s for _, s in measured)
        progress(f"{name}: {found[name]:.0f} programs a second")
    return found


def rate(question: Question, engine: Engine, seconds: float) -> tuple[int, float]:
    """How many terms were evaluated, and in how much time; solutions do not end it."""
    inputs, outputs = zip(*question.judged[:15], strict=True)
    task = Task(parse_type(question.type), Examples((inputs,), outputs))
    library = MemoryLibrary.of(PRIMITIVES)
    entries = tuple(library.candidates(task.want, task.given, len(PRIMITIVES)))
    problem = Problem(task, library, entries, Clock(seconds, time.process_time))
    start = time.process_time()
    enumeration = Enumerate(engine=engine).search(problem)
    assert enumeration is not None
    enumeration.lowest, enumeration.found = 0.0, math.inf  # only the time ends it
    with collection_put_off():
        for _ in enumeration.nodes():
            pass
        taken = time.process_time() - start
        enumeration.close()
    counts: Counter[str] = problem.trace.arm("enumerate").counts
    return counts["generated"] - counts["again"], taken


if __name__ == "__main__":
    run("list_tasks", measure, settings=SETTINGS)
