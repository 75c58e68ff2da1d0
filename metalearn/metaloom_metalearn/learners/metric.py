"""Metric learning by episodes: train an encoder for a head that needs no training of its own.

Vinyals et al. 2016; Snell et al. 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.learner import (
    Adapted,
    Loss,
    MetaGradient,
    as_targets,
    buffers_of,
    natural_loss,
)
from metaloom_metalearn.tasks import Examples
from metaloom_metalearn.values import Support

Head: TypeAlias = Callable[[Support, Tensor], Tensor]
"""`(support, query [..., q, n]) -> logits [..., q, k]`, leading axes being tasks."""


class HeadClassifier(nn.Module):
    """An encoder and a head with the support it compares with: x -> logits [rows, k]."""

    def __init__(self, encoder: nn.Module, head: Head, support: Support) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.classes = support.classes
        self.register_buffer("x", support.x)
        self.register_buffer("y", support.y)
        self.training = encoder.training

    def forward(self, *inputs: Any) -> Tensor:
        support = Support(self.x, self.y, self.classes)
        return self.head(support, self.encoder(*inputs))


@dataclass(frozen=True)
class Metric:
    """An encoder trained so that `scale` times the logits of `head` are right; see `metric`."""

    head: Head
    scale: float = 1.0
    loss: Loss = natural_loss

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """The encoder with the support before its head; no parameter changes."""
        del generator
        encoder = deepcopy(model)
        with torch.no_grad():
            x = deepcopy(model)(*support.inputs)
        y = as_targets(support.outputs).to(x.device)
        return Adapted(HeadClassifier(encoder, self.head, Support(x, y, int(y.max()) + 1)), ())

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
            logits = self.scale * self.head(support, features[:, count:])
            loss = self.loss(logits.flatten(0, 1), episodes.query_y.flatten(0, 1))
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


def metric(head: Head, scale: float = 1.0, loss: Loss = natural_loss) -> Metric:
    """Episodic training for `head`, such as `metaloom_heads.prototypes`.

    `scale` multiplies the head's logits while training: a temperature.
    """
    return Metric(head, scale, loss)
