"""The controls of `digit_programs`: an LSTM on what a recogniser, or convolutions, make of images.

A control has a number of gradient steps, shared out evenly over three rates, and over the logits
and the probabilities of a recogniser.  Lists that are held out stop each early and choose among
them.  What a frozen recogniser makes of an image is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from benchmarks.digits.lists import Images, Lists
from metaloom_metalearn import RecurrentControl, RecurrentRegressor, rmse
from metaloom_metalearn.engines.batched.features import applied
from metaloom_metalearn.randomness import seeded
from metaloom_metalearn.search.neural.networks import convolutional_encoder, jittered

RATES = (1e-3, 3e-3, 1e-2)
LISTS = 32
"""The lists of a gradient step."""

HELD = 200
"""At most so many lists are held out."""


@dataclass(frozen=True)
class Budget:
    """The gradient steps of a control, over all that it chooses among."""

    steps: int
    generator: torch.Generator


def scratch(train: Lists, budget: Budget) -> RecurrentRegressor:
    """Convolutions and an LSTM, trained together on jittered images."""
    with seeded(budget.generator):
        encoder = convolutional_encoder((1, 28, 28))
    return _best((encoder,), train, budget, frozen=False)


def frozen(recogniser: nn.Module, train: Lists, budget: Budget) -> RecurrentRegressor:
    """An LSTM on the logits of a recogniser, or on its probabilities."""
    return _best((recogniser, nn.Sequential(recogniser, nn.Softmax(1))), train, budget, frozen=True)


def _best(
    encoders: Sequence[nn.Module], train: Lists, budget: Budget, frozen: bool
) -> RecurrentRegressor:
    order = torch.randperm(len(train.totals), generator=budget.generator).tolist()
    count = min(HELD, len(order) // 5)
    found: list[tuple[float, RecurrentRegressor]] = []
    for encoder in encoders:
        seen = train
        if frozen:
            known = Images(applied(encoder, train.images.pixels).flatten(1), train.images.labels)
            seen = replace(train, images=known)
        held, kept = seen.take(order[:count]), seen.take(order[count:])
        validation = held.ragged(), held.wanted()
        for rate in RATES:
            model = RecurrentControl(
                nn.Identity() if frozen else encoder, frozen, 64, rate, LISTS,
                cell=nn.LSTMCell, augment=None if frozen else jittered,
            ).fit(
                kept.ragged(), kept.wanted(), budget.generator,
                budget.steps // (len(encoders) * len(RATES)), held=validation,
            )  # fmt: skip
            error = rmse(model, *validation)
            if frozen:
                model.encoder = encoder
            found.append((error, model))
    return min(found, key=lambda pair: pair[0])[1]
