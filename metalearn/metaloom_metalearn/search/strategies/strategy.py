"""The arm of a search with `ask` and `tell`: what it proposes is evaluated, and told back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Event
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Scored, Search
from metaloom_metalearn.search.enumeration.enumerate import Patience
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.nearness import nearness
from metaloom_metalearn.search.scoring import Scorer
from metaloom_metalearn.search.strategies.space import LITERALS, Space
from metaloom_registry import Arrow, EvaluationError, is_closed, uncurried

BATCH = 64
"""At most so many candidates are asked for at a time."""

QUICK = 0.02
"""Twice as many are asked for next where these took fewer seconds, else half as many."""

TOLD = 0.5
"""The least seconds between two events."""


@dataclass(frozen=True)
class Strategy:
    """An arm that evaluates what a search proposes.

    `begin` starts the search on the space of a problem.  It ends when nothing is proposed any more,
    when the time is over, and a little after the first program that is right on every example.
    """

    name: str
    begin: Callable[[Space], Search]
    constants: Constants = LITERALS
    patience: Patience = field(default_factory=Patience)
    gradients: bool = False

    def applies(self, problem: Problem) -> bool:
        given, want = uncurried(problem.task.type)
        plain = not any(isinstance(t, Arrow) or not is_closed(t) for t in (*given, want))
        return plain and problem.generator is not None

    def search(self, problem: Problem) -> Search | None:
        """The search for a problem; None, with a note, where no term has the wanted type."""
        space = Space.of(problem, self.name, self.constants)
        return None if space is None else self.begin(space)

    def run(self, problem: Problem) -> Iterator[Scored]:
        """Each candidate that beats those before it, then others as right as the solution."""
        space = Space.of(problem, self.name, self.constants)
        if space is None:
            return
        search, judge = self.begin(space), _Judge(space)
        clock, left, lowest = problem.clock, problem.clock, judge.scorer.ceiling
        alternatives: int | None = None
        batch, told, now = 1, clock.elapsed(), clock.elapsed()
        while candidates := search.ask(batch):
            answers = [judge.scored(candidate) for candidate in candidates]
            search.tell(answers)
            for one in answers:
                if one.exact and alternatives is None:
                    alternatives = self.patience.alternatives
                    seconds = min(self.patience.seconds, clock.elapsed(), clock.left())
                    left = Clock(max(seconds, 1e-9), clock.now)
                    yield one
                elif one.exact and alternatives:
                    alternatives -= 1
                    yield one
                elif alternatives is None and one.score < lowest:
                    yield one
                lowest = min(lowest, one.score)
            before, now = now, clock.elapsed()
            batch = max(1, min(BATCH, 2 * batch if now - before < QUICK else batch // 2))
            if alternatives == 0 or left.expired() or clock.expired():
                return
            if now > told + TOLD:
                told = now
                facts = {"tried": problem.trace.tried}
                problem.journal.record(Event("tried", now, facts))
        if not clock.expired():
            space.account.note(f"{self.name} proposes nothing more")


@dataclass
class _Judge:
    """Evaluates candidates on every example."""

    space: Space
    scorer: Scorer = field(init=False)

    def __post_init__(self) -> None:
        outputs = [output for _, output in self.space.examples]
        self.scorer = Scorer.of(outputs, self.space.want)

    def scored(self, candidate: Candidate) -> Scored:
        run = self.space.blocks.evaluator.compile(candidate.term)
        values = []
        for inputs, _ in self.space.examples:
            try:
                values.append(run(*inputs))
            except EvaluationError:
                values.append(FAILED)
        self.space.account.counts["scored"] += 1
        right = self.scorer.right(values)
        near = tuple(
            1.0 if fine else min(0.99, nearness(value, wanted))
            for fine, value, wanted in zip(right, values, self.scorer.outputs, strict=True)
        )
        return Scored(candidate, self.scorer.loss(values), right, near)
