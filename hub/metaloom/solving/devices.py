"""Where tensors are: the device a user asked for, or the best there is, and moving there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from metaloom_metalearn import Examples, Solution, Task
from metaloom_registry import Digest, Entry, Library, Loaded, NotFound, ParseError, Type


def choose_device(wanted: str | torch.device | None = None) -> torch.device:
    """The device `wanted`; where None, CUDA if there is one and else the CPU.

    Raises ParseError where it is no device's name, NotFound where this machine has no such device.
    """
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except (RuntimeError, TypeError):
        raise ParseError(f"{wanted!r} is not a device; give cpu, cuda or cuda:1") from None
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise ParseError(f"the device {wanted} is not supported; give cpu, cuda or cuda:1")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        there = f"CUDA sees {count}" if count else "PyTorch sees no CUDA device here"
        raise NotFound(f"there is no device {wanted}: {there}; give --device cpu, or leave it out")
    return device


@dataclass(frozen=True)
class OnDevice:
    """A library whose trained blocks are copied to a device when they are loaded."""

    inner: Library
    device: torch.device

    def candidates(self, want: Type, given: tuple[Type, ...], limit: int) -> Sequence[Entry]:
        return self.inner.candidates(want, given, limit)

    def load(self, digest: Digest) -> Loaded:
        loaded = self.inner.load(digest)
        if not isinstance(loaded, torch.nn.Module):
            return loaded
        return copy.deepcopy(loaded).to(self.device)


def task_on(task: Task, device: torch.device) -> Task:
    """The task with its tensors on a device."""
    query = None if task.query is None else _examples_on(task.query, device)
    return replace(task, support=_examples_on(task.support, device), query=query)


def solution_on(solution: Solution, device: torch.device, library: Library) -> Solution:
    """The solution with its support and its parts on a device, over the library."""
    return replace(
        solution,
        library=library,
        support=None if solution.support is None else _examples_on(solution.support, device),
        parts={
            reference: replace(part, module=part.module.to(device))
            for reference, part in solution.parts.items()
        },
    )


def _examples_on(examples: Examples, device: torch.device) -> Examples:
    return Examples(
        tuple(_on(column, device) for column in examples.inputs), _on(examples.outputs, device)
    )


def _on(value: Any, device: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(_on(item, device) for item in value)
    move = getattr(value, "to", None)
    return value if move is None else move(device)
