"""Meta-training with a library: from one of its blocks, recorded as a run, told to MLflow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

import metaloom_metalearn
from metaloom.blocks import Block
from metaloom.solving import Origin
from metaloom.solving.conditions import conditions, told
from metaloom.training_facts import ROLE, training_facts
from metaloom_metalearn import (
    Checkpoint,
    Clock,
    EpisodeSource,
    Event,
    Journal,
    MetaLearner,
    Plan,
    Silence,
    TaskSource,
    Trained,
    Validation,
)
from metaloom_registry import Json, Parent, TypeMismatch
from metaloom_registry.catalogue import RunRecord

if TYPE_CHECKING:
    from metaloom.hub import Hub


def meta_train(
    hub: Hub,
    model: nn.Module | Block | str,
    source: TaskSource | EpisodeSource,
    learner: MetaLearner,
    plan: Plan,
    seed: int = 0,
    *,
    clock: Clock | None = None,
    journal: Journal | None = None,
    validation: Validation | None = None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """`metaloom_metalearn.meta_train` of a module or a block of the library, as a run of it.

    The run, with what it began from, the digests of the data and its curves, is recorded and
    mirrored to MLflow.  What `hub.publish` makes of the result has the block as its parent, has
    seen the classes of `source`, and says with which seed, learner and data it was trained.
    Raises TypeMismatch where the block is no trained module.
    """
    block = hub[model] if isinstance(model, str) else model
    module: Any = block.load() if isinstance(block, Block) else block
    if not isinstance(module, nn.Module):
        raise TypeMismatch(
            f"{block} is no trained module, so nothing in it can be trained; give a graph block "
            "or an nn.Module"
        )
    history = _History(journal or Silence())
    started = round(time.time(), 6)
    trained = metaloom_metalearn.meta_train(
        module,
        source,
        learner,
        torch.Generator().manual_seed(seed),
        plan,
        clock,
        history,
        validation=validation,
        checkpoint=checkpoint,
    )
    parents = (block.digest,) if isinstance(block, Block) else ()
    trained = replace(trained, parents=parents)
    run = _run(trained, learner, plan, started, seed)
    hub.registry.record_run(run, _message(run, trained, block, history))
    hub.sender.flush_behind()
    return hub.origins.remember(trained, Origin(run.digest, None, trained.classes))


class _History:
    """Passes events on, and keeps the numbers in them by step."""

    def __init__(self, inner: Journal) -> None:
        self.inner = inner
        self.kept: list[tuple[int, dict[str, float]]] = []

    def record(self, event: Event) -> None:
        known = {"step", "steps", "done", "left"}
        numbers = {
            f"validation {name}" if event.kind.endswith("_validation") else name: float(value)
            for name, value in event.facts.items()
            if name not in known and isinstance(value, int | float) and value == value
        }
        step = event.facts["step"]
        assert isinstance(step, int)
        self.kept.append((step, numbers))
        self.inner.record(event)


def _run(
    trained: Trained, learner: MetaLearner, plan: Plan, started: float, seed: int
) -> RunRecord:
    facts = training_facts(trained)
    return RunRecord(
        kind="train",
        started=started,
        seconds=trained.seconds,
        status=trained.ended,
        seed=seed,
        budget=plan.seconds,
        scores={name: value for name, value in facts.items() if name.startswith("validation")},
        facts={
            "steps": len(trained.losses),
            "data": facts["data"],
            **conditions(_device(trained), learner=learner, plan=plan),
        },
        inputs=tuple(Parent(digest, ROLE) for digest in trained.parents),
    )


def _device(trained: Trained) -> torch.device:
    """Where the model was trained."""
    return next((p.device for p in trained.model.parameters()), torch.device("cpu"))


def _message(
    run: RunRecord, trained: Trained, block: Block | nn.Module, history: _History
) -> Mapping[str, Json]:
    """What MLflow is told of the run; see `metaloom.lineage.mirror`."""
    began: list[Json] = []
    if isinstance(block, Block):
        began = [
            {
                "digest": str(block.digest),
                "reference": str(block.reference),
                "kind": block.kind,
                "signature": str(block.signature),
            }
        ]
    return {
        "name": "meta_train",
        "time": run.started,
        "seconds": run.seconds,
        "history": [[step, dict(numbers)] for step, numbers in history.kept],
        "status": run.status,
        "params": {"seed": run.seed, **told({k: v for k, v in run.facts.items() if k != "data"})},
        "tags": {
            "metaloom.run": str(run.digest),
            "metaloom.data": " ".join(map(str, trained.data)),
            "metaloom.ended": trained.ended,
        },
        "inputs": began,
    }
