"""The bar that shows a training."""

from __future__ import annotations

import io

import torch
from rich.console import Console
from torch import nn

from metaloom_metalearn import Curves, Plan, Validation, maml, meta_train, progress_bar, sinusoids


def test_the_bar_shows_rate_time_left_loss_and_validation() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1))
    source = Curves(sinusoids())
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=200)
    with progress_bar(console) as bar:
        meta_train(
            net,
            source,
            maml(1, 0.01),
            torch.Generator().manual_seed(0),
            Plan(10, batch=2, report=5),
            journal=bar,
            validation=Validation(source, episodes=4, every=4),
        )
    shown = stream.getvalue()
    for part in ("meta_train", "100%", "/s", "0:00 left", "loss ", "validation mse "):
        assert part in shown
