"""How much the demo does: the figures it is about, or a glance that everything works."""

from __future__ import annotations

from dataclasses import dataclass, replace

from metaloom_metalearn import Plan
from metaloom_vision import ENCODER_PLAN, READER_PLAN


@dataclass(frozen=True)
class Scale:
    """Training plans, numbers of episodes and of steps of the controls, seconds of search."""

    encoder: Plan
    characters: int
    reader: Plan
    episodes: int
    scratch_steps: int
    control_steps: int
    sum_budget: float
    puzzle_budget: float


FULL = Scale(
    encoder=ENCODER_PLAN,
    characters=4000,
    reader=READER_PLAN,
    episodes=200,
    scratch_steps=60,
    control_steps=600,
    sum_budget=20.0,
    puzzle_budget=15.0,
)
QUICK = Scale(
    encoder=replace(ENCODER_PLAN, steps=60),
    characters=400,
    reader=replace(READER_PLAN, steps=200),
    episodes=10,
    scratch_steps=10,
    control_steps=50,
    sum_budget=10.0,
    puzzle_budget=5.0,
)
