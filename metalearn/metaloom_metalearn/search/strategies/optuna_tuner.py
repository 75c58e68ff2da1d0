"""Optuna as a tuner: tree-structured Parzen estimators (Bergstra et al. 2011), seeded.

This module is imported where it is chosen; `tuning.parzen` says what installs Optuna.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import optuna

from metaloom_metalearn.search.strategies.tuning import Trial, Tunable
from metaloom_registry.types import INT


class ParzenTuner:
    """One study in memory over all compositions: which of them, and then its choices."""

    def __init__(self, tunables: Sequence[Tunable], seed: int) -> None:
        self.tunables = tunables
        with _silent():
            sampler = optuna.samplers.TPESampler(seed=seed % (1 << 32))
            self.study = optuna.create_study(sampler=sampler)
        self.waiting: dict[int, optuna.trial.Trial] = {}

    def ask(self) -> Trial:
        trial = self.study.ask()
        which = 0
        if len(self.tunables) > 1:
            which = int(trial.suggest_categorical("composition", range(len(self.tunables))))
        numbers = []
        for place, choice in enumerate(self.tunables[which].choices):
            name, wanted = f"{which}.{place}", choice.range
            if choice.type == INT:
                low, high = math.ceil(wanted.low), math.floor(wanted.high)
                number: float = trial.suggest_int(name, low, high, log=wanted.logarithmic)
            else:
                number = trial.suggest_float(
                    name, wanted.low, wanted.high, log=wanted.logarithmic
                )  # fmt: skip
            numbers.append(number)
        self.waiting[trial.number] = trial
        return Trial(trial.number, which, tuple(numbers))

    def tell(self, trial: Trial, nats: float) -> None:
        told = self.waiting.pop(trial.number)
        if math.isfinite(nats):
            self.study.tell(told, nats)
        else:
            self.study.tell(told, state=optuna.trial.TrialState.FAIL)


@contextmanager
def _silent() -> Iterator[None]:
    """Optuna tells of every new study on standard error; not of this one."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
