"""A model with what a learner learns beside it: rates, scales and other numbers of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from metaloom_metalearn.learners.choices import adaptable
from metaloom_metalearn.learners.learner import Choice
from metaloom_registry import InvalidTask

MODEL, LEARNED = "model.", "learned."
"""How the names of the parameters of the two begin."""


class Equipped(nn.Module):
    """Computes what `model` computes, and holds the numbers a learner reads as it adapts it.

    Both are parameters, so whatever trains, stores or resumes modules does so for both.
    `outer_steps` counts the meta-gradients taken, for learners that change their ways over time.
    Where the numbers are no longer needed, `model` is the model.
    """

    outer_steps: Tensor

    def __init__(self, model: nn.Module, learned: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.model = model
        self.learned = nn.ParameterDict(
            OrderedDict(  # a ParameterDict would sort the names of a dict
                (_key(name), nn.Parameter(value.detach().clone()))
                for name, value in learned.items()
            )
        )
        self.register_buffer("outer_steps", torch.zeros((), dtype=torch.int64))
        self.training = model.training

    def forward(self, *inputs: Any) -> Any:
        return self.model(*inputs)


def name_of_learned(name: str) -> str:
    """The name, among the parameters of an `Equipped`, of what the learner calls `name`."""
    return LEARNED + _key(name)


def adaptable_of(model: nn.Module, chosen: Choice) -> Choice:
    """What a task may change, chosen by the names that the model's own parameters have."""
    if not isinstance(model, Equipped):
        return adaptable(model, chosen)
    own = adaptable(model.model, chosen)
    return lambda name: name.startswith(MODEL) and own(name.removeprefix(MODEL))


def _key(name: str) -> str:
    return name.replace(".", "/")


def require_equipped(model: nn.Module, learner: str) -> Equipped:
    """The model, if it is equipped. Raises InvalidTask."""
    if not isinstance(model, Equipped):
        raise InvalidTask(
            f"{learner} learns numbers beside the model and was given a {type(model).__name__} "
            "without them; train learner.equip(model)"
        )
    return model
