"""Learning rates over time: the share of training done, from 0 to 1, to a factor of the rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[float], float]


def constant(done: float) -> float:
    """The rate stays."""
    del done
    return 1.0


def cosine(done: float) -> float:
    """Falls from 1 to 0 along half a cosine (Loshchilov and Hutter 2017)."""
    return 0.5 * (1.0 + math.cos(math.pi * done))


def halving(times: int) -> Schedule:
    """Halved `times` times, after equal shares of the training."""
    return lambda done: 0.5 ** min(times, int(done * (times + 1)))
