"""MOMA: BounceGrad whose modules are adapted to each task by gradient steps, as MAML does.

Alet, Lozano-Perez and Kaelbling 2018, "Modular meta-learning", section 3.2: a structure is judged
after its modules took `inner` steps on the support,

    Theta_t = Theta - alpha grad e(S_t, D_t^train, Theta),

and the outer gradient goes through those steps (Finn et al. 2017, eq. 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.episodes import Episodes
from metaloom_metalearn.learners.learner import require_settings
from metaloom_metalearn.modular.bouncegrad import (
    Bouncing,
    Modular,
    fitted,
    outer_loop,
    require_vectors,
    variance,
)
from metaloom_metalearn.modular.networks import Networks, State
from metaloom_metalearn.modular.structures import Judge, bounced, module_of
from metaloom_metalearn.modular.templates import Template


@dataclass(frozen=True)
class Inner:
    """The gradient steps that adapt the modules of one task: how many, and at what rate."""

    steps: int = 1
    lr: float = 0.05

    def __post_init__(self) -> None:
        require_settings(self.steps, self.lr)


def adapted(
    networks: Networks,
    template: Template,
    structures: Tensor,
    x: Tensor,
    y: Tensor,
    inner: Inner,
    create_graph: bool = False,
) -> list[State]:
    """The parameters of each slot, a copy for every task, after the inner steps."""
    states = [networks.state(which) for which in structures.T]
    for _ in range(inner.steps):
        flat = [value for state in states for value in state]
        if not create_graph:
            flat = [value.detach().requires_grad_() for value in flat]
        held = _split(flat, len(states[0]))
        output = template.join(x, [module_of(state) for state in held])
        loss = (output - y).square().flatten(1).mean(1).sum()
        gradients = torch.autograd.grad(loss, flat, create_graph=create_graph)
        moved = [v - inner.lr * g for v, g in zip(flat, gradients, strict=True)]
        states = _split(moved, len(states[0]))
    return states


def predict_adapted(
    modular: Modular, structures: Tensor, x: Tensor, y: Tensor, query: Tensor, inner: Inner
) -> Tensor:
    """The outputs for `query` [tasks, q, i] after adapting to x, y; without gradients."""
    states = adapted(modular.networks, modular.template, structures, x, y, inner)
    with torch.no_grad():
        return modular.template.join(query, [module_of(state) for state in states])


def moma(
    networks: Networks,
    template: Template,
    episodes: Episodes,
    generator: torch.Generator,
    plan: Bouncing = Bouncing(),  # noqa: B008 - a frozen value
    inner: Inner = Inner(),
    clock: Clock | None = None,
) -> Modular:
    """Meta-train `networks` in place; structures are judged, and gradients taken, after adapting.

    The rest is as in `bouncegrad`; the best structure of a new task is that of `Modular.fit`, and
    `predict_adapted` adapts its modules.
    """
    require_vectors(episodes, networks)
    count, spread = networks.count, variance(episodes.support_y)

    def bounce(progress: float, some: Tensor, structures: Tensor) -> None:
        if progress == 1:
            x, y = episodes.support_x, episodes.support_y
            structures[:] = fitted(networks, template, x, y, generator)
        elif progress < 1:
            judge, at = judge_of_adapted(some), structures[some]
            heat = plan.cooling.at(progress) * spread[some]
            structures[some] = bounced(judge, at, judge(at), count, heat, generator)[0]

    def judge_of_adapted(some: Tensor) -> Judge:
        x, y = episodes.support_x[some], episodes.support_y[some]

        def judge(given: Tensor) -> Tensor:
            states = adapted(networks, template, given, x, y, inner)
            with torch.no_grad():
                output = template.join(x, [module_of(state) for state in states])
                return (output - y).square().flatten(1).mean(1)

        return judge

    def outputs(some: Tensor, structures: Tensor) -> Tensor:
        x, y = episodes.support_x[some], episodes.support_y[some]
        states = adapted(networks, template, structures, x, y, inner, create_graph=True)
        return template.join(episodes.query_x[some], [module_of(state) for state in states])

    return outer_loop(networks, template, episodes, generator, plan, clock, bounce, outputs)


def _split(flat: list[Tensor], size: int) -> list[State]:
    return [tuple(flat[i : i + size]) for i in range(0, len(flat), size)]
