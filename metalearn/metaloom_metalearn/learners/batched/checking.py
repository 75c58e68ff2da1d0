"""Whether the batched engine gives the gradient that plain autograd gives, in float64."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.engine import Engine
from metaloom_metalearn.learners.batched.gradient_steps import GradientSteps
from metaloom_metalearn.learners.batched.plain import PlainJob
from metaloom_registry import InvalidTask


def engine_error(
    engine: Engine, model: nn.Module, episodes: Episodes, steps: GradientSteps
) -> float:
    """The largest difference from plain autograd, beside the largest number of the gradient.

    Computed in float64 on copies, task after task, so a few tasks are enough; about 1e-15 where all
    is well.  Raises InvalidTask where the engine leaves the model to the general way.
    """
    model, episodes = deepcopy(model).double(), _doubled(episodes)
    rates = steps.rates
    if not isinstance(rates, float | int):
        rates = [{name: rate.double() for name, rate in of_step.items()} for of_step in rates]
    steps = replace(steps, rates=rates)
    found = engine.meta_gradient(model, episodes, steps)
    if found is None:
        raise InvalidTask(
            f"the batched engine does not compute {type(model).__name__}; "
            "learners use the general way for it, which is autograd's own"
        )
    with torch.no_grad():
        wanted = PlainJob(model, episodes, steps).part(slice(None)).mean.gradients
    size = max(float(value.abs().max()) for value in wanted.values())
    apart = max(
        float((found.mean.gradients[name] - value).abs().max()) for name, value in wanted.items()
    )
    return apart / max(size, 1e-30)


def _doubled(episodes: Episodes) -> Episodes:
    def double(x: Tensor) -> Tensor:
        return x.double() if x.is_floating_point() else x

    return replace(
        episodes,
        support_x=double(episodes.support_x),
        support_y=double(episodes.support_y),
        query_x=double(episodes.query_x),
        query_y=double(episodes.query_y),
    )
