"""What the registry remembers of work on a task: the task's digest, and the run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from metaloom.solving.conditions import told
from metaloom.solving.task_points import task_point
from metaloom.vocabulary import Vocabulary
from metaloom_metalearn import Examples, Solution, Task
from metaloom_registry import (
    Digest,
    Json,
    MetaloomError,
    Parent,
    Reference,
    dump_canonical,
    print_term,
    references,
)
from metaloom_registry.catalogue import Leak, RunRecord, TaskRecord

ADAPT = "adapt"
"""The kind of run that changes a program's parameters, beside `solve`."""


def task_digest(task: Task) -> Digest:
    """The identity of a task: its type, examples, memory and what it allows; not its name."""
    said: dict[str, Json] = {
        "type": str(task.type),
        "support": _examples(task.support),
        "query": None if task.query is None else _examples(task.query),
    }
    if task.memory is not None:
        said["memory"] = str(task.memory)
    if task.allows:
        said["allows"] = sorted(task.allows)
    return Digest.of(dump_canonical(said))


def _examples(examples: Examples) -> Json:
    return {
        "inputs": [_value(column) for column in examples.inputs],
        "outputs": _value(examples.outputs),
    }


def _value(value: Any) -> Json:
    """A value as JSON; a tensor by its dtype, shape and the digest of its bytes."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return [[_value(key), _value(item)] for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return sorted((_value(item) for item in value), key=dump_canonical)
    if isinstance(value, Sequence):
        return [_value(item) for item in value]
    array = value.detach().cpu().contiguous().numpy()
    return {
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "digest": str(Digest.of(array.tobytes())),
    }


@dataclass(frozen=True)
class Work:
    """One solve or adaptation: the task, what was asked, when it began (seconds since 1970).

    `leaks` are the blocks used that were trained on classes of the task, `conditions` what it was
    done under, so that it can be done again: see `metaloom.solving.conditions`.
    """

    task: Task
    seed: int | None
    budget: float | None
    started: float
    seconds: float
    kind: str = "solve"
    leaks: tuple[Leak, ...] = ()
    conditions: Mapping[str, Json] = field(default_factory=dict)

    def record(self, solution: Solution | None, error: str = "") -> RunRecord:
        """The run as the registry remembers it; without a solution, a run that found none."""
        task = TaskRecord(
            task_digest(self.task),
            self.task.name,
            self.task.type,
            {"support": len(self.task.support), "query": len(self.task.query or ())},
            task_point(self.task),
        )
        run = RunRecord(
            kind=self.kind,
            started=self.started,
            seconds=self.seconds,
            task=task,
            seed=self.seed,
            budget=self.budget,
        )
        if solution is None:
            facts = {"error": error, **self.conditions}
            return replace(run, status="no-solution", facts=facts)
        used = [r for r in references(solution.term) if r not in solution.parts]
        adapted = {parent for part in solution.parts.values() for parent in part.parents}
        return replace(
            run,
            term=print_term(solution.term),
            scores=scores_of(solution),
            facts={
                "search": solution.search,
                "tried": solution.tried,
                "cost": solution.cost if math.isfinite(solution.cost) else None,
                "leakage": {str(leak.block): len(leak.classes) for leak in self.leaks},
                **self.conditions,
            },
            inputs=(
                *(Parent(r.selector, "uses") for r in used if isinstance(r.selector, Digest)),
                *(Parent(digest, "adapted") for digest in sorted(adapted)),
            ),
            requires=tuple(r for r in used if not isinstance(r.selector, Digest)),
        )

    def message(
        self, run: RunRecord, solution: Solution | None, vocabulary: Vocabulary
    ) -> Mapping[str, Json]:
        """What MLflow is told of the run; see `metaloom.lineage.mirror`."""
        asked = self._asked(run)
        if solution is None:
            return {**asked, "metrics": {"seconds": self.seconds}, "error": run.facts["error"]}
        versions = [vocabulary.registry.resolve(Reference(None, p.digest)) for p in run.inputs]
        return {
            **asked,
            "metrics": {
                **{k: v for k, v in run.scores.items() if isinstance(v, float)},
                "seconds": self.seconds,
                "tried": float(solution.tried),
                **({"cost": solution.cost} if math.isfinite(solution.cost) else {}),
            },
            "params": {**asked["params"], "search": solution.search},
            "signature": str(solution.term_type),
            "term": print_term(vocabulary.named(solution.term)),
            "source": _source(solution),
            "inputs": [
                {
                    "digest": str(version.digest),
                    "reference": str(version.reference),
                    "kind": version.kind,
                    "signature": str(version.type),
                }
                for version in versions
            ],
        }

    def _asked(self, run: RunRecord) -> dict[str, Any]:
        """What is told of any run: the task, how it was worked on, and how that ended."""
        assert run.task is not None
        return {
            "name": self.task.name,
            "time": self.started,
            "seconds": self.seconds,
            "status": run.status,
            "params": {
                "seed": self.seed,
                "budget": self.budget,
                "task": str(run.task.digest),
                "type": str(self.task.type),
                **told(self.conditions),
            },
            "tags": {
                "metaloom.task": str(run.task.digest),
                "metaloom.run": str(run.digest),
                "metaloom.primitives": " ".join(map(str, run.requires)),
                "metaloom.leakage": " ".join(str(leak.block) for leak in self.leaks),
            },
        }


def _source(solution: Solution) -> str:
    """The program as Python, where it can be written at all."""
    try:
        return solution.source
    except MetaloomError:
        return ""


def scores_of(solution: Solution) -> dict[str, float]:
    """Every finite score with its bounds, by name: `query accuracy`, `query accuracy low` ..."""
    found: dict[str, float] = {}
    for name, score in (
        ("support", solution.support_score),
        ("query", solution.query_score),
        ("query", solution.query_rmse),
    ):
        if score is not None:
            for suffix, value in (("", score.value), (" low", score.low), (" high", score.high)):
                if math.isfinite(value):
                    found[f"{name} {score.measure}{suffix}"] = float(value)
    return found
