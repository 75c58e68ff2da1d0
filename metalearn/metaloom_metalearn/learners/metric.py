"""Metric learning by episodes: train an encoder for a head that needs no training of its own.

Vinyals et al. 2016 (matching), Snell et al. 2017 (prototypes), Bertinetto et al. 2019 (ridge), Lee
et al. 2019 (SVM): minimise the mean over episodes of the loss of `head(f(support), f(query))` over
the encoder f and the numbers that the head leaves open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaloom_metalearn.engines.batched.values import Support
from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.equipped import Equipped, name_of_learned
from metaloom_metalearn.learners.learner import (
    Adapted,
    Loss,
    MetaGradient,
    as_targets,
    buffers_of,
    judged,
    natural_loss,
)
from metaloom_metalearn.tasks import Examples
from metaloom_registry import InvalidTask, ParseError

Head: TypeAlias = Callable[..., Tensor]
"""`(support, query [..., q, n], **settings) -> logits [..., q, k]`, leading axes being tasks."""


class HeadClassifier(nn.Module):
    """An encoder and a head with the support it compares with: x -> logits [rows, k]."""

    def __init__(
        self,
        encoder: nn.Module,
        head: Head,
        support: Support,
        settings: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.classes = support.classes
        self.settings = tuple(settings or ())
        self.register_buffer("x", support.x)
        self.register_buffer("y", support.y)
        for name, value in (settings or {}).items():
            self.register_buffer(f"setting_{name}", value)
        self.training = encoder.training

    def forward(self, *inputs: Any) -> Tensor:
        support = Support(self.x, self.y, self.classes)
        settings = {name: getattr(self, f"setting_{name}") for name in self.settings}
        return self.head(support, self.encoder(*inputs), **settings)


@dataclass(frozen=True)
class Metric:
    """An encoder trained so that `scale` times the logits of `head` are right; see `metric`."""

    head: Head
    scale: float = 1.0
    loss: Loss = natural_loss
    learned: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.learned.items():
            if not 0 < value < math.inf:
                raise ParseError(
                    f"{name} is learned by its logarithm and begins at {value}; give a number "
                    "above 0"
                )

    def equip(self, encoder: nn.Module) -> Equipped:
        """The encoder with the logarithms of what is `learned`, as parameters."""
        like = next(encoder.parameters(), torch.zeros(()))
        return Equipped(
            encoder,
            {
                f"log_{name}": torch.tensor(math.log(value), dtype=like.dtype, device=like.device)
                for name, value in self.learned.items()
            },
        )

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """The encoder with the support before its head; no parameter changes.

        Raises InvalidTask where the support is empty or holds NaN.
        """
        del generator
        encoder = deepcopy(model.model if isinstance(model, Equipped) else model)
        y = as_targets(support.outputs)
        if y.dtype != torch.int64 or y.dim() != 1:
            raise InvalidTask(
                f"the outputs are {str(y.dtype).removeprefix('torch.')}{list(y.shape)}; a head "
                "compares classes and needs one label for each example"
            )
        with torch.no_grad():
            x = deepcopy(encoder)(*support.inputs)
        if not bool(torch.isfinite(x).all()):
            raise InvalidTask(
                "the encoder gives NaN or infinity for the support; look for them in the examples"
            )
        settings = self._settings(dict(model.named_parameters()), x)
        held = Support(x, y.to(x.device), int(y.max()) + 1)
        return Adapted(HeadClassifier(encoder, self.head, held, settings), ())

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """All supports and queries go through the encoder together, as one batch."""
        del generator
        tasks, count = len(episodes), episodes.support_x.shape[1]
        parameters = {name: value.detach() for name, value in model.named_parameters()}
        for value in parameters.values():
            value.requires_grad_()
        buffers = buffers_of(model)
        together = torch.cat([episodes.support_x, episodes.query_x], 1)
        with torch.enable_grad():
            features = functional_call(model, (parameters, buffers), (together.flatten(0, 1),))
            features = features.unflatten(0, (tasks, -1))
            support = Support(features[:, :count], episodes.support_y, episodes.classes)
            settings = self._settings(parameters, features)
            logits = self.scale * self.head(support, features[:, count:], **settings)
            wanted = episodes.query_y.flatten(0, 1)
            loss = judged(self.loss, logits.flatten(0, 1), wanted)
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        return MetaGradient(
            float(loss.detach()),
            {
                name: torch.zeros_like(parameter) if gradient is None else gradient
                for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True)
            },
            buffers,
            logits.detach(),
        )

    def _settings(self, parameters: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        """What the head leaves open: as it was trained, or as it begins."""
        found = {}
        for name, value in self.learned.items():
            trained = parameters.get(name_of_learned(f"log_{name}"))
            found[name] = like.new_tensor(value) if trained is None else trained.exp()
        return found


def metric(
    head: Head,
    scale: float = 1.0,
    loss: Loss = natural_loss,
    learned: Mapping[str, float] | None = None,
) -> Metric:
    """Episodic training for `head`, such as `metaloom_heads.prototypes`.

    `scale` multiplies the head's logits while training: a temperature.  `learned` are settings of
    the head, numbers above 0 and what they begin at, that are trained beside the encoder: train
    `learner.equip(encoder)` in its place.
    """
    return Metric(head, scale, loss, dict(learned or {}))
