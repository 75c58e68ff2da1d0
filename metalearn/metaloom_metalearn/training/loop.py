"""The loop that both kinds of training share: steps, averages, validation, checkpoints, the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor, nn

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.evaluation.interval import Interval
from metaloom_metalearn.journal import Event, Journal, Silence
from metaloom_metalearn.learners.choices import require_choice, trainable
from metaloom_metalearn.learners.learner import require_finite
from metaloom_metalearn.randomness import seeded
from metaloom_metalearn.training.checkpoint import (
    Checkpoint,
    State,
    optimiser_tensors,
    read_state,
    restore_module,
    restore_optimiser,
    tensors_of,
    write_state,
)
from metaloom_metalearn.training.interrupts import noted_interrupts
from metaloom_metalearn.training.plan import Plan, Trained
from metaloom_metalearn.training.team import Alone, Team
from metaloom_metalearn.training.validation import Answering, Validated, Validation
from metaloom_registry import InvalidTask


@dataclass(frozen=True)
class Found:
    """What one step found.

    `gradients` are those of the loss by the name of the parameter; `buffers` are what buffers
    become.  `accuracy` is from 0 to 1, NaN where there is none.  `way` says how the gradients were
    computed, where there are several ways.
    """

    loss: float
    gradients: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    accuracy: float
    way: str = ""


def share_right(outputs: Tensor, wanted: Tensor) -> float:
    """The share of right answers, for classification; else NaN."""
    if wanted.dtype != torch.int64 or outputs.dim() != wanted.dim() + 1:
        return float("nan")
    return float((outputs.argmax(-1) == wanted).float().mean())


def mixed_precision(
    device: torch.device, dtype: torch.dtype | None
) -> AbstractContextManager[object]:
    """Inside, torch computes in `dtype` what allows it. Raises InvalidTask without CUDA."""
    if dtype is None:
        return nullcontext()
    if device.type != "cuda":
        raise InvalidTask(
            f"mixed precision is for CUDA and the model is on {device.type}; move it with "
            'model.to("cuda"), or leave autocast out'
        )
    # Casts that are kept from step to step do not go together with transforms of functions.
    return torch.autocast("cuda", dtype, cache_enabled=False)


Step: TypeAlias = Callable[[nn.Module], Found]
"""One step on a model, which it may leave with other buffers."""


@runtime_checkable
class Positioned(Protocol):
    """What has a place that a checkpoint keeps: tensors by name."""

    def position(self) -> Mapping[str, Tensor]: ...

    def seek(self, position: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True)
class Setting:
    """What stands around a training: time, the journal, other processes, what is kept."""

    clock: Clock | None = None
    journal: Journal | None = None
    validation: Validation | None = None
    checkpoint: Checkpoint | None = None
    team: Team | None = None


class Loop:
    """A model being trained, and all that a checkpoint keeps of it."""

    def __init__(
        self,
        kind: str,
        model: nn.Module,
        plan: Plan,
        generator: torch.Generator,
        setting: Setting,
        answering: Answering,
        source: object,
    ) -> None:
        self.kind, self.plan, self.generator = kind, plan, generator
        self.setting, self.answering, self.source = setting, answering, source
        self.model = deepcopy(model).train()
        self.average = deepcopy(self.model) if plan.average else None
        self.trained = require_choice(self.model, trainable(self.model))
        self.optimiser = plan.optimiser([self.model.get_parameter(n) for n in self.trained])
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.device = next(self.model.parameters()).device
        self.team: Team = setting.team or Alone()
        self.journal: Journal = setting.journal or Silence()
        self.now = setting.clock.now if setting.clock else time.monotonic
        self.began, self.before, self.seconds = self.now(), 0.0, 0.0
        self.losses: list[float] = []
        self.accuracy = 0.0
        self.validated: list[Validated] = []
        self.best: tuple[Validated, nn.Module] | None = None

    def run(self, step: Step) -> Trained:
        """Train until the plan, the clock, the patience or a Ctrl-C ends it."""
        seed = self.generator.initial_seed()
        with seeded(self.generator), noted_interrupts() as interrupted:
            self._resume()
            self.began = self.now()
            ended = ""
            try:
                while not (ended := self._ended(interrupted())):
                    self._step(step)
                if ended == "finished":
                    self._validate()
            except KeyboardInterrupt:  # a second one, or one from the journal: within a step
                ended = "interrupted"
            else:
                self._save()
        return Trained(
            self._result().eval(),
            tuple(self.losses),
            self._seconds(),
            ended,
            tuple(self.validated),
            seed,
            frozenset(getattr(self.source, "classes", ())),
            tuple(getattr(self.source, "data", ())),
        )

    def _ended(self, interrupted: bool) -> str:
        """Why training ends here, the same in every process; empty where it goes on."""
        clock, plan = self.setting.clock, self.plan
        expired = clock is not None and clock.expired()
        told = self.team.largest(
            torch.tensor([interrupted, expired, self._seconds()], dtype=torch.float64)
        )
        self.seconds = float(told[2])
        if plan.done(len(self.losses), self.seconds) >= 1:
            return "finished"
        if self._impatient():
            return "patience"
        return "interrupted" if told[0] else "deadline" if told[1] else ""

    def _impatient(self) -> bool:
        validation = self.setting.validation
        if validation is None or validation.patience is None or self.best is None:
            return False
        since = [one for one in self.validated if one.step > self.best[0].step]
        return len(since) >= validation.patience

    def _step(self, step: Step) -> None:
        index = len(self.losses)
        found = self._together(step(self.model))
        require_finite(found.loss, index)
        self._apply(index, found)
        self.losses.append(found.loss)
        recent = index % self.plan.report + 1  # how many steps since the last report
        known = self.accuracy if recent > 1 else 0.0
        self.accuracy = known + (found.accuracy - known) / recent
        if recent == self.plan.report or index + 1 == self.plan.steps:
            self._report(found.way)
        if self.setting.validation and (index + 1) % self.setting.validation.every == 0:
            self._validate()
        if self.setting.checkpoint and (index + 1) % self.setting.checkpoint.every == 0:
            self._save()

    def _together(self, found: Found) -> Found:
        """The mean over the team of what each process found."""
        if self.team.size == 1:
            return found
        scalars = torch.tensor([found.loss, found.accuracy], device=self.device)
        floating = [b for b in found.buffers.values() if b.is_floating_point()]
        self.team.average([scalars, *found.gradients.values(), *floating])
        return replace(found, loss=float(scalars[0]), accuracy=float(scalars[1]))

    @torch.no_grad()
    def _apply(self, index: int, found: Found) -> None:
        parameters = {name: self.model.get_parameter(name) for name in self.trained}
        for name, parameter in parameters.items():
            parameter.grad = found.gradients.get(name)
        if self.plan.clip is not None:
            nn.utils.clip_grad_norm_(parameters.values(), self.plan.clip)
        factor = self.plan.schedule(self.plan.done(index, self.seconds))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        self.optimiser.step()
        for name, buffer in self.model.named_buffers():
            if name in found.buffers:
                buffer.copy_(found.buffers[name])
        if self.average is not None:
            keep = min(self.plan.average, (1 + index) / (10 + index))
            new = tensors_of(self.model)
            for name, mean in tensors_of(self.average).items():
                if mean.is_floating_point():
                    mean.lerp_(new[name], 1 - keep)
                else:
                    mean.copy_(new[name])

    def _validate(self) -> None:
        """Validate what would be the result, unless that was done after this very step."""
        validation, step = self.setting.validation, len(self.losses)
        if validation is None or (self.validated and self.validated[-1].step == step):
            return
        model = self.model if self.average is None else self.average
        found = validation.measure(model, step, self.answering)
        self.validated.append(found)
        if found.better_than(self.best[0] if self.best else None):
            self.best = found, deepcopy(model)
        facts = {"step": step, found.measure: found.score.mean, "half": found.score.half}
        self.journal.record(Event(f"{self.kind}_validation", self._seconds(), facts))

    def _result(self) -> nn.Module:
        if self.best is not None:
            return self.best[1]
        return self.model if self.average is None else self.average

    def _seconds(self) -> float:
        """The seconds of training, those before the checkpoint included."""
        return self.before + self.now() - self.began

    def _report(self, way: str) -> None:
        recent = self.losses[-self.plan.report :]
        done = self.plan.done(len(self.losses), self.seconds)
        facts = {
            "step": len(self.losses),
            "steps": self.plan.steps,
            "loss": sum(recent) / len(recent),
            "accuracy": self.accuracy,
            "per_second": len(self.losses) * self.plan.batch / max(self.seconds, 1e-9),
            "done": done,
            "left": self.seconds * (1 - done) / max(done, 1e-9),
            **({"way": way} if way else {}),
        }
        self.journal.record(Event(self.kind, self._seconds(), facts))

    def _save(self) -> None:
        """Write the checkpoint, in one of the processes."""
        if self.setting.checkpoint is None or self.team.rank != 0:
            return
        state = State()
        state.keep("model", tensors_of(self.model))
        if self.average is not None:
            state.keep("average", tensors_of(self.average))
        tensors, numbers = optimiser_tensors(self.optimiser)
        state.keep("optimiser", tensors)
        state.keep("random", {"generator": self.generator.get_state()})
        state.keep("random", {"torch": torch.get_rng_state()})
        if self.device.type == "cuda":
            state.keep("random", {"cuda": torch.cuda.get_rng_state(self.device)})
        if isinstance(self.source, Positioned):
            state.keep("source", self.source.position())
        state.keep("history", {"losses": torch.tensor(self.losses, dtype=torch.float64)})
        if self.best is not None:
            state.keep("best", tensors_of(self.best[1]))
        state.values.update(
            asked=self._asked(),
            optimiser=numbers,
            accuracy=self.accuracy,
            seconds=self._seconds(),
            validated=[
                [one.step, one.measure, one.score.mean, one.score.half, one.score.n]
                for one in self.validated
            ],
            best=None if self.best is None else self.validated.index(self.best[0]),
        )
        write_state(Path(self.setting.checkpoint.path), state)

    def _asked(self) -> dict[str, Any]:
        """What has to be the same for training to go on from a checkpoint."""
        plan = self.plan
        return {
            "kind": self.kind,
            "seed": self.generator.initial_seed(),
            "steps": plan.steps,
            "batch": plan.batch,
            "average": plan.average,
            "clip": plan.clip,
            "seconds": plan.seconds,
            "autocast": None if plan.autocast is None else str(plan.autocast),
            "optimiser": type(self.optimiser).__name__,
            "rates": self.rates,
        }

    def _resume(self) -> None:
        """Go on from the checkpoint, where there is one. Raises InvalidTask if it does not fit."""
        if self.setting.checkpoint is None or not Path(self.setting.checkpoint.path).exists():
            return
        path = Path(self.setting.checkpoint.path)
        state = read_state(path)
        was, asked = state.values["asked"], self._asked()
        for name, value in asked.items():
            if was.get(name) != value:
                raise InvalidTask(
                    f"the checkpoint {path.name} is of a training with {name} {was.get(name)}, "
                    f"and {value} is asked for; give that again, or another place"
                )
        restore_module(self.model, state.under("model"), path.name)
        if self.average is not None:
            restore_module(self.average, state.under("average"), path.name)
        restore_optimiser(self.optimiser, state.under("optimiser"), state.values["optimiser"])
        random = state.under("random")
        self.generator.set_state(random["generator"])
        torch.set_rng_state(random["torch"])
        if "cuda" in random and self.device.type == "cuda":
            torch.cuda.set_rng_state(random["cuda"], self.device)
        if isinstance(self.source, Positioned):
            self.source.seek(state.under("source"))
        self.losses = state.under("history")["losses"].tolist()
        self.accuracy, self.before = state.values["accuracy"], state.values["seconds"]
        self.validated = [
            Validated(step, measure, Interval(mean, half, n))
            for step, measure, mean, half, n in state.values["validated"]
        ]
        if state.values["best"] is not None:
            model = deepcopy(self.model)
            restore_module(model, state.under("best"), path.name)
            self.best = self.validated[state.values["best"]], model
