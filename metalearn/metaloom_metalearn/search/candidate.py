"""A candidate: a term that may solve a task, what it costs to write, and how it scored.

Every length is in nats.  A score is a description length: the cost of the term under the grammar
plus what it takes to write out the outputs it gets wrong (`coding`); lower is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from metaloom_registry import Digest, Reference, Term, Type

if TYPE_CHECKING:
    from torch import nn


FITS = 0.9
"""A program over trained blocks, which err, fits where it is right on this share of examples."""


@dataclass(frozen=True)
class Part:
    """A module adapted or trained for a term: its type as a block, and the blocks it came from."""

    module: nn.Module
    type: Type
    parents: tuple[Digest, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """A term, its type and its cost under the grammar.

    `type` is the task's type, or `examples[X, Y] -> X -> Y` for a term that takes the support
    first.  `parts` holds what was adapted or trained for this term, under the provisional
    references (`@sha256:<digest of the state's bytes>`) that the term names them by.
    """

    term: Term
    type: Type
    cost: float
    parts: Mapping[Reference, Part] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """A candidate and how it did on the support, by itself or by cross-validation.

    `loss` is the description length of what it gets wrong; `right` says which support examples it
    gets right.  `score` of two of one task are comparable whichever arm found them.  `near`
    says how near each output comes, where that was looked at: 1 where it is right, less elsewhere.
    `evidence` are the nats that the choice of the examples saves, where that was looked at.
    """

    candidate: Candidate
    loss: float
    right: tuple[bool, ...]
    near: tuple[float, ...] = ()
    evidence: float = 0.0

    @property
    def score(self) -> float:
        return self.candidate.cost + self.loss - self.evidence

    @property
    def graded(self) -> float:
        """The score with credit for outputs that come near: what searches that climb go by."""
        wrong = [near for near in self.near if near < 1]
        return self.candidate.cost + self.loss * (1 - sum(wrong) / max(1, len(wrong)))

    @property
    def exact(self) -> bool:
        """Whether it gets every support example right, and is sure of it."""
        return self.loss == 0.0 and all(self.right)

    @property
    def fits(self) -> bool:
        """Whether it gets nearly every support example right, as far as trained blocks can."""
        return sum(self.right) >= FITS * len(self.right) > 0

    @property
    def rank(self) -> tuple[bool, float]:
        """What candidates are sorted by: exact ones first, then by score."""
        return not self.exact, self.score


class Search(Protocol):
    """Proposes terms and learns from their scores."""

    def ask(self, n: int) -> Sequence[Candidate]:
        """The next candidates worth scoring, at most `n`; none when the search is exhausted."""
        ...

    def tell(self, scored: Sequence[Scored]) -> None:
        """How candidates that were asked for did, in any order."""
        ...
