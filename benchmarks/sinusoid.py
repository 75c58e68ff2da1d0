"""Five points of a sinusoid: MAML beside pretraining and learning from scratch.

    python -m benchmarks.sinusoid [--minutes 5] [--seed N] [--quick] --json

The tasks are those of Finn et al. 2017, section 5.1: amplitudes 0.1 to 5, phases 0 to pi, points
from -5 to 5; 5 of them to learn from.  The network is theirs too, 1-40-40-1 with ReLU.  `error` is
the mean squared error after 1, 5 and 10 gradient steps on fresh tasks, 100 points each.

`maml` is meta-trained through 1 or 5 inner steps, drawn anew for each meta-step: trained through
one alone, the weights grow, and after tens of thousands of meta-steps five steps of that length
diverge on a few tasks.  The gradient's norm is held to `CLIP`, as one such task can have any.
`pretrained` has the same network trained on the
points of all tasks together for as many steps, then takes its gradient steps at the best of several
rates.  `scratch` does so from random weights.  Their rates are chosen on tasks of their own for
each number of steps, so the controls are at their best.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from benchmarks.contract import Metrics, Options, progress, run
from metaloom_metalearn import (
    Curves,
    Episodes,
    Event,
    MetaGradient,
    MetaLearner,
    Plan,
    adam,
    first_order,
    maml,
    meta_train,
    sinusoids,
)
from metaloom_metalearn.learners.batched.engine import Engine

STEPS = (1, 5, 10)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
PAPER = {"maml": (0.67, 0.38, 0.35), "pretrained": (2.41, 2.23, 2.19)}
INNER, RATE, BATCH = (1, 5), 0.01, 25
META_RATE, CLIP = 0.001, 10.0
TRAINING, QUICK_TRAINING = 60_000, 2_000
MINUTES = 5
_ANY = torch.Generator()


class Together:
    """A learner for `meta_train` that adapts nothing: support and query are examples alike."""

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The gradient of the error on all points of all tasks."""
        del generator
        x = torch.cat([episodes.support_x, episodes.query_x], 1)
        y = torch.cat([episodes.support_y, episodes.query_y], 1)
        output = model(x)
        loss = functional.mse_loss(output, y)
        names, parameters = zip(*model.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters)
        return MetaGradient(
            float(loss.detach()),
            dict(zip(names, gradients, strict=True)),
            {},
            output[:, episodes.support_x.shape[1] :].detach(),
        )


@dataclass(frozen=True)
class OneOf:
    """A learner for `meta_train` that is one of several in each step, drawn at random."""

    learners: Sequence[MetaLearner]

    def meta_gradient(
        self, model: nn.Module, episodes: Episodes, generator: torch.Generator
    ) -> MetaGradient:
        """The meta-gradient of the learner that is drawn."""
        drawn = int(torch.randint(len(self.learners), (1,), generator=generator))
        return self.learners[drawn].meta_gradient(model, episodes, generator)


class Progress:
    """Says every tenth report of the journal."""

    def record(self, event: Event) -> None:
        if event.facts["step"] % 5000 == 0:  # type: ignore[operator]
            progress(f"step {event.facts['step']}: {event.facts['loss']:.3f}")


def network(seed: int) -> nn.Sequential:
    """1-40-40-1, its weights drawn from a seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
        )


def measure(options: Options) -> Metrics:
    """The errors of the three arms after each number of steps."""
    tasks = 100 if options.quick else 1000
    budget = None if options.quick else 60.0 * (options.numbers.get("minutes") or MINUTES)
    steps = QUICK_TRAINING if options.quick else TRAINING
    train = Curves(sinusoids(), shots=5, queries=10)
    asked = Curves(sinusoids(), shots=5, queries=100)
    chosen_on = asked.episodes(200, torch.Generator().manual_seed(options.seed + 1))
    tested_on = asked.episodes(tasks, torch.Generator().manual_seed(options.seed + 2))
    plan = Plan(steps, BATCH, adam(META_RATE), clip=CLIP, average=0.99, seconds=budget, report=500)
    found: dict[str, dict[str, float]] = {}
    facts: dict[str, Any] = {}
    descents = [maml(steps, RATE) for steps in INNER]
    if options.quick:  # what is compiled pays in minutes, not in seconds
        descents = [replace(descent, engine=Engine(compiled=False)) for descent in descents]
    learners: Mapping[str, MetaLearner] = {"maml": OneOf(descents), "pretrained": Together()}
    for name, learner in learners.items():
        start = time.perf_counter()
        for used in descents if name == "maml" else [learner]:
            used.meta_gradient(network(0), train.episodes(BATCH, torch.Generator()), _ANY)
        facts[name] = {"compile_seconds": time.perf_counter() - start}
        generator = torch.Generator().manual_seed(options.seed)
        trained = meta_train(
            network(options.seed), train, learner, generator, plan, journal=Progress()
        )
        rates = (RATE,) if name == "maml" else RATES
        found[name], chosen = errors(trained.model, rates, chosen_on, tested_on)
        facts[name] |= {
            "training_steps": len(trained.losses),
            "train_seconds": trained.seconds,
            "rates": chosen,
        }
        progress(f"{name}: {found[name]}")
    found["scratch"], chosen = errors(network(options.seed), RATES, chosen_on, tested_on)
    facts["scratch"] = {"rates": chosen}
    return {
        "error": found,
        "paper": {
            name: dict(zip(map(str, STEPS), values, strict=True)) for name, values in PAPER.items()
        },
        "arms": facts,
        "protocol": {"tasks": tasks, "points": 100, "shots": 5, "inner_steps_in_training": INNER},
    }


def errors(
    model: nn.Module, rates: tuple[float, ...], chosen_on: Episodes, tested_on: Episodes
) -> tuple[dict[str, float], Mapping[str, float]]:
    """The error after each number of steps, at the rate that is best on other tasks."""
    found, chosen = {}, {}
    for steps in STEPS:
        rate = min(rates, key=lambda one, n=steps: error(model, n, one, chosen_on))  # type: ignore[misc]
        found[str(steps)] = error(model, steps, rate, tested_on)
        chosen[str(steps)] = rate
    return found, chosen


def error(model: nn.Module, steps: int, rate: float, episodes: Episodes) -> float:
    """The mean squared error on the queries after so many gradient steps on the supports."""
    learner = maml(steps, rate, first_order)
    outputs = learner.meta_gradient(model, episodes, torch.Generator()).outputs
    return float((outputs - episodes.query_y).square().mean().nan_to_num(1e9))


NUMBERS = {"minutes": f"minutes to train each of two arms at most, by default {MINUTES}"}

SETTINGS = {"batch": BATCH, "inner_rate": RATE, "meta_rate": META_RATE, "clip": CLIP}

if __name__ == "__main__":
    run("sinusoid", measure, settings=SETTINGS, numbers=NUMBERS)
