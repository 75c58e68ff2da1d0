"""A recurrent network from a list to a number: what programs over lists are compared with.

`recurrent_regressor(encoder)` puts a gated recurrent unit (Cho et al. 2014), or an LSTM (Hochreiter
and Schmidhuber 1997), on what a frozen encoder makes of each item; with `frozen=False` a copy of
the encoder is trained with it, end to end.  For a fair comparison give all the same steps and the
same clock, and lists to stop early by.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.engines.batched.features import applied, evaluating
from metaloom_metalearn.engines.batched.values import Ragged
from metaloom_metalearn.randomness import seeded

LOOK = 20
"""After so many steps the error on the lists that are held out is looked at again."""


class RecurrentNetwork(nn.Module):
    """`Ragged` of vectors [items, features] -> [rows, outputs]: the last state, read out linearly.

    The state after no item at all is zero.  `cell` is `nn.GRUCell` or `nn.LSTMCell`.
    """

    def __init__(
        self,
        features: int,
        hidden: int = 64,
        outputs: int = 1,
        cell: type[nn.GRUCell | nn.LSTMCell] = nn.GRUCell,
    ) -> None:
        super().__init__()
        self.cell = cell(features, hidden)
        self.readout = nn.Linear(hidden, outputs)

    def forward(self, lists: Ragged) -> Tensor:
        state = self.readout.weight.new_zeros((lists.rows(), self.cell.hidden_size))
        memory = state
        longest = 0 if lists.items is None or not len(lists.items) else int(lists.lengths.max())
        for position in range(longest):
            going = (lists.lengths > position).nonzero()[:, 0]
            items = lists.items[lists.offsets()[going] + position]
            if isinstance(self.cell, nn.LSTMCell):
                new, kept = self.cell(items, (state[going], memory[going]))
                memory = memory.index_copy(0, going, kept)
            else:
                new = self.cell(items, state[going])
            state = state.index_copy(0, going, new)
        return self.readout(state)  # type: ignore[no-any-return]


class RecurrentRegressor(nn.Module):
    """`Ragged` of items -> float [rows]: encoder, recurrent network, scale of the totals."""

    def __init__(self, encoder: nn.Module, network: RecurrentNetwork, mean: float, scale: float):
        super().__init__()
        self.encoder = encoder
        self.network = network
        self.mean = mean
        self.scale = scale

    def forward(self, lists: Ragged) -> Tensor:
        items = lists.items
        if items is not None and len(items):
            items = self.encoder(items).flatten(1)
        found: Tensor = self.network(Ragged(items, lists.lengths))[:, 0]
        return self.mean + self.scale * found


@dataclass(frozen=True)
class RecurrentControl:
    """How a recurrent network is trained on lists and their totals; see `recurrent_regressor`."""

    encoder: nn.Module
    frozen: bool = True
    hidden: int = 64
    rate: float = 3e-3
    batch: int = 64
    cell: type[nn.GRUCell | nn.LSTMCell] = nn.GRUCell
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None

    def fit(
        self,
        lists: Ragged,
        totals: Tensor,
        generator: torch.Generator,
        steps: int = 1000,
        clock: Clock | None = None,
        held: tuple[Ragged, Tensor] | None = None,
    ) -> RecurrentRegressor:
        """Train on the mean squared error for at most `steps` steps, and until `clock` expires.

        lists: items the encoder takes; totals: [rows].  `augment` changes the items of a step at
        random where the encoder is trained, too.  With lists and totals that are `held` out,
        training stops early: the result is as it was when its error on them was least, looked at
        every `LOOK` steps.  The result is in eval mode.
        """
        wanted = totals.to(torch.get_default_dtype())
        mean, scale = float(wanted.mean()), float(wanted.std(unbiased=False)) or 1.0
        encoder = deepcopy(self.encoder)
        looked = lists.items if self.frozen else lists.items[:1]
        features = applied(encoder, looked).flatten(1)
        with seeded(generator):
            network = RecurrentNetwork(features.shape[1], self.hidden, cell=self.cell)
        model = RecurrentRegressor(encoder, network.to(features.device), mean, scale)
        encoder.requires_grad_(not self.frozen)
        inputs = Ragged(features, lists.lengths) if self.frozen else lists
        model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimiser = torch.optim.Adam(trained, self.rate)
        least, best = math.inf, None
        with seeded(generator):
            for step in range(steps):
                if clock is not None and clock.expired():
                    break
                if held is not None and step % LOOK == 0:
                    error = rmse(model, *held)
                    if error < least:
                        least, best = error, deepcopy(model.state_dict())
                rows = torch.randperm(len(wanted), generator=generator)[: self.batch]
                rows = rows.to(wanted.device)
                chosen = inputs.take(rows)
                if self.augment is not None and not self.frozen:
                    chosen = Ragged(self.augment(chosen.items, generator), chosen.lengths)
                found = mean + scale * network(chosen)[:, 0] if self.frozen else model(chosen)
                loss = nn.functional.mse_loss(found, wanted[rows]) / scale**2
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
        if best is not None and held is not None and rmse(model, *held) > least:
            model.load_state_dict(best)
        return model.eval()


def recurrent_regressor(
    encoder: nn.Module, frozen: bool = True, hidden: int = 64
) -> RecurrentControl:
    """A recurrent network on the vectors that `encoder` makes of items [n, ...] -> [n, features].

    The encoder itself stays as it is: a frozen one is used in eval mode, any other is copied and
    trained.  `control.fit(lists, totals, generator, steps, clock)` trains, `rmse` measures.
    """
    return RecurrentControl(encoder, frozen, hidden)


def rmse(model: nn.Module, lists: Ragged, totals: Tensor) -> float:
    """The root mean squared error of a model's predictions on lists, float [rows]."""
    with torch.no_grad(), evaluating(model):
        found = model(lists)
    return float((found - totals.to(found)).square().mean().sqrt())
