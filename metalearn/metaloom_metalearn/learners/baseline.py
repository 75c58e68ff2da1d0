"""A new last layer on a frozen encoder: linear (Baseline) or cosine (Baseline++).

Chen, Liu, Kira, Wang and Huang 2019, "A closer look at few-shot classification", section 3.1-3.2:
the encoder stays, and a classifier of the new classes is trained on the support.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.learners.finetune import FineTune, chosen_optimiser, fine_tune
from metaloom_metalearn.learners.learner import Adapted, Loss, as_targets, natural_loss
from metaloom_metalearn.learners.optimisers import Optimiser
from metaloom_metalearn.tasks import Examples
from metaloom_registry import InvalidTask, ParseError

Layer: TypeAlias = Callable[[Tensor, int, torch.Generator], nn.Module]
"""`(vectors [n, features], outputs, generator) -> layer` for such vectors."""


class CosineLinear(nn.Module):
    """`scale` times the cosine of x and one vector a class: [rows, features] -> logits [rows, k].

    Chen et al. 2019, section 3.2; Gidaris and Komodakis 2018, eq. 4.
    """

    def __init__(self, weight: Tensor, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.scale = scale
        self.out_features, self.in_features = weight.shape

    def forward(self, x: Tensor) -> Tensor:
        cosines: Tensor = _unit(x) @ _unit(self.weight).T
        return self.scale * cosines


def _unit(x: Tensor) -> Tensor:
    return x * ((x * x).sum(-1, keepdim=True) + torch.finfo(x.dtype).tiny).rsqrt()


@dataclass(frozen=True)
class FreshHead:
    """A new layer on the frozen block; see `fresh_head` and `baseline_pp`."""

    outputs: int | None
    tune: FineTune
    layer: Layer

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        encoder = deepcopy(model)
        with torch.no_grad():
            features = deepcopy(model)(*support.inputs)
        if not isinstance(features, Tensor) or features.dim() != 2:
            given = list(features.shape) if isinstance(features, Tensor) else type(features)
            raise InvalidTask(f"a fresh head goes on vectors [n, features], not on {given}")
        outputs = self.outputs or _outputs_of(as_targets(support.outputs))
        head = self.layer(features, outputs, generator)
        fitted = self.tune(head, Examples((features,), support.outputs), generator)
        whole = nn.Sequential(OrderedDict(encoder=encoder, head=fitted.model))
        whole.training = model.training
        changed = tuple(f"head.{name}" for name in fitted.changed)
        return Adapted(whole, changed, fitted.losses)


def _outputs_of(wanted: Tensor) -> int:
    """As many outputs as the examples show classes, or as their vectors are long."""
    if wanted.dtype == torch.int64 and wanted.dim() == 1:
        if int(wanted.min()) == int(wanted.max()):
            raise InvalidTask("the support shows one class only; give examples of two, or outputs=")
        return int(wanted.max()) + 1
    return wanted.shape[1] if wanted.dim() > 1 else 1


def _zero_linear(vectors: Tensor, outputs: int, generator: torch.Generator) -> nn.Module:
    del generator
    head = nn.Linear(vectors.shape[1], outputs, device="meta", dtype=vectors.dtype)
    head.to_empty(device=vectors.device)  # no draw from torch's own randomness
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
    return head


def fresh_head(
    outputs: int | None = None,
    steps: int = 100,
    optimiser: Optimiser | None = None,
    batch: int | None = None,
    loss: Loss = natural_loss,
    clock: Clock | None = None,
    lr: float | None = None,
) -> FreshHead:
    """Train a new linear layer with `outputs` outputs on the block's vectors, the block frozen.

    By default there are as many outputs as the support has classes, or its outputs numbers.  The
    vectors are computed once.  The layer begins at zero, so nothing is left to chance but the
    choice of batches; the other settings are those of `fine_tune`, with a rate of 0.05.
    """
    tune = fine_tune(steps, chosen_optimiser(optimiser, lr, 0.05), batch, loss, clock=clock)
    return FreshHead(outputs, tune, _zero_linear)


def baseline_pp(
    outputs: int | None = None,
    steps: int = 100,
    scale: float = 10.0,
    optimiser: Optimiser | None = None,
    batch: int | None = None,
    loss: Loss = natural_loss,
    clock: Clock | None = None,
    lr: float | None = None,
) -> FreshHead:
    """Baseline++: train a new cosine layer on the block's vectors, the block frozen.

    `scale` multiplies the cosines.  The layer's vectors begin at random; the other settings are
    those of `fresh_head`.
    """
    if not scale > 0:
        raise ParseError(f"{scale} is no scale of cosines; give a number above 0, such as 10")

    def layer(vectors: Tensor, outputs: int, generator: torch.Generator) -> nn.Module:
        weight = torch.randn(outputs, vectors.shape[1], generator=generator)
        return CosineLinear(weight.to(vectors), scale)

    tune = fine_tune(steps, chosen_optimiser(optimiser, lr, 0.05), batch, loss, clock=clock)
    return FreshHead(outputs, tune, layer)
