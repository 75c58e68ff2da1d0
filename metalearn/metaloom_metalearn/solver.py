"""Solve a task: arms search the library under one deadline; the best candidate is the solution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import metaloom_metalearn
from metaloom_metalearn.clock import Clock
from metaloom_metalearn.engines.hard.evaluator import Evaluator
from metaloom_metalearn.engines.hard.limits import Limits
from metaloom_metalearn.journal import Event, Journal, Silence
from metaloom_metalearn.keyed import is_keyed
from metaloom_metalearn.predictor import Predictor
from metaloom_metalearn.scores import Score, measure_of, rmse_of_integers, scored, share
from metaloom_metalearn.search.arm import Arm, Problem
from metaloom_metalearn.search.candidate import Scored
from metaloom_metalearn.search.division.divide import Divide
from metaloom_metalearn.search.enumeration.bank import TIME_IS_UP
from metaloom_metalearn.search.enumeration.enumerate import Enumerate, Patience
from metaloom_metalearn.search.enumeration.remembering import Remembering
from metaloom_metalearn.search.evidence import Evidence
from metaloom_metalearn.search.examples import check_task, holds_tensors, plain_examples
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.misfits import nearest_misfits
from metaloom_metalearn.search.noise import worth
from metaloom_metalearn.search.prior import Prior, Uniform
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.search.trace import Improvement, Trace
from metaloom_metalearn.solution import Solution
from metaloom_metalearn.tasks import ASKED_FOR, Task
from metaloom_registry import Entry, Library, NoSolution, print_term, taught
from metaloom_registry.types import TEXT, parts

if TYPE_CHECKING:
    import torch

ENTRIES = 512
"""How many blocks of the library a solve looks at."""

ALTERNATIVES = 20
STEPS = 10_000
"""What takes more steps on an input has no value there, where candidates are compared."""

SHOWN = 160
"""Characters of the best candidate that a message shows."""

ENUMERATED = 0.7
"""The share of the time after which division follows, where enumeration has found nothing."""

HALF = 0.5
"""A program is a solution where it is right on at least this share of the support, or where it is
shorter, with what it gets wrong, than the outputs written out."""


def solve(
    task: Task,
    library: Library,
    *,
    clock: Clock,
    prior: Prior = Uniform(),  # noqa: B008 - a frozen value
    searches: Sequence[Arm] | None = None,
    learners: Sequence[Any] = (),
    journal: Journal = Silence(),  # noqa: B008 - keeps nothing
    generator: torch.Generator | None = None,
) -> Solution:
    """The best program for a task that the arms find before the clock runs out.

    `searches` are the arms, by default `default_searches(task)`; those that need no gradient run
    first, and may use half of the time where others wait.  Blocks that saw a class of the task are
    used by none.  The query is looked at once, for the score of the solution.  An interrupt
    (Ctrl-C) ends the search and keeps what was found.

    A solution that is not right on every example says so in a warning of its trace.  Raises
    InvalidTask on examples that make no task, and NoSolution where nothing fits, or what was found
    is right on less than half of the support and no shorter, with what it gets wrong, than the
    outputs written out; the message says which type was missing, what came nearest, and what the
    best candidate was.
    """
    check_task(task)
    run = _Run(task, library, clock, journal, generator)
    problem = run.problem(prior, learners)
    arms = default_searches(task) if searches is None else searches
    applicable = [arm for arm in arms if arm.applies(problem)]
    run.tell("started", task=task.name, type=str(task.type), blocks=len(problem.entries))
    try:
        for arm in sorted(applicable, key=lambda arm: arm.gradients):
            if run.settled(arm):
                continue
            waiting = any(other.gradients for other in applicable) and not arm.gradients
            run.pull(arm, replace(problem, clock=run.share(HALF if waiting else 1.0)))
    except KeyboardInterrupt:
        run.interrupted = True
    best = run.chosen()
    if best is None:
        raise run.nothing(problem, applicable)
    solution = run.solution(best)
    run.tell("finished", score=best.score, exact=best.exact, tried=solution.tried)
    return solution


def default_searches(task: Task, candidates: int = 5) -> Sequence[Arm]:
    """Enumeration, and for tasks with text division before it, else after it.

    Division is quick where outputs are texts made of pieces; of dictionaries, sets and graphs,
    whose keys are often texts, it makes programs that are longer than need be.  For tasks with
    tensors few-shot heads and compositions of trained blocks come before enumeration, and training
    after it.  Plain tasks are searched for about as many `candidates`, and may use the small
    integers of the language even where they are a whole input or output.
    Tasks with a memory have an arm of their own.
    """
    if task.memory is not None:
        return (Remembering(),)
    if not holds_tensors(task.type):
        constants = Constants(strict=False)
        divide = Divide(constants, alternatives=candidates - 1)
        enumerate_ = Enumerate(constants, patience=Patience(alternatives=candidates - 1))
        held = tuple(parts(task.type))
        if TEXT in held and not any(map(is_keyed, held)):
            return divide, enumerate_
        return replace(enumerate_, share=ENUMERATED), replace(divide, share=1.0)
    few_shot, compositions = metaloom_metalearn.FewShot(), metaloom_metalearn.Compositions()
    return (few_shot, compositions, Enumerate(), metaloom_metalearn.Halving())


@dataclass
class _Run:
    """One solve on its way: the candidates so far and who found them."""

    task: Task
    library: Library
    clock: Clock
    journal: Journal
    generator: torch.Generator | None
    trace: Trace = field(default_factory=Trace)
    found: list[tuple[Scored, str]] = field(default_factory=list)
    entries: tuple[Entry, ...] = ()
    excluded: tuple[str, ...] = ()
    interrupted: bool = False

    def problem(self, prior: Prior, learners: Sequence[Any]) -> Problem:
        """The task without its query, and the blocks that may be used for it."""
        task = self.task
        every = self.library.candidates(task.want, task.given, ENTRIES)
        every = [e for e in every if task.allows.issuperset(ASKED_FOR.intersection(e.tags))]
        self.entries = tuple(entry for entry in every if not entry.seen & task.classes)
        self.excluded = tuple(entry.name for entry in every if entry.seen & task.classes)
        return Problem(
            task=replace(task, query=None),
            library=self.library,
            entries=self.entries,
            clock=self.clock,
            prior=prior,
            learners=learners,
            journal=self.journal,
            generator=self.generator,
            trace=self.trace,
        )

    def share(self, of: float) -> Clock:
        """A clock for this share of the time that is left."""
        return Clock(max(self.clock.left() * of, 1e-9), self.clock.now)

    def settled(self, arm: Arm) -> bool:
        """Whether there is no use in running this arm: the time is up, or nothing can be better.

        Without tensors, an arm that found an exact program has looked for shorter ones itself.  A
        program that reads tensors fits where it is nearly always right: trained blocks err.  An arm
        may have said that nothing better is to be expected.
        """
        best, tensors = self.best(), holds_tensors(self.task.type)
        if self.clock.expired() or best is None:
            return self.clock.expired()
        if tensors and measure_of(self.task.want) == "exact match" and best[0].fits:
            return True
        if any(account.settled for account in self.trace.arms.values()):
            return True
        return best[0].exact and (arm.gradients or not tensors)

    def pull(self, arm: Arm, problem: Problem) -> None:
        """Take all that an arm finds."""
        account = self.trace.arm(arm.name)
        start = self.clock.elapsed()
        self.tell("arm", arm=arm.name)
        try:
            for one in arm.run(problem):
                self.keep(one, arm.name)
        finally:
            account.seconds += self.clock.elapsed() - start

    def keep(self, one: Scored, arm: str) -> None:
        """Remember a candidate; tell of it if it is the best."""
        one, best = self.weighed(one), self.best()
        self.found.append((one, arm))
        if best is not None and one.rank >= best[0].rank:
            return
        text = print_term(one.candidate.term)
        seconds = self.clock.elapsed()
        self.trace.best.append(Improvement(seconds, arm, text, one.score, sum(one.right)))
        self.tell(
            "best",
            arm=arm,
            term=text,
            score=one.score,
            right=sum(one.right),
            of=len(one.right),
            tried=self.trace.tried,
        )

    def weighed(self, one: Scored) -> Scored:
        """The candidate with the evidence in the choice of the examples, where it is exact."""
        if not one.exact or self.evidence is None or self.clock.expired():
            return one
        resolver = Resolver(self.library, self.entries, one.candidate.parts)
        run = Evaluator(resolver, Limits(steps=STEPS)).compile(one.candidate.term)
        return replace(one, evidence=self.evidence.nats(run))

    @cached_property
    def evidence(self) -> Evidence | None:
        """The evidence of the support; None for tasks where there is none, or with tensors."""
        if holds_tensors(self.task.type):
            return None
        return Evidence.of(self.task.type, plain_examples(self.task))

    def best(self) -> tuple[Scored, str] | None:
        return min(self.found, key=lambda pair: pair[0].rank, default=None)

    def chosen(self) -> Scored | None:
        """The best candidate, if it is worth being called a solution."""
        best = self.best()
        if best is None:
            return None
        exact_match = measure_of(self.task.want) == "exact match"
        if exact_match and sum(best[0].right) < HALF * len(best[0].right):
            return best[0] if best[0].score < self.worth else None
        return best[0]

    @cached_property
    def worth(self) -> float:
        """The nats of the support's outputs with no program."""
        outputs = self.task.support.outputs
        return worth([outputs[i] for i in range(len(outputs))], self.task.want)

    def solution(self, best: Scored) -> Solution:
        task, candidate = self.task, best.candidate
        support = None if taught(candidate.type) is None else task.support
        ranked = sorted(self.found, key=lambda pair: pair[0].rank)
        others = [s for s, _ in ranked if s.candidate.term != candidate.term]
        arm = next(name for one, name in self.found if one is best)
        if not best.exact and not holds_tensors(task.type):
            self.trace.arm(arm).warn(
                f"the program is right on {sum(best.right)} of {len(best.right)} examples alone; "
                f"with what it gets wrong it takes {best.score:.1f} nats, and the outputs without "
                f"any program {self.worth:.1f}"
            )
        elif best.score > HALF * self.worth and not holds_tensors(task.type):
            self.trace.arm(arm).warn(
                f"the program takes {best.score:.1f} nats and the outputs alone {self.worth:.1f}: "
                "one that long may be right by chance; more examples would tell"
            )
        resolver = Resolver(self.library, self.entries, candidate.parts)
        predictor = Predictor(candidate.term, candidate.type, task.type, resolver, support)
        query, error = self.judged(predictor)
        return Solution(
            name=task.name,
            type=task.type,
            term=candidate.term,
            term_type=candidate.type,
            library=self.library,
            entries=self.entries,
            parts=candidate.parts,
            support=support,
            cost=candidate.cost,
            score=best.score,
            support_score=share(best.right, self.measured(best)),
            query_score=query,
            query_rmse=error,
            search=arm,
            seed=None if self.generator is None else self.generator.initial_seed(),
            seconds=self.clock.elapsed(),
            tried=self.trace.tried,
            alternatives=tuple(others[:ALTERNATIVES]),
            excluded=self.excluded,
            trace=self.trace,
        )

    def measured(self, best: Scored) -> str:
        """How the score on the support was taken; what reads tensors is fitted to a part of it."""
        exact = best.exact or not holds_tensors(self.task.type)
        return "exact match" if exact else "held out"

    def judged(self, predictor: Predictor) -> tuple[Score | None, Score | None]:
        """The scores on the query, which nothing has looked at before."""
        query = self.task.query
        if query is None or len(query) == 0:
            return None, None
        predicted = predictor.predict(query.inputs)
        return (
            scored(predicted, query.outputs, self.task.want),
            rmse_of_integers(predicted, query.outputs, self.task.want),
        )

    def nothing(self, problem: Problem, arms: Sequence[Arm]) -> NoSolution:
        """Why there is no solution, and what came nearest."""
        task, best = self.task, self.best()
        said = [f"no solution for {task.name} : {task.type}"]
        if self.interrupted and not self.clock.expired():
            said.append("the search was interrupted")
        if best is not None:
            right, term = best[0].right, print_term(best[0].candidate.term)
            term = term if len(term) <= SHOWN else term[: SHOWN - 3] + "..."
            said.append(
                f"the best candidate, {term}, is right on {sum(right)} of {len(right)} examples, "
                f"and with the others written out ({best[0].score:.1f} nats) no shorter than all "
                f"outputs are ({self.worth:.1f}); give more time, more examples, or blocks that "
                "come nearer"
            )
        elif self.trace.tried == 0 and self.clock.expired():
            said.append(
                f"the budget of {self.clock.budget:g} s was over before any candidate was tried; "
                "give more time"
            )
        elif self.trace.tried and self.hurried():
            said.append(
                f"the budget of {self.clock.budget:g} s was over, and none of the "
                f"{self.trace.tried} programs tried was worth keeping; give more time"
            )
        else:
            said += nearest_misfits(task, problem.entries)
        if not arms:
            said.append("no search applies to a task of this type")
        if self.excluded:
            said.append(f"left out, because they saw its classes: {', '.join(self.excluded)}")
        said += self.trace.warnings
        said += [note for account in self.trace.arms.values() for note in account.notes[-1:]]
        return NoSolution("; ".join(dict.fromkeys(said)))

    def hurried(self) -> bool:
        """Whether the time, or an arm's share of it, was over."""
        notes = (note for account in self.trace.arms.values() for note in account.notes)
        return self.clock.expired() or any(TIME_IS_UP in note for note in notes)

    def tell(self, kind: str, **facts: object) -> None:
        self.journal.record(Event(kind, self.clock.elapsed(), facts))
