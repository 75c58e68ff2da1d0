"""Optimisers as values: what makes a torch optimiser for parameters that are not there yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

import torch
from torch import Tensor

Optimiser: TypeAlias = Callable[[Iterable[Tensor]], torch.optim.Optimizer]
"""`parameters -> optimiser`; any constructor of torch.optim with its settings bound."""


def sgd(lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> Optimiser:
    """Stochastic gradient descent."""
    return partial(torch.optim.SGD, lr=lr, momentum=momentum, weight_decay=weight_decay)


def adam(lr: float, weight_decay: float = 0.0) -> Optimiser:
    """Adam (Kingma and Ba 2015), weight decay decoupled (Loshchilov and Hutter 2019)."""
    return partial(torch.optim.AdamW, lr=lr, weight_decay=weight_decay)
