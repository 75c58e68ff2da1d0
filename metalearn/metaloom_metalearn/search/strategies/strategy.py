"""The arm of a search with `ask` and `tell`: what it proposes is evaluated, and told back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Event
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Scored, Search
from metaloom_metalearn.search.enumeration.enumerate import Patience
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.nearness import nearness
from metaloom_metalearn.search.noise import LEAST, Residuals
from metaloom_metalearn.search.scoring import Scorer
from metaloom_metalearn.search.strategies.space import LITERALS, Space
from metaloom_registry import Arrow, EvaluationError, is_closed, uncurried
from metaloom_registry.types import FLOAT, INT

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
    Where what the shortest program of numbers leaves looks like noise, it goes on for as long again
    as it took to get there, and for a fifth of the time at the least.
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
        fifth = LEAST * clock.budget
        while candidates := search.ask(batch):
            answers = [judge.scored(candidate) for candidate in candidates]
            search.tell([one for one, _ in answers])
            for one, values in answers:
                if one.exact and alternatives is None:
                    alternatives = self.patience.alternatives
                    seconds = min(self.patience.seconds, clock.elapsed(), clock.left())
                    left = Clock(max(seconds, 1e-9), clock.now)
                    yield one
                elif one.exact and alternatives:
                    alternatives -= 1
                    yield one
                elif alternatives is None and one.score < lowest:
                    yield replace(one, loss=judge.scorer.loss(values))
                lowest = min(lowest, one.score)
            before, now = now, clock.elapsed()
            batch = max(1, min(BATCH, 2 * batch if now - before < QUICK else batch // 2))
            if alternatives == 0 or left.expired() or clock.expired():
                break
            if alternatives is None and judge.noisy and now > max(2 * judge.since, fifth):
                space.account.note(judge.reason)
                break
            if now > told + TOLD:
                told = now
                facts = {"tried": problem.trace.tried}
                problem.journal.record(Event("tried", now, facts))
        else:
            if not clock.expired():
                space.account.note(f"{self.name} proposes nothing more")
        if alternatives is None and judge.noisy:
            yield judge.noisy


@dataclass
class _Judge:
    """Evaluates candidates on every example.

    `noisy` is the program of numbers that is shortest with what it leaves, where that looks like
    noise, scored so; it has been so `since` then.
    """

    space: Space
    scorer: Scorer = field(init=False)
    residuals: Residuals = field(init=False)
    noisy: Scored | None = field(init=False, default=None)
    since: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        inputs, outputs = zip(*self.space.examples, strict=True)
        self.scorer = Scorer.of(outputs, self.space.want)
        self.residuals = Residuals(inputs, outputs, self.space.want)

    @property
    def reason(self) -> str:
        """Why there is no use in searching on."""
        noise = self.residuals.noise
        assert noise is not None
        return (
            f"stopped: what a program of {noise.cost:.1f} nats gets wrong looks like noise of "
            f"size {noise.size:.2g} that depends on nothing simple, and none was better for as "
            "long again"
        )

    def scored(self, candidate: Candidate) -> tuple[Scored, list[Any]]:
        """The candidate, each output that is wrong an exception, and what it gives."""
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
        scored = Scored(candidate, self.scorer.exceptions(values), right, near)
        if self.space.want in (INT, FLOAT) and self.residuals.shorter(values, candidate.cost):
            noise = self.residuals.noise
            self.noisy = None if noise is None else replace(scored, loss=noise.length - noise.cost)
            self.since = self.space.problem.clock.elapsed()
        return scored, values
