"""Meta-gradients of a model equipped with learned rates, by the batched engine."""

from __future__ import annotations

from dataclasses import replace

import torch

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.batched.engine import Engine
from metaloom_metalearn.learners.batched.gradient_steps import GradientSteps
from metaloom_metalearn.learners.equipped import MODEL, Equipped, name_of_learned
from metaloom_metalearn.learners.learner import MetaGradient, buffers_of, parameters_of


def gradient_with_rates(
    engine: Engine,
    model: Equipped,
    episodes: Episodes,
    steps: GradientSteps,
    chunk: int | None = None,
    *,
    of_each_step: bool,
) -> MetaGradient | None:
    """As `Engine.meta_gradient`, of the model and of its rates `rate.NAME`.

    of_each_step: a learned rate is a row of one number a step; else it is used in every step.
    `steps.rates` is the rate of parameters that have no learned one.
    """
    own = parameters_of(model)
    usual = steps.rates
    assert isinstance(usual, float | int)
    names = [name for name in parameters_of(model.model) if steps.inner(name)]
    learned = {
        name: name_of_learned(f"rate.{name}")
        for name in names
        if name_of_learned(f"rate.{name}") in own
    }
    constant = next(iter(own.values())).new_tensor(usual)
    rates = [dict.fromkeys(names, constant) for _ in range(steps.steps)]
    for step, of_step in enumerate(rates):
        of_step |= {
            name: own[place][step] if of_each_step else own[place]
            for name, place in learned.items()
        }
    found = engine.meta_gradient(model.model, episodes, replace(steps, rates=rates), chunk)
    if found is None:
        return None
    gradients = {name: torch.zeros_like(value) for name, value in own.items()}
    gradients |= {MODEL + name: value for name, value in found.mean.gradients.items()}
    for name, place in learned.items():
        each = [of_step[name] for of_step in found.rates]
        if each:
            gradients[place] = torch.stack(each) if of_each_step else torch.stack(each).sum(0)
    buffers = buffers_of(model)
    buffers |= {MODEL + name: value for name, value in found.mean.buffers.items()}
    return replace(found.mean, gradients=gradients, buffers=buffers)
