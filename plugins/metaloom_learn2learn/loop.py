"""learn2learn's own loop as a learner: clone, adapt, and back-propagate, one task after another."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from metaloom_learn2learn.wrappers import WRAPPERS, detached, wrapper_kind
from metaloom_metalearn import (
    Adapted,
    Diverged,
    Episodes,
    Examples,
    Loss,
    MetaGradient,
    Values,
    natural_loss,
)
from metaloom_registry import InvalidTask, ParseError


@dataclass(frozen=True)
class Loop:
    """`steps` calls of a wrapper's `adapt`; see `learn2learn_loop`."""

    steps: int
    loss: Loss = natural_loss

    def __post_init__(self) -> None:
        if self.steps < 0:
            raise ParseError(f"{self.steps} is not a number of steps; give 0 or more")

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """What the wrapper's clone holds after its steps, without the wrapper."""
        del generator
        wrapper = _copied(model)
        clone = wrapper.clone()
        parameters = list(wrapper.module.parameters())
        losses = self._adapt(clone, support.inputs, _targets(support.outputs, parameters))
        module = detached(clone.module).requires_grad_(True)
        return Adapted(module, tuple(name for name, _ in module.named_parameters()), losses)

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The gradient of the mean query loss in all parameters of the wrapper.

        learn2learn's clones share their buffers, which change task by task; so do these.
        """
        del generator
        wrapper = _copied(model)
        names, parameters = zip(*wrapper.named_parameters(), strict=True)
        total = {name: torch.zeros_like(value) for name, value in wrapper.named_parameters()}
        outputs, loss = [], 0.0
        for sx, sy, qx, qy in zip(
            episodes.support_x, episodes.support_y, episodes.query_x, episodes.query_y, strict=True
        ):
            with torch.enable_grad():
                clone = wrapper.clone()
                self._adapt(clone, (sx,), sy)
                output = clone(qx)
                value = self.loss(output, qy)
            gradients = torch.autograd.grad(value, parameters, allow_unused=True)
            for name, gradient in zip(names, gradients, strict=True):
                if gradient is not None:
                    total[name] += gradient / len(episodes)
            outputs.append(output.detach())
            loss += float(value.detach()) / len(episodes)
        return MetaGradient(loss, total, dict(wrapper.named_buffers()), torch.stack(outputs))

    def _adapt(self, clone: Any, x: tuple[Any, ...], y: Tensor) -> tuple[float, ...]:
        losses: list[float] = []
        for step in range(self.steps):
            with torch.enable_grad():
                loss = self.loss(clone(*x), y)
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise Diverged(
                    f"the loss is {losses[-1]} at step {step}; lower the wrapper's learning rate, "
                    "and look for NaN or very large values in the examples"
                )
            clone.adapt(loss)
        return tuple(losses)


def learn2learn_loop(steps: int = 1, loss: Loss = natural_loss) -> Loop:
    """learn2learn's loop with `steps` inner steps, for `adapt` and `meta_train`.

    The model is a `MAML`, `MetaSGD` or `GBML` of learn2learn around a module, which holds the
    learning rates and all that is learned besides; what is adapted is the module within.
    """
    return Loop(steps, loss)


def _copied(model: nn.Module) -> Any:
    """A copy of a wrapper, because learn2learn writes to the buffers of what it clones."""
    if wrapper_kind(model) is None:
        raise InvalidTask(
            f"learn2learn's loop was given a {type(model).__name__}; wrap it in one of "
            f"{', '.join(WRAPPERS)}, such as learn2learn().algorithms.MAML(model, lr=0.1)"
        )
    return deepcopy(model)


def _targets(outputs: Values, parameters: list[nn.Parameter]) -> Tensor:
    wanted = outputs if isinstance(outputs, Tensor) else torch.as_tensor(outputs)
    if not parameters:
        return wanted
    like = parameters[0]
    return wanted.to(like.device, like.dtype if wanted.is_floating_point() else None)
