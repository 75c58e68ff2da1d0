"""How episodes are answered: by a head on embeddings, or by a learner that adapts to each task."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_metalearn.engines.batched.values import Support
from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.learner import Learner
from metaloom_metalearn.learners.metric import Head
from metaloom_metalearn.tasks import Examples

Answers: TypeAlias = Callable[[Episodes], Tensor]
"""`episodes -> logits [tasks, q, classes]`, or values as `query_y` where there are no classes.

Never looks at `query_y`.  Differentiable in `query_x` where that requires a gradient.  Examples are
taken to the device of the model, where the answers stay.
"""


def by_head(encoder: nn.Module, head: Head) -> Answers:
    """Embed support and query with `encoder`, unchanged, and read the query with `head`."""

    def answers(episodes: Episodes) -> Tensor:
        episodes = _beside(encoder, episodes)
        tasks, count = len(episodes), episodes.support_x.shape[1]
        together = torch.cat([episodes.support_x, episodes.query_x], 1)
        with torch.set_grad_enabled(episodes.query_x.requires_grad):
            features = encoder(together.flatten(0, 1)).unflatten(0, (tasks, -1))
            support = Support(features[:, :count], episodes.support_y, episodes.classes)
            return head(support, features[:, count:])

    return answers


def by_learner(model: nn.Module, learner: Learner, generator: torch.Generator) -> Answers:
    """Adapt `model` to each support in turn, and then predict."""

    def answers(episodes: Episodes) -> Tensor:
        found = []
        episodes = _beside(model, episodes)
        for x, y, queries in zip(
            episodes.support_x, episodes.support_y, episodes.query_x, strict=True
        ):
            adapted = learner(model, Examples((x,), y), generator)
            with torch.set_grad_enabled(queries.requires_grad):
                found.append(adapted(queries))
        return torch.stack(found)

    return answers


def _beside(model: nn.Module, episodes: Episodes) -> Episodes:
    """The episodes on the device of the model, where it has one."""
    first = next(model.parameters(), None)
    return episodes if first is None else episodes.to(first.device)
