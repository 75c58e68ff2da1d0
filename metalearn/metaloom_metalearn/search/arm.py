"""An arm of `solve`: one way to find candidates, from the problem to a stream of scored ones.

The contract of an arm:

- It sees the support alone: the task of its problem has no query.
- Entries that saw a class of the task in training are gone from `problem.entries`; use no others.
- `run` yields candidates as it finds them, at the least each one that beats all it yielded before,
  and returns when it is exhausted or when `problem.clock` has expired, which it checks itself
  often (every 50 ms of work where it can).  What it has yielded stays found if it is interrupted.
- It counts what it did in `problem.trace.arm(self.name)`: `scored` for each candidate it scored,
  `generated`, `trained` and others as they apply, and a note for what it left out.
- A score is a description length in nats (`search.coding`), so that arms are comparable.
- Randomness comes from `problem.generator` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Journal, Silence
from metaloom_metalearn.search.candidate import Scored
from metaloom_metalearn.search.prior import Prior, Uniform
from metaloom_metalearn.search.trace import Trace
from metaloom_metalearn.tasks import Task
from metaloom_registry import Entry, Library

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Problem:
    """What an arm is given.

    `entries` are the library's candidates for the task, the most promising first, without those
    that saw the task's classes; `library.load(entry.digest)` loads one.  `learners` are the ways to
    change parameters that the caller chose (`metaloom_metalearn.Learner`).  `clock` is the arm's
    own deadline, never later than the whole solve's.  `generator` is None where the caller gave
    none: arms that draw then do not apply.
    """

    task: Task
    library: Library
    entries: tuple[Entry, ...]
    clock: Clock
    prior: Prior = field(default_factory=Uniform)
    learners: Sequence[Any] = ()
    journal: Journal = field(default_factory=Silence)
    generator: torch.Generator | None = None
    trace: Trace = field(default_factory=Trace)


class Arm(Protocol):
    """One way to find candidates.

    `name` is short and unique among the arms of one solve.  `gradients` says whether it trains:
    arms that do not are run first.
    """

    @property
    def name(self) -> str: ...

    @property
    def gradients(self) -> bool: ...

    def applies(self, problem: Problem) -> bool:
        """Whether it could find anything here, told from the types alone, in no time."""
        ...

    def run(self, problem: Problem) -> Iterator[Scored]:
        """Candidates for the task, as they are found."""
        ...
