"""The loss of each task, its gradient in the outputs, and how that changes with them."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad, grad_and_value, vmap
from torch.nn import functional

from metaloom_metalearn.learners.learner import Loss, judged, natural_loss


class Slope(NamedTuple):
    """losses [tasks], and the gradient of each in the outputs [tasks, n, ...]."""

    losses: Tensor
    gradient: Tensor


def slope_of(loss: Loss, outputs: Tensor, wanted: Tensor) -> Slope:
    """The loss of each task and its gradient; the outputs have a task axis, `loss` sees none."""
    if loss is natural_loss and _classifies(outputs, wanted):
        logs = functional.log_softmax(outputs, -1)
        picked = logs.gather(-1, wanted[..., None])
        gradient = logs.exp()
        gradient.scatter_add_(-1, wanted[..., None], torch.full_like(picked, -1.0))
        return Slope(-picked.mean((1, 2)), gradient.div_(outputs.shape[1]))
    if loss is natural_loss:
        apart = outputs - wanted.reshape(outputs.shape)
        per_task = apart.flatten(1)
        gradient = apart * (2 / per_task.shape[1])
        return Slope((per_task * per_task).mean(1), gradient)
    gradient, losses = vmap(grad_and_value(partial(judged, loss)))(outputs, wanted)
    return Slope(losses.detach(), gradient.detach().contiguous())


def slope_tangent(loss: Loss, outputs: Tensor, wanted: Tensor, change: Tensor) -> Tensor:
    """How the gradient of `slope_of` changes when the outputs change."""
    if loss is natural_loss and _classifies(outputs, wanted):
        chances = functional.softmax(outputs, -1)
        moved = chances * change
        moved.addcmul_(chances, moved.sum(-1, keepdim=True), value=-1)
        return moved.div_(outputs.shape[1])
    if loss is natural_loss:
        return change * (2 / outputs[0].numel())

    def along(output: Tensor, target: Tensor, way: Tensor) -> Tensor:
        """The slope along a way: its own gradient is what is wanted, as Hessians are symmetric."""
        slope: Tensor = grad(loss)(output, target)
        return (slope * way).sum()

    turned: Tensor = vmap(grad(along))(outputs, wanted, change)
    return turned.detach().contiguous()


def _classifies(outputs: Tensor, wanted: Tensor) -> bool:
    """As `natural_loss` decides it, for outputs [tasks, n, k] and int64 labels [tasks, n]."""
    return wanted.dtype == torch.int64 and outputs.dim() == wanted.dim() + 1
