"""What happened during a search, told as it happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: `kind` such as `candidate`, `best`, `round`, `finished`.

    `seconds` is the time since the search began; `facts` are plain JSON values.
    """

    kind: str
    seconds: float
    facts: Mapping[str, object] = field(default_factory=dict)


class Journal(Protocol):
    """Takes note of events: a progress bar, rows of a table, runs of MLflow."""

    def record(self, event: Event) -> None: ...


class Silence:
    """The journal that takes no note."""

    def record(self, event: Event) -> None:
        del event


class MemoryJournal:
    """The journal that keeps every event, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def record(self, event: Event) -> None:
        self.events.append(event)
