"""Methods side by side on the same episodes: accuracies with intervals, differences paired."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_metalearn.episodes import Episodes, EpisodeSource, draw_episodes
from metaloom_metalearn.evaluation.answers import Answers, by_head, by_learner
from metaloom_metalearn.evaluation.interval import Interval
from metaloom_metalearn.learners.learner import Learner
from metaloom_metalearn.learners.metric import Head
from metaloom_metalearn.tasks import TaskSource
from metaloom_registry import InvalidTask

Method: TypeAlias = Callable[[Episodes], Tensor]
"""What is evaluated: `episodes -> labels` int64 [tasks, q], never looking at the query labels."""


@dataclass(frozen=True)
class Evaluation:
    """Accuracies in percent of several methods over the same episodes.

    `by_episode` holds float64 [episodes] for each method.
    """

    by_episode: Mapping[str, Tensor]

    def accuracy(self, method: str) -> Interval:
        """The mean accuracy of one method."""
        return Interval.of(self.by_episode[method])

    def difference(self, method: str, other: str) -> Interval:
        """By how many points a method is better than another, paired by episode."""
        return Interval.of(self.by_episode[method] - self.by_episode[other])

    def best(self, methods: Sequence[str]) -> str:
        """The method with the highest mean accuracy, the first of equals."""
        return max(methods, key=lambda method: float(self.by_episode[method].mean()))


def with_head(encoder: nn.Module, head: Head) -> Method:
    """The method that embeds an episode with `encoder`, unchanged, and reads it with `head`."""
    return _labels(by_head(encoder, head))


def with_learner(model: nn.Module, learner: Learner, generator: torch.Generator) -> Method:
    """The method that adapts `model` to each support in turn, and then predicts."""
    return _labels(by_learner(model, learner, generator))


def _labels(answers: Answers) -> Method:
    return lambda episodes: answers(episodes).argmax(-1)


def compare(
    methods: Mapping[str, Method],
    source: TaskSource | EpisodeSource,
    episodes: int,
    generator: torch.Generator,
    chunk: int = 100,
) -> Evaluation:
    """Let every method answer the same `episodes` tasks, `chunk` at a time.

    Raises InvalidTask where a method gives other than one label for each query.
    """
    found: dict[str, list[Tensor]] = {name: [] for name in methods}
    for first in range(0, episodes, chunk):
        batch = draw_episodes(source, min(chunk, episodes - first), generator)
        hidden = batch.without_answers()
        for name, method in methods.items():
            labels = method(hidden)
            if labels.shape != batch.query_y.shape:
                raise InvalidTask(
                    f"the method {name!r} gives {list(labels.shape)} for queries "
                    f"{list(batch.query_y.shape)}; wanted is one label for each query"
                )
            right = labels.to(batch.query_y.device) == batch.query_y
            found[name].append(100 * right.double().mean(1).cpu())
    return Evaluation({name: torch.cat(values) for name, values in found.items()})
