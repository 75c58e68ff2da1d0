"""How good a few-shot method is: over many tasks, in the worst of them, and beyond the support."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from metaloom_metalearn.episodes import Episodes, EpisodeSource, draw_episodes
from metaloom_metalearn.evaluation.answers import Answers
from metaloom_metalearn.evaluation.conditions import Condition
from metaloom_metalearn.evaluation.interval import Interval
from metaloom_metalearn.tasks import TaskSource
from metaloom_registry import InvalidTask

BINS = 15
"""The bins of confidence of the calibration error, as in Guo et al. 2017."""


@dataclass(frozen=True)
class Performance:
    """What `evaluate` found.

    measure: `accuracy`, in percent, or `mse`, the mean squared error.  score: its mean over the
    tasks.  by_task: float64 [tasks].  worst: the mean over the worst tenth of the tasks.
    calibration: the expected calibration error in percent points, None for regression.  by_class:
    the accuracy for each class of the source that was drawn, where the source tells them apart.
    under: the score on the same tasks with changed queries, by the name of the condition.
    """

    measure: str
    score: Interval
    by_task: Tensor
    worst: float
    calibration: float | None
    by_class: Mapping[str, float]
    under: Mapping[str, Interval]


def evaluate(
    answers: Answers,
    source: TaskSource | EpisodeSource,
    episodes: int,
    generator: torch.Generator,
    conditions: Mapping[str, Condition] | None = None,
    chunk: int = 50,
) -> Performance:
    """Let `answers` answer `episodes` tasks, `chunk` at a time, and again under each condition.

    Calibration as in Guo et al. 2017, eq. 3, over all queries together.  Raises InvalidTask where
    there are fewer than two episodes, or the answers are not of the shape of the queries.
    """
    scores: list[Tensor] = []
    right: list[Tensor] = []
    sure: list[Tensor] = []
    owners: list[Tensor] = []
    under: dict[str, list[Tensor]] = {name: [] for name in conditions or {}}
    classes = 0
    for first in range(0, episodes, chunk):
        batch = draw_episodes(source, min(chunk, episodes - first), generator)
        classes = batch.classes
        found = _answered(answers, batch)
        scores.append(_scores(found, batch))
        if classes:
            sure.append(found.softmax(-1).amax(-1).flatten().cpu())
            right.append((found.argmax(-1) == batch.query_y).flatten().cpu())
            if batch.drawn is not None:
                owners.append(batch.drawn.gather(1, batch.query_y).flatten().cpu())
        for name, condition in (conditions or {}).items():
            changed = condition(batch, answers, generator)
            under[name].append(_scores(_answered(answers, changed), changed))
    by_task = torch.cat(scores) if scores else torch.empty(0)
    score = Interval.of(by_task)
    tenth = max(1, round(len(by_task) / 10))
    return Performance(
        measure="accuracy" if classes else "mse",
        score=score,
        by_task=by_task,
        worst=float(by_task.sort(descending=not classes).values[:tenth].mean()),
        calibration=calibration_error(torch.cat(sure), torch.cat(right)) if classes else None,
        by_class=_by_class(torch.cat(right), torch.cat(owners), source) if owners else {},
        under={name: Interval.of(torch.cat(values)) for name, values in under.items()},
    )


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """The expected calibration error in percent points (Guo et al. 2017, eq. 3).

    confidence: of each answer, from 0 to 1.  right: whether it was right.
    """
    place = (confidence * BINS).ceil().clamp(1, BINS).long() - 1
    zeros = torch.zeros(BINS, dtype=torch.float64)
    gap = zeros.index_add(0, place, right.double() - confidence.double())
    return 100 * float(gap.abs().sum()) / len(confidence)


def _answered(answers: Answers, batch: Episodes) -> Tensor:
    """The answers, cut off from any graph. Raises InvalidTask for a wrong shape."""
    found = answers(batch.without_answers()).detach().to(batch.query_y.device)
    wanted = (*batch.query_y.shape, batch.classes) if batch.classes else batch.query_y.shape
    if found.shape != wanted and not (not batch.classes and found.numel() == batch.query_y.numel()):
        raise InvalidTask(
            f"the answers are {list(found.shape)}; wanted is {list(wanted)}: "
            f"{'a logit for each class' if batch.classes else 'a value'} for each query"
        )
    return found


def _scores(found: Tensor, batch: Episodes) -> Tensor:
    """One score a task."""
    if batch.classes:
        return 100 * (found.argmax(-1) == batch.query_y).double().mean(1).cpu()
    error = found.reshape(batch.query_y.shape) - batch.query_y
    return error.double().square().flatten(1).mean(1).cpu()


def _by_class(right: Tensor, owner: Tensor, source: object) -> dict[str, float]:
    names = getattr(source, "names", None)
    counts = owner.bincount()
    hits = torch.zeros(len(counts), dtype=torch.float64).index_add(0, owner, right.double())
    return {
        names[place] if names else str(place): 100 * float(hits[place] / counts[place])
        for place in counts.nonzero().flatten().tolist()
    }
