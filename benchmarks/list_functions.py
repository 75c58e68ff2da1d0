"""List functions from three examples each: how many of the others a program predicts.

The task of Rule et al.'s people (joshrule/list-routines-human-experiments): three examples are
seen, the others are predicted.  accuracy: the share of a function's other examples that are right,
its mean over functions; `model` and `dataset` are the two sets of functions.  Controls: the same
search with DreamCoder's primitives and literals alone, and enumeration without division, in the
same time; the input itself; the output seen most often, of as often seen ones the first.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.search.lists import (
    ALONE,
    DREAMCODER,
    ENUMERATION,
    FULL,
    PROCESSES,
    Question,
    all_answers,
    hard,
)
from metaloom_lists import PRIMITIVES
from metaloom_metalearn.solver import ENUMERATED

SEEN = 3
BUDGET = 10.0
KINDS = ("model", "dataset")

SETTINGS = {
    "seconds": f"{BUDGET:g} of processor time a function, on one process with one thread",
    "processes": PROCESSES,
    "seen": SEEN,
    "arms": f"enumeration for {ENUMERATED:.0%} of the time, then division",
    "primitives": len(PRIMITIVES),
    "dreamcoder_primitives": sorted(p.short for p in DREAMCODER),
}


def questions_of(path: Path) -> tuple[Question, ...]:
    """The functions of a file; the examples that judge are those that are not seen."""
    found = []
    for function in json.loads(gzip.decompress(path.read_bytes())):
        examples = tuple((hard(i), hard(o)) for i, o in function["examples"])
        name, type_ = function["file"], "list[int] -> list[int]"
        found.append(Question(name, type_, examples[:SEEN], examples[SEEN:], BUDGET))
    return tuple(found)


def measure(options: Options) -> Metrics:
    questions = questions_of(options.file("list_functions.json.gz"))
    if options.quick:
        shuffled = Random(options.seed).sample(questions, 6)
        questions = tuple(replace(question, budget=0.7) for question in shuffled)
    accuracy = accuracies(questions)
    return {
        "accuracy": accuracy.pop(FULL.name),
        "controls": {
            **accuracy,
            "the input": means({q.name: right(q, [i for i, _ in q.judged]) for q in questions}),
            "the output seen most": means(
                {q.name: right(q, [most_seen(q)] * len(q.judged)) for q in questions}
            ),
        },
        "functions": dict(Counter(kind_of(question.name) for question in questions)),
        "primitives": {FULL.name: len(PRIMITIVES), ALONE.name: len(DREAMCODER)},
    }


def accuracies(questions: Sequence[Question]) -> dict[str, dict[str, float]]:
    """The mean accuracy by way and by kind of function; that so far is told at the end."""
    found: dict[str, dict[str, float]] = {way.name: {} for way in (FULL, ALONE, ENUMERATION)}
    asked = [replace(q, way=way) for way in (FULL, ALONE, ENUMERATION) for q in questions]
    try:
        for question, answers in all_answers(asked):
            last = answers[-1].right if answers else (False,)
            found[question.way.name][question.name] = sum(last) / len(last)
    finally:
        for way, shares in found.items():
            progress(f"{way}: {json.dumps(means(shares))} of {len(shares)} functions")
    return {way: means(shares) for way, shares in found.items()}


def right(question: Question, predicted: Sequence[object]) -> float:
    """The share of the predictions that are right."""
    pairs = zip(predicted, question.judged, strict=True)
    return sum(bool(guess == output) for guess, (_, output) in pairs) / len(predicted)


def most_seen(question: Question) -> object:
    """The output of most of the examples seen."""
    return Counter(output for _, output in question.seen).most_common(1)[0][0]


def means(found: Mapping[str, float]) -> dict[str, float]:
    """The mean by kind of function, of those kinds that there are."""
    kinds = {kind: [a for name, a in found.items() if kind_of(name) == kind] for kind in KINDS}
    return {kind: sum(shares) / len(shares) for kind, shares in kinds.items() if shares}


def kind_of(name: str) -> str:
    """Which set of functions a name is of."""
    return name.split("/")[0]


if __name__ == "__main__":
    run("list_functions", measure, settings=SETTINGS)
