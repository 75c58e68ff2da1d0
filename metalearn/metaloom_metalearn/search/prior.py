"""What a search believes before it begins: a weight for every block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from metaloom_metalearn.tasks import Task
from metaloom_registry import Entry, Reference


class Prior(Protocol):
    """How likely each block is to be of use for a task."""

    def log_weights(self, task: Task, entries: Sequence[Entry]) -> Sequence[float]:
        """One log weight (nats, need not be normalised) an entry; it sees the support alone."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Every block is as likely as any other."""

    def log_weights(self, task: Task, entries: Sequence[Entry]) -> Sequence[float]:
        del task
        return [0.0] * len(entries)


@dataclass(frozen=True)
class Weights:
    """Log weights by reference, for example refitted on solved tasks; `default` for all others."""

    table: Mapping[Reference, float] = field(default_factory=dict)
    default: float = 0.0

    def log_weights(self, task: Task, entries: Sequence[Entry]) -> Sequence[float]:
        del task
        return [self.table.get(entry.reference, self.default) for entry in entries]
