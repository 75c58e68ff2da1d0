"""A solve: the search of the meta-learner over a hub's library, on a device, and its record."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import metaloom_metalearn
from metaloom import solving
from metaloom.solving.origins import Origin
from metaloom.solving.records import Work
from metaloom_metalearn import Clock, Solution, Task
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
    clock, started = Clock(seconds), time.time()
    work = partial(Work, task, seed, seconds, started)
    try:
        solution = searched(task, hub.library, seed, device, clock=clock, **settings)
    except NoSolution as error:
        hub.registry.record_run(work(clock.elapsed()).record(None, str(error)))
        raise
    done = work(clock.elapsed())
    run = done.record(solution)
    hub.registry.record_run(run, done.message(run, solution, hub.vocabulary))
    hub.sender.flush_behind()
    assert run.task is not None
    return solution, Origin(run.digest, run.task.digest, task.classes)


def searched(
    task: Task,
    library: Library,
    seed: int,
    device: str | torch.device | None,
    **settings: Any,
) -> Solution:
    """Solve a task; `settings` are those of `metaloom_metalearn.solve`.

    The library's blocks compute on the device, all else on the CPU, where the solution predicts.
    PyTorch is loaded for tasks that hold tensors alone, and for strategies, which may draw.
    """
    arms = settings.get("searches") or ()
    draws = any(isinstance(arm, metaloom_metalearn.Strategy) for arm in arms)
    if device is None and not draws and not metaloom_metalearn.holds_tensors(task.type):
        return replace(metaloom_metalearn.solve(task, library, **settings), seed=seed)
    import torch  # noqa: PLC0415 - tasks of plain values do without

    chosen = solving.choose_device(device)
    generator = torch.Generator().manual_seed(seed)
    if chosen.type == "cpu":
        found = metaloom_metalearn.solve(task, library, generator=generator, **settings)
        return replace(found, seed=seed)
    there = solving.OnDevice(library, chosen)
    found = metaloom_metalearn.solve(task, there, generator=generator, **settings)
    return replace(solving.at_home(found, library), seed=seed)
