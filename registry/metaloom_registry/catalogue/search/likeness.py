"""What is like something: blocks that behave like it, and blocks that did well on tasks like it.

How well a block did on a task is the best score of the finished runs it took part in, as an input
or as what came of them: accuracies as they are, errors as 1 / (1 + error).  A task counts for
exp(-d / s), d being the distance of its point and s the median distance of the tasks looked at, so
that the nearest count most whatever the unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection
from sqlmodel import col, select

from metaloom_registry.catalogue.schema import tables

if TYPE_CHECKING:
    from metaloom_registry.catalogue.search.neighbours import Neighbours

SIMILAR_TASKS = 32
"""How many of the nearest tasks count."""

MAX_RUNS = 2_000
ERRORS = ("rmse", "error", "loss")
Keep: TypeAlias = Callable[[Sequence[tuple[int, float]]], set[int]]


@dataclass(frozen=True)
class Target:
    """A point that hits shall be near to, and what people call it; its own node is no hit."""

    space: int
    point: bytes
    label: str
    node: int | None = None


class Nearest:
    """Finds the nodes nearest to a target; what it needs is loaded when it is first asked."""

    def __init__(self, load: Callable[[], Neighbours]) -> None:
        self._load = load
        self._loaded: Neighbours | None = None

    def __call__(
        self,
        connection: Connection,
        target: Target,
        limit: int,
        keep: Keep | None = None,
        only: Sequence[int] | None = None,
    ) -> list[tuple[int, float]]:
        """Nodes and their distances, the nearest first, of those that `keep` keeps."""
        if self._loaded is None:
            self._loaded = self._load()
        return self._loaded.nearest(connection, target.space, target.point, limit, keep, only)


@dataclass(frozen=True, slots=True)
class Success:
    """How well a block did on similar tasks, from 0 to 1, and in which words."""

    score: float
    why: str


def successes(connection: Connection, nearest: Nearest, task: Target) -> Mapping[int, Success]:
    """The blocks that took part in finished runs on the tasks nearest to this one."""
    near = nearest(connection, task, SIMILAR_TASKS)
    if not near:
        return {}
    unit = median(distance for _, distance in near) or 1.0
    weights = {node: math.exp(-distance / unit) for node, distance in near}
    distances = dict(near)
    runs = {}
    rows = connection.execute(
        select(tables.Run.id, tables.Run.task_id, tables.Run.scores)
        .where(col(tables.Run.task_id).in_(list(weights)), tables.Run.status == "finished")
        .order_by(col(tables.Run.id).desc())
        .limit(MAX_RUNS)
    )
    for run, of, scores in rows:
        measured = best_score(scores)
        if run is not None and of is not None and measured is not None:
            runs[run] = (of, *measured)
    best: dict[tuple[int, int], tuple[float, str]] = {}
    for run, block in _blocks(connection, list(runs)):
        of, score, said = runs[run]
        if score > best.get((block, of), (-1.0, ""))[0]:
            best[block, of] = score, said
    return _weighed(best, weights, distances)


def _weighed(
    best: Mapping[tuple[int, int], tuple[float, str]],
    weights: Mapping[int, float],
    distances: Mapping[int, float],
) -> Mapping[int, Success]:
    """The mean over a block's tasks, all in proportion to the weight of what it was tried on."""
    tasks: dict[int, list[int]] = {}
    for block, of in best:
        tasks.setdefault(block, []).append(of)
    heaviest = max(weights.values())
    found = {}
    for block, its in tasks.items():
        nearest = min(its, key=lambda of: distances[of])
        total = sum(weights[of] for of in its)
        mean = sum(weights[of] * best[block, of][0] for of in its) / total
        why = f"{best[block, nearest][1]} on a task {distances[nearest]:.3g} apart"
        more = f", of {len(its)} like it" if len(its) > 1 else ""
        found[block] = Success(mean * weights[nearest] / heaviest, why + more)
    return found


def best_score(scores: Mapping[str, Any]) -> tuple[float, str] | None:
    """How well a run did, from 0 to 1, by its query if that was measured, else by its support."""
    for part in ("query", "support"):
        for name, value in sorted(scores.items()):
            if not name.startswith(part) or name.endswith((" low", " high")):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            error = any(word in name for word in ERRORS)
            score = 1 / (1 + max(0.0, value)) if error else min(1.0, max(0.0, value))
            return score, f"{name} {value:.3g}"
    return None


def _blocks(connection: Connection, runs: Sequence[int]) -> list[tuple[int, int]]:
    """Each run with each block that went into it or came of it."""
    found: list[tuple[int, int]] = []
    for start in range(0, len(runs), 500):
        some = runs[start : start + 500]
        for near, far in (
            (tables.Edge.child_id, tables.Edge.parent_id),
            (tables.Edge.parent_id, tables.Edge.child_id),
        ):
            found += connection.execute(
                select(near, far).where(col(near).in_(some), col(far) == tables.Block.id)
            ).all()
    return found
