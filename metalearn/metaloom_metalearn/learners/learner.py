"""What changes parameters: the Learner, what it gives back, and what trains its starting point."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.tasks import Examples, Values
from metaloom_registry import GraphModule, InvalidTask, MetaloomError, ParseError


class Diverged(MetaloomError):
    """A learner whose loss is no longer a number; the message says where, and what to try."""


def require_settings(steps: int, lr: float = 0.0) -> None:
    """Raises ParseError for a count of steps or a learning rate that is none."""
    if steps < 0:
        raise ParseError(f"{steps} is not a number of steps; give 0 or more")
    if not 0 <= lr < math.inf:
        raise ParseError(f"{lr} is not a learning rate; give a number above 0, such as 0.1")


class Learner(Protocol):
    """Fits a model to a support.

    The model stays as it is, buffers included: what is adapted is a copy.  The copy is in the mode,
    train or eval, that the model is in, and so is the learner's use of it: batch norm takes the
    statistics of the batch in train mode and those it has stored in eval mode.  `generator` is the
    only source of chance.  Raises Diverged where the loss is not finite.
    """

    def __call__(
        self, model: nn.Module, support: Examples, generator: torch.Generator
    ) -> Adapted: ...


class Adapted(nn.Module):
    """A model of its own, fitted to a support.

    `model` is an ordinary module that shares no memory with the one it came from, and `changed`
    names the parameters, and perhaps statistics, in it that are new.  `losses` are the losses on
    the support, one before each step.
    """

    def __init__(
        self, model: nn.Module, changed: tuple[str, ...], losses: tuple[float, ...] = ()
    ) -> None:
        super().__init__()
        self.model = model
        self.changed = changed
        self.losses = losses
        self.training = model.training

    @property
    def transductive(self) -> bool:
        """Whether an answer depends on what else is asked: batch norm takes its statistics."""
        return any(map(_takes_batch_statistics, self.model.modules()))

    def forward(self, *inputs: Any) -> Any:
        return self.model(*inputs)

    def predict(self, *inputs: Any) -> Any:
        """What the model gives, without a gradient."""
        with torch.no_grad():
            return self.model(*inputs)


def _takes_batch_statistics(module: nn.Module) -> bool:
    if isinstance(module, _BatchNorm):
        return module.training or module.running_mean is None
    if isinstance(module, GraphModule) and module.training:
        return any(node.op.startswith("batch_norm") for node in module.graph.value.nodes)
    return False


@dataclass(frozen=True)
class MetaGradient:
    """What one batch of episodes says of a model's parameters.

    `gradients` are those of the mean loss on the queries after adaptation, by name.  `buffers` are
    what the model's buffers become.  `outputs` [tasks, q, ...] are the outputs for the queries.
    `way` says how it was computed, where the learner has several ways: "loop", "layers" or "plain"
    by the batched engine (see `BatchedGradient`), else "vmap", or "tasks" for one task after
    another.
    """

    loss: float
    gradients: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    outputs: Tensor
    way: str = ""


class MetaLearner(Protocol):
    """A learner whose starting point can be trained.

    Leaves the model as it is, buffers included; `meta_train` applies what it gives back.
    """

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient: ...


Loss: TypeAlias = Callable[[Any, Tensor], Tensor]
"""`(output of the model, what is wanted) -> scalar`, the mean over the examples."""


def natural_loss(output: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy where labels (int64) are wanted, else the mean squared error.

    output [n, k] and wanted int64 [n]; or both of one shape, or output [n, 1] for wanted [n].
    Raises InvalidTask for other shapes.
    """
    if wanted.dtype == torch.int64 and output.dim() == wanted.dim() + 1:
        try:
            return nn.functional.cross_entropy(output, wanted)
        except IndexError:
            raise InvalidTask(
                f"there is a label {int(wanted.max())} and the model has {output.shape[1]} "
                "classes, counted from 0; give it as many outputs as there are classes"
            ) from None
    if output.numel() != wanted.numel() or output.shape[0] != wanted.shape[0]:
        raise InvalidTask(
            f"the model gives {list(output.shape)} where the examples have "
            f"{str(wanted.dtype).removeprefix('torch.')}{list(wanted.shape)}; labels are int64, "
            "one for each row of logits, and numbers have the shape of what the model gives"
        )
    return nn.functional.mse_loss(output.reshape(wanted.shape), wanted.to(output.dtype))


def judged(loss: Loss, output: Any, wanted: Tensor) -> Tensor:
    """The loss of an output. Raises InvalidTask where it is no single number."""
    value: object = loss(output, wanted)
    if not isinstance(value, Tensor) or value.dim() > 0:
        given = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InvalidTask(
            f"the loss gives {given}; wanted is a tensor of one number, such as the mean over the "
            "examples"
        )
    return value


def as_targets(outputs: Values, like: Tensor | None = None) -> Tensor:
    """The outputs of examples as one tensor: whole numbers as int64, others in the dtype of `like`.

    Raises InvalidTask where there are none, and for NaN, infinity and negative labels.
    """
    wanted = outputs if isinstance(outputs, Tensor) else torch.as_tensor(outputs)
    if len(wanted) == 0:
        raise InvalidTask("the support is empty; give at least one example to learn from")
    if wanted.is_floating_point():
        bad = torch.nonzero(~torch.isfinite(wanted))
        if len(bad):
            raise InvalidTask(f"the output of example {int(bad[0, 0])} is NaN or infinite; mend it")
    else:
        wanted = wanted.long()
        if wanted.dim() == 1 and int(wanted.min()) < 0:
            raise InvalidTask(f"there is a label {int(wanted.min())}; labels are counted from 0")
    if wanted.is_floating_point() and like is not None:
        wanted = wanted.to(like.dtype)
    return wanted if like is None else wanted.to(like.device)


Choice: TypeAlias = Callable[[str], bool]
"""Which parameters, by name."""


def every(name: str) -> bool:
    """Every parameter."""
    del name
    return True


def parameters_of(model: nn.Module) -> dict[str, Tensor]:
    """The parameters by name, cut off from any graph; they share the model's memory."""
    return {name: value.detach() for name, value in model.named_parameters()}


def buffers_of(model: nn.Module) -> dict[str, Tensor]:
    """Copies of the buffers by name: `functional_call` writes into the buffers it is given."""
    return {name: value.detach().clone() for name, value in model.named_buffers()}


def require_finite(loss: float, step: int) -> None:
    """Raises Diverged where the loss is infinite or NaN."""
    if not abs(loss) < float("inf"):
        raise Diverged(
            f"the loss is {loss} at step {step}; lower the learning rate, and look for NaN or "
            "very large values in the examples"
        )
