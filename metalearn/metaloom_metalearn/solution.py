"""A solution: the term found for a task, what it needs to predict, and how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metaloom_registry import Entry, Library, Reference, Term, Type

from metaloom_metalearn.search.candidate import Part, Scored
from metaloom_metalearn.search.trace import Trace
from metaloom_metalearn.tasks import Examples

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Score:
    """What was measured on some examples.

    `measure` is `exact match`, `accuracy` or `RMSE`; `low` and `high` bound its 95 % confidence
    interval, `examples` is how many it was measured on.
    """

    measure: str
    value: float
    low: float
    high: float
    examples: int


@dataclass(frozen=True)
class Solution:
    """The term found for a task; it predicts, saves, and reloads with equal predictions.

    `type` is the task's type; `term_type` the term's own, which is `examples[X, Y] -> ` and the
    task's type where the term takes the support, which the solution then carries.  `parts` are the
    modules that were adapted or trained for it, by their provisional references.
    """

    name: str
    type: Type
    term: Term
    term_type: Type
    library: Library = field(repr=False)
    entries: tuple[Entry, ...] = field(repr=False)
    parts: Mapping[Reference, Part] = field(default_factory=dict, repr=False)
    support: Examples | None = field(default=None, repr=False)
    cost: float = 0.0
    support_score: Score | None = None
    query_score: Score | None = None
    search: str = ""
    seed: int | None = None
    seconds: float = 0.0
    tried: int = 0
    alternatives: tuple[Scored, ...] = field(default=(), repr=False)
    trace: Trace = field(default_factory=Trace, repr=False)
