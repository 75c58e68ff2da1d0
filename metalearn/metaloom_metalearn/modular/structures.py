"""Finding structures for given modules: all of them at once, or by simulated annealing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from metaloom_metalearn.modular.networks import Module, Networks, State, run
from metaloom_metalearn.modular.templates import Every, Template
from metaloom_registry import ParseError

MANY = 100_000
"""From this many structures on they are annealed instead of being scored all at once."""


@dataclass(frozen=True)
class Cooling:
    """A temperature that falls geometrically from `start` to `end`, as shares of the data's spread.

    A proposal that raises a task's mean squared error by d is accepted with probability
    exp(-d / (temperature * variance of the task's outputs)).
    """

    start: float = 0.3
    end: float = 0.001

    def __post_init__(self) -> None:
        if not 0 < self.end <= self.start:
            raise ParseError(
                f"cooling from {self.start} to {self.end}; give two temperatures above 0, the "
                "second no higher than the first"
            )

    def at(self, progress: float) -> float:
        """The temperature after this share of the steps."""
        return float(self.start * (self.end / self.start) ** progress)


Judge: TypeAlias = Callable[[Tensor], Tensor]
"""The error of one structure a task: int64 [tasks, slots] -> [tasks]."""


def joined(networks: Networks, template: Template, structures: Tensor, x: Tensor) -> Tensor:
    """The outputs of one structure a task, with gradients: x [tasks, n, i] -> [tasks, n, o]."""
    return template.join(x, [module_of(networks.state(which)) for which in structures.T])


def module_of(state: State) -> Module:
    """The parameters of one slot as a function."""
    return lambda x: run(state, x)


def judge_of(networks: Networks, template: Template, x: Tensor, y: Tensor) -> Judge:
    """The mean squared errors of structures under these modules."""

    def judge(structures: Tensor) -> Tensor:
        with torch.no_grad():
            return (joined(networks, template, structures, x) - y).square().flatten(1).mean(1)

    return judge


def bounced(
    judge: Judge,
    structures: Tensor,
    errors: Tensor,
    count: int,
    temperatures: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """One step of simulated annealing in every task: a slot is given another module, or is not.

    `temperatures` [tasks] are in units of the errors.  Gives the structures and their errors.
    Alet et al. 2018, algorithm 1 (Bounce).
    """
    tasks, slots = structures.shape
    proposed = structures.clone()
    place = torch.randint(slots, (tasks, 1), generator=generator)
    proposed.scatter_(1, place, torch.randint(count, (tasks, 1), generator=generator))
    found = judge(proposed)
    chance = torch.exp((errors - found) / temperatures.clamp(min=1e-12))
    accepted = torch.rand(tasks, generator=generator) < chance
    return torch.where(accepted[:, None], proposed, structures), torch.where(
        accepted, found, errors
    )


def annealed(
    judge: Judge,
    template: Template,
    count: int,
    spread: Tensor,
    steps: int,
    generator: torch.Generator,
    cooling: Cooling = Cooling(),
) -> tuple[Tensor, Tensor]:
    """The best structure that simulated annealing meets in each task, and its error.

    `spread` [tasks] is the variance of each task's outputs.
    """
    at = torch.randint(count, (len(spread), template.slots), generator=generator)
    errors = judge(at)
    best, least = at, errors
    for step in range(steps):
        heat = cooling.at(step / max(1, steps - 1)) * spread
        at, errors = bounced(judge, at, errors, count, heat, generator)
        better = errors < least
        best, least = torch.where(better[:, None], at, best), torch.where(better, errors, least)
    return best, least


def best_structures(template: Template, every: Every, x: Tensor, y: Tensor) -> Tensor:
    """The structure of least error in each task, all having been scored: int64 [tasks, slots]."""
    with torch.no_grad():
        errors = template.errors(every, x, y)
        count = len(every(x[:1, :1]))
    return template.structures(count)[errors.argmin(1)]
