"""How good few-shot methods are: accuracy over episodes with intervals, differences paired."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_metalearn.episodes import Episodes, EpisodeSource, draw_episodes
from metaloom_metalearn.learners.learner import Learner
from metaloom_metalearn.learners.metric import Head
from metaloom_metalearn.tasks import Examples, TaskSource
from metaloom_metalearn.values import Support
from metaloom_registry import InvalidTask

Method: TypeAlias = Callable[[Episodes], Tensor]
"""What is evaluated: `episodes -> labels` int64 [tasks, q], never looking at the query labels."""


@dataclass(frozen=True)
class Interval:
    """A mean over n episodes with its 95 % interval, mean plus or minus `half`.

    `half` is 1.96 standard errors (for fewer than 30 episodes Student's quantile is larger: the
    interval is then too narrow).
    """

    mean: float
    half: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float] | Tensor) -> Interval:
        """The mean of at least two values. Raises InvalidTask for fewer."""
        column = torch.as_tensor(values, dtype=torch.float64)
        if column.numel() < 2:
            raise InvalidTask(
                f"{column.numel()} episodes have no confidence interval; evaluate at least 2"
            )
        error = float(column.std()) / math.sqrt(column.numel())
        return cls(float(column.mean()), 1.96 * error, column.numel())

    @property
    def low(self) -> float:
        return self.mean - self.half

    @property
    def high(self) -> float:
        return self.mean + self.half

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.half:.2f}"


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

    def method(episodes: Episodes) -> Tensor:
        count = episodes.support_x.shape[1]
        together = torch.cat([episodes.support_x, episodes.query_x], 1)
        with torch.no_grad():
            features = encoder(together.flatten(0, 1)).unflatten(0, (len(episodes), -1))
            support = Support(features[:, :count], episodes.support_y, episodes.classes)
            return head(support, features[:, count:]).argmax(-1)

    return method


def with_learner(model: nn.Module, learner: Learner, generator: torch.Generator) -> Method:
    """The method that adapts `model` to each support in turn, and then predicts."""

    def method(episodes: Episodes) -> Tensor:
        labels = []
        for x, y, queries in zip(
            episodes.support_x, episodes.support_y, episodes.query_x, strict=True
        ):
            adapted = learner(model, Examples((x,), y), generator)
            labels.append(adapted.predict(queries).argmax(-1))
        return torch.stack(labels)

    return method


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
        hidden = Episodes(
            batch.support_x,
            batch.support_y,
            batch.query_x,
            torch.full_like(batch.query_y, -1),
            batch.classes,
        )
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
