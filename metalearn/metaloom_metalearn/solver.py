"""Solve a task: arms search the library under one deadline, and the best candidate is the solution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from metaloom_registry import Library, NoSolution

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Journal, Silence
from metaloom_metalearn.search.arm import Arm
from metaloom_metalearn.search.prior import Prior, Uniform
from metaloom_metalearn.solution import Solution
from metaloom_metalearn.tasks import Task

if TYPE_CHECKING:
    import torch


def solve(
    task: Task,
    library: Library,
    *,
    clock: Clock,
    prior: Prior = Uniform(),  # noqa: B008 - a frozen value
    searches: Sequence[Arm] | None = None,
    learners: Sequence[Any] = (),
    journal: Journal = Silence(),  # noqa: B008 - keeps nothing
    generator: torch.Generator | None = None,
) -> Solution:
    """The best program for a task that the arms find before the clock runs out."""
    raise NoSolution(f"no arm found a candidate for {task.name}")
