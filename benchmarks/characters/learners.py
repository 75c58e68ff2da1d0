"""The other learners on Omniglot, each for the same time on the same network: 5-way 1-shot.

The network is the one of Finn et al. 2017: four 3x3 convolutions of 64 with stride 2 and batch
norm.  Heads train it as an encoder, the others with a linear layer on top, which they adapt.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.contract import progress
from metaloom_heads import matchingnet, metaoptnet, protonet, r2d2
from metaloom_metalearn import (
    ArrayEpisodes,
    Augmented,
    LabelledArrays,
    Plan,
    adam,
    anil,
    boil,
    by_learner,
    first_order,
    fresh_head,
    imaml,
    maml,
    maml_pp,
    meta_sgd,
    meta_train,
    reptile,
)
from metaloom_metalearn.evaluation.performance import evaluate

WAYS, SHOTS, QUERIES = 5, 1, 5
FEATURES = 256
Augment = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Arm:
    """A learner, how many tasks a step sees, and whether its steps at test time are gradients."""

    learner: Any
    batch: int = 8
    steps: int = 0
    rate: float = 0.001


ARMS: Mapping[str, Arm] = {
    "prototypes": Arm(protonet(1 / FEATURES)),
    "matching": Arm(matchingnet()),
    "ridge": Arm(r2d2()),
    "svm": Arm(metaoptnet(), batch=4),
    "maml": Arm(maml(1, 0.4), steps=1),
    "maml_first_order": Arm(maml(1, 0.4, first_order), steps=1),
    "maml_pp": Arm(maml_pp(3, 0.1), batch=4, steps=3),
    "meta_sgd": Arm(meta_sgd(1, 0.1), steps=1),
    "anil": Arm(anil(5, 0.1), steps=5),
    "boil": Arm(boil(1, 0.4), steps=1),
    "imaml": Arm(imaml(8, 0.1, solver_steps=3), batch=4, steps=8),
    "reptile": Arm(reptile(5, 0.1), steps=5, rate=0.01),
}
QUICK = ("prototypes", "maml")


def strided(classes: int | None, seed: int) -> nn.Sequential:
    """Four convolutions with stride 2: image[1,28,28] -> vec[256], or logits of some classes."""
    layers: list[tuple[str, nn.Module]] = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for i in range(4):
            layers.append((f"conv{i}", nn.Conv2d(64 if i else 1, 64, 3, 2, 1)))
            layers.append((f"norm{i}", nn.BatchNorm2d(64)))
            layers.append((f"relu{i}", nn.ReLU()))
        layers.append(("flatten", nn.Flatten()))
        if classes is not None:
            layers.append(("head", nn.Linear(FEATURES, classes)))
    return nn.Sequential(OrderedDict(layers))


def learners_table(
    train: LabelledArrays,
    test: LabelledArrays,
    augment: Augment,
    seconds: float,
    episodes: int,
    seed: int,
    names: tuple[str, ...] = tuple(ARMS),
) -> dict[str, dict[str, Any]]:
    """Train each learner for `seconds`, and test it on the same episodes, on the data's device.

    Gradient learners use the statistics of the query's batch, so they are transductive; heads use
    stored statistics.  `scratch` adapts a new linear layer on the untrained network.
    """
    drawn = Augmented(ArrayEpisodes(train, WAYS, SHOTS, QUERIES), augment)
    held = ArrayEpisodes(test, WAYS, SHOTS, QUERIES)
    place = train.inputs.device
    untrained = strided(None, seed).to(place)
    table = {"scratch": _tested(untrained, fresh_head(WAYS), held, episodes, False)}
    for name in names:
        arm = ARMS[name]
        model: nn.Module = strided(WAYS if arm.steps else None, seed).to(place)
        if hasattr(arm.learner, "equip"):
            model = arm.learner.equip(model)
        plan = Plan(1_000_000, arm.batch, adam(arm.rate), clip=10.0, seconds=seconds)
        generator = torch.Generator().manual_seed(seed)
        arm.learner.meta_gradient(
            model, drawn.episodes(arm.batch, generator), generator
        )  # compiles
        trained = meta_train(model, drawn, arm.learner, generator, plan)
        found = _tested(trained.model, arm.learner, held, episodes, bool(arm.steps))
        table[name] = found | {
            "steps": len(trained.losses),
            "tasks": len(trained.losses) * arm.batch,
            "inner_steps": arm.steps,
        }
        progress(f"{name}: {found['accuracy']:.2f} ± {found['ci95']:.2f} % after {seconds:.0f} s")
    return table


def _tested(
    model: nn.Module, learner: Any, source: ArrayEpisodes, episodes: int, transductive: bool
) -> dict[str, Any]:
    model.train(transductive)
    generator = torch.Generator().manual_seed(1)
    found = evaluate(by_learner(model, learner, generator), source, episodes, generator)
    return {
        "accuracy": found.score.mean,
        "ci95": found.score.half,
        "transductive": transductive,
    }
