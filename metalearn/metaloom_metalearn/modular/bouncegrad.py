"""BounceGrad: modules trained by gradient while simulated annealing searches their structures.

Alet, Lozano-Perez and Kaelbling 2018, "Modular meta-learning", algorithm 1: with modules Theta and
a structure S_t for each task t, repeat

    Bounce   propose S'_t; accept by Metropolis on the error e(S', D_t^train, Theta) at a
             temperature that falls
    Grad     Theta <- Theta - eta grad sum_t e(S_t, D_t^test, Theta)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.learner import require_finite
from metaloom_metalearn.learners.optimisers import Optimiser, adam
from metaloom_metalearn.modular.networks import Networks
from metaloom_metalearn.modular.structures import (
    MANY,
    Cooling,
    annealed,
    best_structures,
    bounced,
    joined,
    judge_of,
)
from metaloom_metalearn.modular.templates import Template
from metaloom_registry import InvalidTask, ParseError, Reference, Term


@dataclass(frozen=True)
class Bouncing:
    """How long and how to meta-train modules.

    steps: gradient steps, with one step of annealing before each.  batch: tasks a step, by default
    all.  polish: the last share of the steps, in which each task has its best structure of all.
    """

    steps: int = 3000
    batch: int | None = None
    optimiser: Optimiser = field(default_factory=lambda: adam(0.003))
    cooling: Cooling = field(default_factory=Cooling)
    polish: float = 0.1

    def __post_init__(self) -> None:
        if (
            self.steps < 1
            or not 0 <= self.polish <= 1
            or (self.batch is not None and self.batch < 1)
        ):
            raise ParseError(
                f"{self.steps} steps on {self.batch} tasks, of which {self.polish} are polish; "
                "give at least one step and one task, and a share from 0 to 1"
            )


@dataclass(frozen=True)
class Modular:
    """Meta-trained modules and the template that joins them.

    `structures` int64 [tasks, slots] are those of the training tasks; `losses` one a step.
    """

    networks: Networks
    template: Template
    structures: Tensor
    losses: tuple[float, ...] = ()

    def fit(self, x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
        """The best structure of each new task: x [tasks, n, i], y [tasks, n, o] -> int64."""
        return fitted(self.networks, self.template, x, y, generator)

    def predict(self, structures: Tensor, x: Tensor) -> Tensor:
        """The outputs of one structure a task, without gradients."""
        with torch.no_grad():
            return joined(self.networks, self.template, structures, x)

    def term(self, structure: Tensor, references: list[Reference]) -> Term:
        """A structure [slots] as a program, where module k is published as `references[k]`."""
        return self.template.term([references[int(k)] for k in structure])


def fitted(
    networks: Networks,
    template: Template,
    x: Tensor,
    y: Tensor,
    generator: torch.Generator,
    steps: int = 2000,
) -> Tensor:
    """The best structure of each task: of all, or where there are `MANY` of those annealed."""
    if template.number(networks.count) < MANY:
        return best_structures(template, networks, x, y)
    judge, spread = judge_of(networks, template, x, y), variance(y)
    return annealed(judge, template, networks.count, spread, steps, generator)[0]


def bouncegrad(
    networks: Networks,
    template: Template,
    episodes: Episodes,
    generator: torch.Generator,
    plan: Bouncing = Bouncing(),
    clock: Clock | None = None,
) -> Modular:
    """Meta-train `networks` in place: structures from the supports, gradients from the queries.

    Ends early, with what there is, when `clock` has run out or on Ctrl-C.  Raises Diverged where
    the loss is not finite, InvalidTask where the episodes are not of numbers.
    """
    require_vectors(episodes, networks)
    count, spread = networks.count, variance(episodes.support_y)
    few = template.number(count) < MANY

    def bounce(progress: float, some: Tensor, structures: Tensor) -> None:
        sx, sy = episodes.support_x[some], episodes.support_y[some]
        if progress >= 1 and few:
            structures[some] = best_structures(template, networks, sx, sy)
        else:
            judge, at = judge_of(networks, template, sx, sy), structures[some]
            heat = plan.cooling.at(min(1.0, progress)) * spread[some]
            structures[some] = bounced(judge, at, judge(at), count, heat, generator)[0]

    def outputs(some: Tensor, structures: Tensor) -> Tensor:
        return joined(networks, template, structures, episodes.query_x[some])

    return outer_loop(networks, template, episodes, generator, plan, clock, bounce, outputs)


def outer_loop(
    networks: Networks,
    template: Template,
    episodes: Episodes,
    generator: torch.Generator,
    plan: Bouncing,
    clock: Clock | None,
    bounce: Callable[[float, Tensor, Tensor], None],
    outputs: Callable[[Tensor, Tensor], Tensor],
) -> Modular:
    """Bounce and Grad in turn, until the steps or the time are over, or on Ctrl-C.

    `bounce(progress, some, structures)` changes the structures of some tasks, or of all; progress
    is 1 where polishing begins.  `outputs(some, structures[some])` are those for the queries,
    which the outer gradient goes through.
    """
    tasks = len(episodes)
    optimiser = plan.optimiser(list(networks.parameters()))
    structures = torch.randint(networks.count, (tasks, template.slots), generator=generator)
    losses: list[float] = []
    last = int(plan.steps * (1 - plan.polish))
    try:
        for step in range(plan.steps):
            if clock is not None and clock.expired():
                break
            some = batch_of(tasks, plan.batch, generator)
            progress = step / last if step < last else 1.0 + step - last
            bounce(progress, some, structures)
            output = outputs(some, structures[some])
            loss = (output - episodes.query_y[some]).square().mean()
            losses.append(float(loss.detach()))
            require_finite(losses[-1], step)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    except KeyboardInterrupt:
        pass
    return Modular(networks, template, structures, tuple(losses))


def variance(y: Tensor) -> Tensor:
    """The variance of each task's outputs, [tasks]; at least a little."""
    return y.flatten(1).var(1, unbiased=False).clamp(min=1e-12)


def batch_of(tasks: int, size: int | None, generator: torch.Generator) -> Tensor:
    """Which tasks a step sees."""
    if size is None or size >= tasks:
        return torch.arange(tasks)
    return torch.randperm(tasks, generator=generator)[:size]


def require_vectors(episodes: Episodes, networks: Networks) -> None:
    """Raises InvalidTask unless inputs and outputs are float [tasks, n, size] of the modules."""
    first, last = networks.sizes[0], networks.sizes[-1]
    for x, y in (
        (episodes.support_x, episodes.support_y),
        (episodes.query_x, episodes.query_y),
    ):
        fits = x.dim() == y.dim() == 3 and (x.shape[2], y.shape[2]) == (first, last)
        if not fits or not y.is_floating_point():
            raise InvalidTask(
                f"episodes of inputs {tuple(x.shape)} and outputs {tuple(y.shape)} {y.dtype} for "
                f"modules vec[{first}] -> vec[{last}]; give float tensors [tasks, n, {first}] and "
                f"[tasks, n, {last}]"
            )
