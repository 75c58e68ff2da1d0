"""Which statistics batch norm takes when an adapted model predicts: stored, support's, or query's.

Stored statistics and those of the support (Bronskill et al. 2020, "TaskNorm", section 3; a blend of
both: Schneider et al. 2020, eq. 2) judge every query by itself.  Those of the queries (Nado et al.
2020, "prediction-time batch normalization"; what MAML's own evaluation does) are transductive: an
answer depends on which other queries are asked with it.  The result says which it is.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from metaloom_metalearn.learners.learner import Adapted, Learner, buffers_of
from metaloom_metalearn.randomness import seeded
from metaloom_metalearn.tasks import Examples
from metaloom_registry import GraphModule, InvalidTask, ParseError


class Predicting(nn.Module):
    """A model that predicts in one mode, whatever mode it is put in, and writes to no buffer.

    `transductive` says that batch norm takes the statistics of the queries.
    """

    def __init__(self, model: nn.Module, *, transductive: bool) -> None:
        super().__init__()
        self.model = _normalising(model) if transductive else model.eval()
        self.transductive = transductive

    def train(self, mode: bool = True) -> Self:
        """Note the mode; the model within keeps its own."""
        self.training = mode
        return self

    def forward(self, *inputs: Any) -> Any:
        return functional_call(self.model, buffers_of(self.model), inputs)


def _normalising(model: nn.Module) -> nn.Module:
    """The model with batch norm alone in train mode; a loaded block goes there as a whole."""
    model.eval()
    for module in list(model.modules()):
        if isinstance(module, _BatchNorm | GraphModule):
            module.train()
    return model


def _unchanged(model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
    del support, generator
    return Adapted(deepcopy(model), ())


def batch_statistics(
    model: nn.Module, inputs: tuple[Any, ...], generator: torch.Generator
) -> dict[str, Tensor]:
    """The statistics of a batch by the names of the buffers that keep them running.

    A running statistic r becomes (1 - m) r + m s; from where 0 and 1 go, m and s follow, whatever
    kind of module it is.  What is drawn on the way, such as dropout, follows the generator.
    """
    copy = _normalising(deepcopy(model))
    seed = int(torch.randint(1 << 62, (), generator=generator))

    def after(changes: dict[str, Tensor]) -> dict[str, Tensor]:
        buffers = {**buffers_of(copy), **changes}
        with torch.no_grad(), seeded(torch.Generator().manual_seed(seed)):
            functional_call(copy, buffers, inputs)
        return buffers

    before = buffers_of(copy)
    running = [
        name
        for name, value in after({}).items()
        if value.is_floating_point() and not torch.equal(value, before[name])
    ]
    low = after({name: torch.zeros_like(before[name]) for name in running})
    high = after({name: torch.ones_like(before[name]) for name in running})
    return {name: low[name] / (1 - (high[name] - low[name])) for name in running}


@dataclass(frozen=True)
class StoredStatistics:
    """Predictions by the stored statistics; see `stored_statistics`."""

    learner: Learner

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        return _predicting(self.learner(model, support, generator), model, transductive=False)


@dataclass(frozen=True)
class SupportStatistics:
    """Predictions by the statistics of the support; see `support_statistics`."""

    learner: Learner
    weight: float

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        """Raises InvalidTask where the model keeps no running statistics."""
        adapted = self.learner(model, support, generator)
        found = batch_statistics(adapted.model, support.inputs, generator)
        if not found:
            raise InvalidTask(
                "the model keeps no running statistics of batches that the support's could "
                "replace; take the learner by itself"
            )
        kept = dict(model.named_buffers())
        with torch.no_grad():
            for name, buffer in adapted.model.named_buffers():
                if name in found:
                    stored = kept.get(name, buffer)
                    buffer.copy_(self.weight * found[name] + (1 - self.weight) * stored)
        return _predicting(adapted, model, tuple(found), transductive=False)


@dataclass(frozen=True)
class QueryStatistics:
    """Predictions by the statistics of what is asked together; see `query_statistics`."""

    learner: Learner

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        return _predicting(self.learner(model, support, generator), model, transductive=True)


def _predicting(
    adapted: Adapted, model: nn.Module, more: tuple[str, ...] = (), *, transductive: bool
) -> Adapted:
    whole = Predicting(adapted.model, transductive=transductive).train(model.training)
    names = tuple(f"model.{name}" for name in (*adapted.changed, *more))
    return Adapted(whole, names, adapted.losses)


def stored_statistics(learner: Learner | None = None) -> StoredStatistics:
    """Adapt by `learner`, or not at all, and predict by the statistics that the result has stored.

    Not transductive.
    """
    return StoredStatistics(learner or _unchanged)


def support_statistics(learner: Learner | None = None, weight: float = 1.0) -> SupportStatistics:
    """Adapt by `learner`, or not at all, and predict by the statistics of the support.

    `weight`, from 0 to 1, is theirs; the rest is that of the model's stored ones.  Variances are
    those that the model's running ones estimate.  Not transductive.
    """
    if not 0 <= weight <= 1:
        raise ParseError(f"{weight} is no weight of the support's statistics; give 0 to 1")
    return SupportStatistics(learner or _unchanged, weight)


def query_statistics(learner: Learner | None = None) -> QueryStatistics:
    """Adapt by `learner`, or not at all, and predict by the statistics of the queries.

    Transductive: what is asked together shares its statistics.  A loaded block has one mode for
    all of it, so its dropout is then active as well.
    """
    return QueryStatistics(learner or _unchanged)
