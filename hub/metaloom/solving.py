"""Solving a task with a hub's library, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from metaloom_metalearn import Examples, Task
from metaloom_registry import (
    Digest,
    Entry,
    Library,
    Loaded,
    Tensor,
    Type,
    parts,
)

if TYPE_CHECKING:
    import torch


def takes_tensors(task: Task) -> bool:
    """Whether a task has anything to do with tensors, and so with trained blocks."""
    return any(isinstance(part, Tensor) for part in parts(task.type))


@dataclass(frozen=True)
class OnDevice:
    """A library whose trained blocks are moved to a device when they are loaded."""

    inner: Library
    device: torch.device

    def candidates(self, want: Type, given: tuple[Type, ...], limit: int) -> Sequence[Entry]:
        return self.inner.candidates(want, given, limit)

    def load(self, digest: Digest) -> Loaded:
        loaded = self.inner.load(digest)
        move = getattr(loaded, "to", None)
        return loaded if move is None else move(self.device)


def moved(task: Task, device: torch.device) -> Task:
    """The task with its tensors on a device."""
    query = None if task.query is None else _moved(task.query, device)
    return replace(task, support=_moved(task.support, device), query=query)


def _moved(examples: Examples, device: torch.device) -> Examples:
    return Examples(
        tuple(_on(column, device) for column in examples.inputs), _on(examples.outputs, device)
    )


def _on(value: Any, device: torch.device) -> Any:
    if isinstance(value, tuple):
        return tuple(_on(item, device) for item in value)
    move = getattr(value, "to", None)
    return value if move is None else move(device)
