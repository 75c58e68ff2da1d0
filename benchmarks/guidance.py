"""Neural guidance against none: how many programs a search makes until it is right.

Half of the list tasks are for training, half for the test, drawn by the seed.  Three priors, each
on the same test tasks with the same seconds of processor time a task: uniform weights; weights
refitted to the solved training tasks (how often each block is used, one more each); and a
recognition network trained on these and on dreams over the training inputs.  How strongly the
network is listened to is chosen on training tasks that it has not seen.

solved: test tasks whose seen examples are all right within the budget, over all seeds, with the
Wilson interval.  programs_ratio: of tasks that both solve, the geometric mean of programs made
under a prior by those under uniform weights, with a bootstrap interval; below 1 is better.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

import torch

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.list_tasks import questions_of
from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Clock, Enumerate, Examples, Prior, Problem, Task, Uniform, Weights
from metaloom_metalearn.scores import share
from metaloom_metalearn.search.guidance.derivation import choices, node_of, tables
from metaloom_metalearn.search.guidance.recognition import (
    Guidance,
    Lesson,
    dreams,
    lesson_of,
    train_recognition,
)
from metaloom_metalearn.search.strategies.space import Space
from metaloom_registry import Entry, MemoryLibrary, Reference, Term, parse_type

TYPE = "list[int] -> list[int]"
SEEDS = 3
STRENGTHS = (0.25, 0.5, 1.0)
LIBRARY = MemoryLibrary.of(PRIMITIVES)
SETTINGS = {"type": TYPE, "seeds": SEEDS, "strengths": list(STRENGTHS), "steps": 1500}


def problem_of(task: Task, seconds: float, prior: Prior, seed: int = 0) -> Problem:
    entries: tuple[Entry, ...] = tuple(LIBRARY.candidates(task.want, task.given, 1000))
    generator = torch.Generator().manual_seed(seed)
    clock = Clock(seconds, time.process_time)
    return Problem(task, LIBRARY, entries, clock, prior, generator=generator)


def solved(task: Task, seconds: float, prior: Prior) -> tuple[Term, int] | None:
    """The first program that is right on every example, and how many were made until then."""
    problem = problem_of(task, seconds, prior)
    for one in Enumerate().run(problem):
        if one.exact:
            return one.candidate.term, problem.trace.arm("enumerate").counts["generated"]
    return None


def refitted(found: Sequence[Term]) -> Weights:
    """How often each block is used in these programs, and once more."""
    uses: Counter[Reference] = Counter()
    for term in found:
        problem = problem_of(_blank(), 1.0, Uniform())
        space = Space.of(problem, "refit")
        node = None if space is None else node_of(space, term)
        if space is not None and node is not None:
            for (_, reference), count in choices(space, node).items():
                if reference is not None:
                    uses[reference] += count
    return Weights({p.reference: math.log(1 + uses[p.reference]) for p in PRIMITIVES})


def _blank() -> Task:
    return Task(parse_type(TYPE), Examples((((1, 2), (3,)),), ((2,), (9, 1))))


def recognised(training: Sequence[Task], known: dict[str, Term], count: int, seed: int) -> Guidance:
    """A network trained on the solved tasks and on dreams over the inputs of all of them."""
    lessons: list[Lesson] = []
    made = None
    for number, task in enumerate(training):
        space = Space.of(problem_of(task, 1e6, Uniform(), seed + number), "dreams")
        assert space is not None
        made = made or tables(space.grammar)
        node = node_of(space, known[task.name]) if task.name in known else None
        if node is not None:
            lessons += [lesson_of(space.examples, choices(space, node))] * 5
        each = dreams(space)
        lessons += [next(each) for _ in range(count // len(training))]
    assert made is not None
    generator = torch.Generator().manual_seed(seed)
    return train_recognition(lessons, made, generator)


def measured(tasks: Sequence[Task], options: Options, seed: int) -> dict[str, list[int | None]]:
    """The programs made until a test task was solved, or None, by prior."""
    seconds, count = (0.3, 300) if options.quick else (1.5, 3000)
    half = len(tasks) // 2
    training, test = tasks[:half], tasks[half:]
    known = {}
    for task in training:
        answer = solved(task, seconds, Uniform())
        if answer is not None:
            known[task.name] = answer[0]
    progress(f"seed {seed}: {len(known)} of {half} training tasks solved")
    fourth = max(1, half // 4)
    kept = recognised(training[fourth:], known, count, seed)
    guide = replace(kept, strength=chosen(kept, training[:fourth], known))
    progress(f"seed {seed}: strength {guide.strength}")
    priors: dict[str, Prior] = {
        "uniform": Uniform(), "refitted": refitted(list(known.values())), "guided": guide,
    }  # fmt: skip
    found: dict[str, list[int | None]] = {}
    for name, prior in priors.items():
        answers = [solved(task, seconds, prior) for task in test]
        found[name] = [None if answer is None else answer[1] for answer in answers]
        progress(f"seed {seed}: {name} solved {sum(one is not None for one in found[name])}")
    return found


def chosen(guide: Guidance, tasks: Sequence[Task], known: dict[str, Term]) -> float:
    """The strength under which the known programs of held-out tasks cost least."""

    def cost(strength: float) -> float:
        total = 0.0
        for task in tasks:
            if task.name in known:
                prior = replace(guide, strength=strength)
                space = Space.of(problem_of(task, 1e6, prior), "strength")
                node = None if space is None else node_of(space, known[task.name])
                total += node.cost if node is not None else 0.0
        return total

    return min(STRENGTHS, key=cost)


def measure(options: Options) -> Metrics:
    questions = [q for q in questions_of(options.file("list_tasks.json.gz")) if q.type == TYPE]
    found: dict[str, list[int | None]] = {}
    for seed in range(options.seed, options.seed + (1 if options.quick else SEEDS)):
        some = Random(seed).sample(questions, 16 if options.quick else min(64, len(questions)))
        tasks = []
        for question in some:
            inputs, outputs = zip(*question.seen, strict=True)
            support = Examples((inputs,), outputs)
            tasks.append(Task(parse_type(TYPE), support, name=question.name))
        for name, answers in measured(tasks, options, seed).items():
            found.setdefault(name, []).extend(answers)
    return {
        "solved": {name: _solved(answers) for name, answers in found.items()},
        "programs_ratio": {
            name: ratio(answers, found["uniform"], options.seed)
            for name, answers in found.items()
            if name != "uniform"
        },
        "tests": len(found["uniform"]),
    }


def _solved(answers: Sequence[int | None]) -> dict[str, Any]:
    score = share([answer is not None for answer in answers], "solved")
    return {"share": score.value, "ci95": [score.low, score.high]}


def ratio(ours: Sequence[int | None], theirs: Sequence[int | None], seed: int) -> dict[str, Any]:
    """The geometric mean of ours by theirs where both are there, with a bootstrap interval."""
    logs = [
        math.log(one / other)
        for one, other in zip(ours, theirs, strict=True)
        if one is not None and other is not None
    ]
    if not logs:
        return {"mean": None, "tasks": 0}
    random = Random(seed)
    means = sorted(sum(random.choices(logs, k=len(logs))) / len(logs) for _ in range(2000))
    interval = [math.exp(means[50]), math.exp(means[-51])]
    return {"mean": math.exp(sum(logs) / len(logs)), "ci95": interval, "tasks": len(logs)}


if __name__ == "__main__":
    run("guidance", measure, settings=SETTINGS)
