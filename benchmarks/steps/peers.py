"""What is timed: our engine, and the others that are installed, each by its own usual loop."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeAlias

import torch
from torch import Tensor

from benchmarks.steps.problems import Problem
from metaloom_learn2learn import learn2learn
from metaloom_metalearn import maml, natural_loss

Step: TypeAlias = Callable[[], list[Tensor]]
"""One meta-step: the gradients in the order of the model's parameters."""


def metaloom(given: Problem, chunk: int | None = None) -> Step:
    learner = maml(given.steps, given.lr, chunk=chunk)
    generator = torch.Generator()

    def step() -> list[Tensor]:
        return list(
            learner.meta_gradient(given.model, given.episodes, generator).gradients.values()
        )

    return step


def with_learn2learn(given: Problem) -> Step:
    """Its examples' loop: a clone a task, and the gradients of the tasks added up."""
    wrapped = learn2learn().algorithms.MAML(given.model, lr=given.lr, first_order=False)
    episodes = given.episodes

    def step() -> list[Tensor]:
        given.model.zero_grad()
        for t in range(len(episodes)):
            clone = wrapped.clone()
            for _ in range(given.steps):
                clone.adapt(natural_loss(clone(episodes.support_x[t]), episodes.support_y[t]))
            loss = natural_loss(clone(episodes.query_x[t]), episodes.query_y[t])
            torch.autograd.backward(loss / len(episodes))
        return _gradients(given)

    return step


def with_higher(given: Problem) -> Step:
    higher: Any = import_module("higher")
    optimiser = torch.optim.SGD(given.model.parameters(), lr=given.lr)
    episodes = given.episodes

    def step() -> list[Tensor]:
        given.model.zero_grad()
        for t in range(len(episodes)):
            with higher.innerloop_ctx(given.model, optimiser, copy_initial_weights=False) as (
                fast,
                inner,
            ):
                for _ in range(given.steps):
                    inner.step(natural_loss(fast(episodes.support_x[t]), episodes.support_y[t]))
                loss = natural_loss(fast(episodes.query_x[t]), episodes.query_y[t])
                torch.autograd.backward(loss / len(episodes))
        return _gradients(given)

    return step


def with_torchopt(given: Problem) -> Step:
    torchopt: Any = import_module("torchopt")
    inner = torchopt.MetaSGD(given.model, lr=given.lr)
    episodes = given.episodes

    def step() -> list[Tensor]:
        given.model.zero_grad()
        start = torchopt.extract_state_dict(given.model, by="reference")
        begun = torchopt.extract_state_dict(inner, by="reference")
        parameters = list(given.model.parameters())
        for t in range(len(episodes)):
            for _ in range(given.steps):
                inner.step(natural_loss(given.model(episodes.support_x[t]), episodes.support_y[t]))
            loss = natural_loss(given.model(episodes.query_x[t]), episodes.query_y[t])
            torch.autograd.backward(loss / len(episodes), inputs=parameters)
            torchopt.recover_state_dict(given.model, start)
            torchopt.recover_state_dict(inner, begun)
        return _gradients(given)

    return step


def _gradients(given: Problem) -> list[Tensor]:
    return [
        torch.zeros_like(one) if one.grad is None else one.grad.clone() for one in given.parameters
    ]


def with_jax(given: Problem) -> Step:
    """`jit(vmap(grad))` over tasks, convolutions as matrix products of their windows."""
    program: Any = import_module("benchmarks.steps.jax_peer")
    step: Step = program.meta_step(given)
    return step


def in_chunks(given: Problem) -> Step:
    """Ours with the least memory: two tasks at once."""
    return metaloom(given, chunk=2)


PEERS: dict[str, Callable[[Problem], Step]] = {
    "metaloom": metaloom,
    "metaloom_chunked": in_chunks,
    "learn2learn": with_learn2learn,
    "torchopt": with_torchopt,
    "higher": with_higher,
    "jax": with_jax,
}


def installed() -> list[str]:
    """The names of those that can be timed here."""
    ours = ("metaloom", "metaloom_chunked")
    return [name for name in PEERS if name in ours or find_spec(name) is not None]
