"""LoRA: a frozen weight plus a product of two thin matrices.

Hu et al. 2022: W = W0 + (alpha / r) B A with B [out, r] at zero and A [r, in] at random (eq. 3), of
which only A and B are trained.  A convolution's weight is the matrix [out, in * height * width].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.learners.finetune import chosen_optimiser, fine_tune
from metaloom_metalearn.learners.learner import Choice, Loss, every, natural_loss
from metaloom_metalearn.learners.optimisers import Optimiser
from metaloom_metalearn.learners.patched import PatchTune, Values, of_the_patch
from metaloom_registry import ParseError


@dataclass(frozen=True)
class LowRank:
    """Products of rank `rank` for every weight of two axes or more, `alpha / rank` times each."""

    rank: int
    alpha: float

    def start(self, parameters: Values, generator: torch.Generator) -> dict[str, Tensor]:
        """A at random with a variance of 1 / in, B at zero, for each weight."""
        learned = {}
        for name, weight in parameters.items():
            if weight.dim() < 2:
                continue
            out, width = weight.flatten(1).shape
            rank = min(self.rank, out, width)
            thin = torch.randn(rank, width, generator=generator) / width**0.5
            learned[f"{name} A"] = thin.to(weight)
            learned[f"{name} B"] = weight.new_zeros(out, rank)
        return learned

    def __call__(self, parameters: Values, learned: Values) -> dict[str, Tensor]:
        found = {}
        for key, thin in learned.items():
            name, _, which = key.rpartition(" ")
            if which == "A":
                weight = parameters[name]
                change = (learned[f"{name} B"] @ thin).reshape(weight.shape)
                found[name] = weight + self.alpha / self.rank * change
        return found


def lora(
    rank: int = 4,
    alpha: float | None = None,
    steps: int = 100,
    optimiser: Optimiser | None = None,
    batch: int | None = None,
    loss: Loss = natural_loss,
    chosen: Choice = every,
    clock: Clock | None = None,
    lr: float | None = None,
) -> PatchTune:
    """Adapt the chosen weights of a frozen model by products of rank `rank`.

    `alpha` is by default the rank, so that products count as they are.  The rate is by default
    0.01; the other settings are those of `fine_tune`.
    """
    if rank < 1:
        raise ParseError(f"{rank} is no rank; give 1 or more")
    patch = LowRank(rank, float(rank if alpha is None else alpha))
    best = chosen_optimiser(optimiser, lr, 0.01)
    return PatchTune(
        patch.start, patch, fine_tune(steps, best, batch, loss, of_the_patch, clock), chosen
    )
