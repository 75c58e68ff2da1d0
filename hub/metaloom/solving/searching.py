"""A solve on a device: the search of the meta-learner over a hub's library."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import metaloom_metalearn
from metaloom import solving
from metaloom_metalearn import Solution, Task
from metaloom_registry import Library, Tensor, parts

if TYPE_CHECKING:
    import torch


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
    if device is None and not draws and not holds_tensors(task):
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


def holds_tensors(task: Task) -> bool:
    """Whether a task has anything to do with tensors, and so with trained blocks."""
    return any(isinstance(part, Tensor) for part in parts(task.type))
