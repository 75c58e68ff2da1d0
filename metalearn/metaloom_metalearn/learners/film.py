"""FiLM: a scale and a shift for each channel of a frozen model.

Perez et al. 2018, eq. 2: gamma * F + beta for each feature map F; as few-shot adapters Requeima et
al. 2019 (CNAPs).  After a layer of weight W and bias b that is the layer of weight gamma W and bias
gamma b + beta, so nothing is added to the network that is computed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.learners.finetune import chosen_optimiser, fine_tune
from metaloom_metalearn.learners.learner import Choice, Loss, every, natural_loss
from metaloom_metalearn.learners.optimisers import Optimiser
from metaloom_metalearn.learners.patched import PatchTune, Values, of_the_patch


def _start(parameters: Values, generator: torch.Generator) -> dict[str, Tensor]:
    """Ones and zeros after each norm with weight and bias, or each layer where there is no norm."""
    del generator
    layers = [
        name.removesuffix("weight")
        for name, weight in parameters.items()
        if (name == "weight" or name.endswith(".weight"))
        and (bias := parameters.get(f"{name.removesuffix('weight')}bias")) is not None
        and bias.shape == weight.shape[: bias.dim()]
    ]
    norms = [name for name in layers if parameters[f"{name}weight"].dim() == 1]
    learned = {}
    for name in norms or layers:
        bias = parameters[f"{name}bias"]
        learned[f"{name} gamma"] = torch.ones_like(bias)
        learned[f"{name} beta"] = torch.zeros_like(bias)
    return learned


def _modulated(parameters: Values, learned: Values) -> dict[str, Tensor]:
    found = {}
    for key, gamma in learned.items():
        name, _, which = key.rpartition(" ")
        if which == "gamma":
            weight, bias = parameters[f"{name}weight"], parameters[f"{name}bias"]
            along = gamma.reshape(*gamma.shape, *(1 for _ in weight.shape[gamma.dim() :]))
            found[f"{name}weight"] = along * weight
            found[f"{name}bias"] = gamma * bias + learned[f"{name} beta"]
    return found


def film(
    steps: int = 100,
    optimiser: Optimiser | None = None,
    batch: int | None = None,
    loss: Loss = natural_loss,
    chosen: Choice = every,
    clock: Clock | None = None,
    lr: float | None = None,
) -> PatchTune:
    """Adapt a frozen model by a scale and a shift for each channel of its norms.

    Where it has no norm with weight and bias, of each of its layers that has both.  The rate is by
    default 0.05; the other settings are those of `fine_tune`.
    """
    best = chosen_optimiser(optimiser, lr, 0.05)
    return PatchTune(
        _start, _modulated, fine_tune(steps, best, batch, loss, of_the_patch, clock), chosen
    )
