"""A frozen model whose weights are computed from a few new numbers: what LoRA and FiLM train."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaloom_metalearn.learners.choices import adaptable
from metaloom_metalearn.learners.finetune import FineTune
from metaloom_metalearn.learners.learner import Adapted, Choice
from metaloom_metalearn.learners.statistics import Predicting
from metaloom_metalearn.tasks import Examples
from metaloom_registry import InvalidTask

Values: TypeAlias = Mapping[str, Tensor]
"""Tensors by name."""

Patch: TypeAlias = Callable[[Values, Values], dict[str, Tensor]]
"""`(the model's parameters, what is learned) -> the parameters that change`, by name."""

Start: TypeAlias = Callable[[Values, torch.Generator], dict[str, Tensor]]
"""`(the parameters that may change, generator) -> what is learned, as it begins`."""


class Patched(nn.Module):
    """Computes `model` with some parameters replaced by what `patch` makes of the learned ones.

    The model's own parameters are frozen and stay as they are, bit by bit.
    """

    def __init__(self, model: nn.Module, learned: Values, patch: Patch) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.names = tuple(learned)
        self.learned = nn.ParameterList([nn.Parameter(value) for value in learned.values()])
        self.patch = patch
        self.training = model.training

    def forward(self, *inputs: Any) -> Any:
        return functional_call(self.model, self.replaced(), inputs)

    def replaced(self) -> dict[str, Tensor]:
        """The parameters of the model that differ from its own."""
        learned = dict(zip(self.names, self.learned, strict=True))
        return self.patch(dict(self.model.named_parameters()), learned)


def merged(adapted: Adapted) -> Adapted:
    """The same result as one ordinary model: what was learned is written into its parameters.

    One that predicts by the statistics it has stored is the model in eval mode.
    """
    patched = adapted.model
    if isinstance(patched, Predicting) and not patched.transductive:
        changed = tuple(name.removeprefix("model.") for name in adapted.changed)
        return merged(Adapted(patched.model, changed, adapted.losses))
    if not isinstance(patched, Patched):
        return adapted
    model = deepcopy(patched.model).requires_grad_(True)
    own = dict(model.named_parameters())
    with torch.no_grad():
        replaced = patched.replaced()
        for name, value in replaced.items():
            own[name].copy_(value)
    return Adapted(model, tuple(replaced), adapted.losses)


@dataclass(frozen=True)
class PatchTune:
    """Fine-tuning of a patch on a frozen model; see `lora` and `film`."""

    start: Start
    patch: Patch
    tune: FineTune
    chosen: Choice

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """The model with its patch, a `Patched`; `merged` makes one ordinary model of it."""
        copy = deepcopy(model)
        allowed = adaptable(copy, self.chosen)
        parameters = {n: p.detach() for n, p in copy.named_parameters() if allowed(n)}
        learned = self.start(parameters, generator)
        if not learned:
            first = ", ".join(list(parameters)[:3]) or "none"
            raise InvalidTask(
                f"there is no weight that this learner can adapt; those it may change begin with "
                f"{first}.  LoRA needs matrices or convolutions, FiLM weights with a bias"
            )
        patched = Patched(copy, learned, self.patch)
        return self.tune(patched, support, generator)


def of_the_patch(name: str) -> bool:
    """What a `Patched` learns."""
    return name.startswith("learned.")
