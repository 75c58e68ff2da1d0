"""A solve: the search of the meta-learner over a hub's library, on a device, and its record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import metaloom_metalearn
from metaloom import solving
from metaloom.solving.conditions import conditions
from metaloom.solving.origins import Origin
from metaloom.solving.records import Work
from metaloom_metalearn import Arm, Clock, Solution, Task
from metaloom_registry import Library, NoSolution

if TYPE_CHECKING:
    import torch

    from metaloom.hub import Hub


def recorded_solution(
    hub: Hub,
    task: Task,
    seconds: float,
    seed: int,
    device: str | torch.device | None,
    **settings: Any,
) -> tuple[Solution, Origin]:
    """Solve a task within so many seconds and record the run, also where it finds nothing.

    MLflow is told by a process of its own.  Raises NoSolution.
    """
    if settings.get("searches") is None:
        settings["searches"] = metaloom_metalearn.default_searches(task)
    chosen = _device(task, device, settings["searches"])
    choices = {name: settings.get(name) or None for name in ("searches", "learners", "prior")}
    under = conditions(chosen or "cpu", **choices)
    clock, started = Clock(seconds), round(time.time(), 6)
    work = partial(Work, task, seed, seconds, started, conditions=under)
    try:
        solution = searched(task, hub.library, seed, chosen, clock=clock, **settings)
    except NoSolution as error:
        failed = work(clock.elapsed())
        run = failed.record(None, str(error))
        hub.registry.record_run(run, failed.message(run, None, hub.vocabulary))
        hub.sender.flush_behind()
        raise
    done = work(clock.elapsed())
    run = done.record(solution)
    hub.registry.record_run(run, done.message(run, solution, hub.vocabulary))
    hub.sender.flush_behind()
    assert run.task is not None
    return solution, Origin(run.digest, run.task.digest, task.classes)


def _device(
    task: Task, wanted: str | torch.device | None, searches: Sequence[Arm]
) -> torch.device | None:
    """Where the blocks compute; None for plain tasks, unless a strategy may draw."""
    draws = any(isinstance(arm, metaloom_metalearn.Strategy) for arm in searches)
    if wanted is None and not draws and not metaloom_metalearn.holds_tensors(task.type):
        return None
    return solving.choose_device(wanted)


def searched(
    task: Task,
    library: Library,
    seed: int,
    device: torch.device | None,
    **settings: Any,
) -> Solution:
    """Solve a task; `settings` are those of `metaloom_metalearn.solve`.

    The library's blocks compute on the device, all else on the CPU, where the solution predicts.
    Without a device nothing draws, and PyTorch is not loaded.
    """
    if device is None:
        return replace(metaloom_metalearn.solve(task, library, **settings), seed=seed)
    import torch  # noqa: PLC0415 - tasks of plain values do without

    generator = torch.Generator().manual_seed(seed)
    if device.type == "cpu":
        found = metaloom_metalearn.solve(task, library, generator=generator, **settings)
        return replace(found, seed=seed)
    there = solving.OnDevice(library, device)
    found = metaloom_metalearn.solve(task, there, generator=generator, **settings)
    return replace(solving.at_home(found, library), seed=seed)
