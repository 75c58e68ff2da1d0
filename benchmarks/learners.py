"""Which learner should I use?  Learners side by side on small tasks, at equal budgets.

    python -m benchmarks.learners [--seed N] [--quick] --json

Needs no data but scikit-learn's digits.  Three comparisons:

- `regression`: meta-learners on 10-shot sinusoids (Finn et al. 2017, 5.1), an MLP 40-40, equally
  many tasks and inner steps for each; the squared error of held-out tasks as training goes on, and
  after `pretraining` (the same network fitted to all tasks at once, then fine-tuned alike).
- `heads`: an encoder trained on invented characters reads real digits of 10 classes it never saw,
  5-way, by each head, with 1, 5 and 20 examples a class.
- `frozen`: the same encoder adapted in the ways that need no meta-training, on those digits and on
  the same digits in negative, which is far from what the encoder saw.  Methods that change the
  encoder begin with the layer that `fresh_head` gives.

All but `query_statistics` judge each query by itself.  Seconds are CPU time for one task.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.contract import Metrics, Options, progress, run
from metaloom_heads import cosine, matching, nearest, protonet, prototypes, ridge, svm
from metaloom_metalearn import (
    Adapted,
    ArrayEpisodes,
    Curves,
    Episodes,
    Examples,
    Interval,
    Learner,
    Plan,
    adam,
    baseline_pp,
    constant,
    film,
    fine_tune,
    first_order,
    fresh_head,
    imaml,
    lora,
    maml,
    maml_pp,
    meta_sgd,
    meta_train,
    metric,
    query_statistics,
    reptile,
    sgd,
    sinusoids,
    support_statistics,
)
from metaloom_vision import conv4, digits, invented_characters

WAYS, QUERIES = 5, 10
SHOTS = (1, 5, 20)
HEADS = {
    "prototypes": prototypes,
    "nearest": nearest,
    "matching": matching,
    "cosine": cosine,
    "ridge": ridge,
    "svm": svm,
}
RATE = 0.02


@dataclass(frozen=True)
class Budget:
    """How much each comparison may cost: training steps, and tasks to measure on."""

    encoder: int
    episodes: int
    meta_steps: int
    curves: int
    reports: int = 4


FULL = Budget(encoder=300, episodes=120, meta_steps=600, curves=60)
QUICK = Budget(encoder=30, episodes=6, meta_steps=20, curves=10, reports=2)


@dataclass(frozen=True)
class After:
    """A learner that begins with what another made of the model."""

    first: Learner
    then: Learner

    def __call__(self, model: nn.Module, support: Examples, generator: torch.Generator) -> Adapted:
        return self.then(self.first(model, support, generator).model, support, generator)


FRESH = fresh_head(WAYS, steps=100)
FROZEN: Mapping[str, Learner] = {
    "prototypes": metric(prototypes),
    "support_statistics": After(support_statistics(), metric(prototypes)),
    "query_statistics": query_statistics(metric(prototypes)),
    "fresh_head": FRESH,
    "baseline_pp": baseline_pp(WAYS, steps=100),
    "fine_tune": After(FRESH, fine_tune(steps=20, lr=0.002)),
    "lora": After(FRESH, lora(rank=4, steps=20, lr=0.01)),
    "film": After(FRESH, film(steps=20, lr=0.02)),
}


def measure(options: Options) -> Metrics:
    """The three comparisons."""
    budget = QUICK if options.quick else FULL
    encoder = trained_encoder(budget, options.seed)
    return {
        "heads": heads_table(encoder, budget, options.seed),
        "frozen": frozen_table(encoder, budget, options.seed),
        "regression": regression_table(budget, options.seed),
    }


def trained_encoder(budget: Budget, seed: int) -> nn.Module:
    """conv4 : image[1,8,8] -> vec[256], a prototypical network of invented characters."""
    generator = torch.Generator().manual_seed(seed)
    drawn = ArrayEpisodes(invented_characters(400, 10, generator), 10, 2, 3)
    plan = Plan(steps=budget.encoder, batch=4, optimiser=adam(0.002))
    encoder = conv4(8, channels=16, grid=4, generator=generator)
    trained = meta_train(encoder, drawn, protonet(1 / 16), generator, plan)
    progress(f"encoder: loss {trained.losses[-1]:.3f} after {trained.seconds:.0f} s")
    return trained.model.eval()


def heads_table(encoder: nn.Module, budget: Budget, seed: int) -> dict[str, Any]:
    """Accuracy in percent by head and examples a class."""
    table: dict[str, Any] = {}
    for name, head in HEADS.items():
        table[name] = {
            shots: accuracy(encoder, metric(head), shots, budget.episodes, seed) for shots in SHOTS
        }
        progress(f"{name}: {_line(table[name])}")
    return table


def frozen_table(encoder: nn.Module, budget: Budget, seed: int) -> dict[str, Any]:
    """Accuracy in percent by method, nearness of the data, and examples a class."""
    count = max(2, budget.episodes // 4)
    table: dict[str, Any] = {}
    for name, learner in FROZEN.items():
        table[name] = {
            where: {
                shots: accuracy(encoder, learner, shots, count, seed, change) for shots in SHOTS
            }
            for where, change in (("digits", None), ("negative", _negative))
        }
        progress(f"{name}: {_line(table[name]['digits'])}; {_line(table[name]['negative'])}")
    return table


def accuracy(
    encoder: nn.Module,
    learner: Learner,
    shots: int,
    episodes: int,
    seed: int,
    change: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, float]:
    """Over episodes of digits that are the same for every learner."""
    source = ArrayEpisodes(digits(), WAYS, shots, QUERIES)
    generator = torch.Generator().manual_seed(seed + 1)
    right, began = [], time.process_time()
    for _ in range(episodes):
        one = source.episodes(1, generator)
        sx, qx = one.support_x[0], one.query_x[0]
        if change is not None:
            sx, qx = change(sx), change(qx)
        own = torch.Generator().manual_seed(seed)
        adapted = learner(encoder, Examples((sx,), one.support_y[0]), own)
        found = adapted.predict(qx).argmax(1) == one.query_y[0]
        right.append(100 * float(found.float().mean()))
    found_ = Interval.of(right)
    seconds = (time.process_time() - began) / episodes
    return {"accuracy": found_.mean, "ci95": found_.half, "seconds": seconds}


def _negative(images: Tensor) -> Tensor:
    return 1 - images


INNER, STEPS = 0.01, 5
META: Mapping[str, tuple[Any, float]] = {
    "maml": (maml(STEPS, INNER), 0.001),
    "maml_first_order": (maml(STEPS, INNER, first_order), 0.001),
    "meta_sgd": (meta_sgd(STEPS, INNER), 0.001),
    "maml_pp": (maml_pp(STEPS, INNER, multi_step=200), 0.001),
    "imaml": (imaml(STEPS, INNER, 2.0, solver_steps=3), 0.001),
    "reptile": (reptile(STEPS, INNER), 0.001),
}


def regression_table(budget: Budget, seed: int) -> dict[str, Any]:
    """The mean squared error of held-out sinusoids after each part of the training."""
    source = Curves(sinusoids(), shots=10, queries=10)
    held = source.episodes(budget.curves, torch.Generator().manual_seed(seed + 1))
    table: dict[str, Any] = {}
    for name, (learner, rate) in META.items():
        model: nn.Module = _mlp(seed)
        if hasattr(learner, "equip"):
            model = learner.equip(model)
        generator, part = torch.Generator().manual_seed(seed), budget.meta_steps // budget.reports
        errors, began = [_error(model, learner, held)], time.process_time()
        for _ in range(budget.reports):
            plan = Plan(part, 25, adam(rate), schedule=constant)
            model = meta_train(model, source, learner, generator, plan).model
            errors.append(_error(model, learner, held))
        seconds = time.process_time() - began
        table[name] = {
            "steps": [part * i for i in range(budget.reports + 1)],
            "error": errors,
            "cpu_seconds": seconds,
        }
        progress(f"{name}: squared error {errors[-1]:.3f} after {seconds:.0f} s")
    model, generator = _mlp(seed), torch.Generator().manual_seed(seed)
    for _ in range(budget.meta_steps // 10):
        many = source.episodes(100, generator)
        every = Examples((many.query_x.flatten(0, 1),), many.query_y.flatten(0, 1))
        model = fine_tune(1, adam(0.005))(model, every, generator).model
    table["pretraining"] = {"error": [_error(model, fine_tune(STEPS, sgd(INNER)), held)]}
    progress(f"pretraining: squared error {table['pretraining']['error'][0]:.3f}")
    return table


def _mlp(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(1, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, 1)
        )


def _error(model: nn.Module, learner: Learner, held: Episodes) -> float:
    errors = []
    for sx, sy, qx, qy in zip(
        held.support_x, held.support_y, held.query_x, held.query_y, strict=True
    ):
        adapted = learner(model, Examples((sx,), sy), torch.Generator())
        errors.append(float((adapted.predict(qx) - qy).square().mean()))
    return sum(errors) / len(errors)


def _line(by_shots: Mapping[int, Mapping[str, float]]) -> str:
    return ", ".join(f"{s}-shot {v['accuracy']:.1f} ± {v['ci95']:.1f}" for s, v in by_shots.items())


if __name__ == "__main__":
    run("learners", measure, settings={"ways": WAYS, "queries": QUERIES, "inner_steps": STEPS})
