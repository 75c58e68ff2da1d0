"""Contestants that need gradients, under successive halving (Jamieson and Talwalkar 2016).

Steps and seconds are shared out evenly over the rungs and, within a rung, over the contestants that
are left; after each rung the better half goes on.  What a contestant is worth is the description
length of the part of the support that it was not trained on (`holdout`).  The winner is then
trained on the whole support, and judged by the other parts too, each time trained anew; an example
that there was no time to hold out counts as wrong.  The deadline cuts all of it short.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import nn

from metaloom_metalearn.columns import to_batch
from metaloom_metalearn.features import Features, evaluating
from metaloom_metalearn.randomness import seeded
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Part, Scored
from metaloom_metalearn.search.contestants import (
    Contestant,
    Goal,
    WholeNumber,
    contestants,
    on_items,
    term_of,
)
from metaloom_metalearn.search.few_shot import READ
from metaloom_metalearn.search.holdout import Fold, folds_of, plain_folds
from metaloom_metalearn.search.measure import Measure
from metaloom_metalearn.values import BatchedValue, Support, rows_of, take
from metaloom_registry import (
    INT,
    Constructed,
    Digest,
    Entry,
    MetaloomError,
    Reference,
    Tensor,
    Type,
    generalised,
    parse_type,
)

MAP = parse_type("(a -> b) -> list[a] -> list[b]")


@dataclass(frozen=True)
class Halving:
    """The arm: `steps` gradient steps in all before the winner is judged and trained.

    At most `blocks` library blocks are tried as encoders; a step takes `batch` examples.
    """

    steps: int = 4000
    blocks: int = 4
    batch: int = 64

    @property
    def name(self) -> str:
        return "halving"

    @property
    def gradients(self) -> bool:
        return True

    def applies(self, problem: Problem) -> bool:
        task = problem.task
        return (
            len(task.given) == 1
            and problem.generator is not None
            and _takes_tensors(task.given[0])
            and Goal.of(task.want) is not None
        )

    def run(self, problem: Problem) -> Iterator[Scored]:
        contest = _Contest.of(self, problem)
        if contest is not None:
            yield from contest.run()


@dataclass
class _Runner:
    """A contestant, its module, and how far it has been trained on one fold."""

    contestant: Contestant
    module: nn.Module
    inputs: BatchedValue
    optimiser: torch.optim.Optimizer | None
    steps: int = 0
    nats: float = math.inf
    right: tuple[bool, ...] = ()


@dataclass
class _Contest:
    """One run of the arm."""

    arm: Halving
    problem: Problem
    goal: Goal
    column: BatchedValue
    measure: Measure
    folds: Sequence[Fold]
    features: Features
    read: Entry | None
    over: Entry | None
    generator: torch.Generator
    contestants: list[Contestant] = field(default_factory=list)

    @classmethod
    def of(cls, arm: Halving, problem: Problem) -> _Contest | None:
        """None, with a note, where a primitive is missing that the terms need."""
        task, account = problem.task, problem.trace.arm(arm.name)
        goal, generator = Goal.of(task.want), problem.generator
        assert goal is not None
        assert generator is not None
        classifies = goal.made != task.want
        read = _declared(problem.entries, READ) if classifies else None
        over = _declared(problem.entries, MAP)
        if classifies and read is None:
            account.note(f"the library has no primitive {READ}, which a classifier needs")
            return None
        column = to_batch(task.support.inputs[0], task.given[0])
        wanted = to_batch(task.support.outputs, task.want)
        is_tensor = isinstance(column, torch.Tensor)
        if read is not None and is_tensor:
            folds = folds_of(Support(column, wanted, goal.size), task.given[0], generator)
        else:
            folds = plain_folds(column, len(task.support))
        features = Features(lambda entry: problem.library.load(entry.digest))
        contest = cls(
            arm, problem, goal, column, Measure(task.want, wanted), folds, features, read, over,
            generator,
        )  # fmt: skip
        usable = problem.entries if is_tensor or over is not None else ()
        contest.contestants = contestants(
            task.given[0], goal, usable, problem.prior.log_weights(task, usable),
            problem.learners, features, column, arm.blocks,
        )  # fmt: skip
        return contest

    def run(self) -> Iterator[Scored]:
        runners = self.entered(self.folds[0])
        seconds = self.allowance(len(runners))
        for _ in range(rungs := _rungs(len(runners))):
            if not runners or self.problem.clock.expired():
                return
            share = 1 / (rungs * len(runners))
            steps = max(1, int(self.arm.steps * share))
            runners = [r for r in runners if self.trained(r, steps, self.folds[0], seconds * share)]
            for runner in runners:
                runner.nats, runner.right = self.judged([(runner, self.folds[0])])
            runners = sorted(runners, key=lambda runner: runner.nats)
            if runners:
                yield self.scored(runners[0].contestant, runners[0].module, runners[0])
            runners = runners[: math.ceil(len(runners) / 2)]
        if runners and not self.problem.clock.expired():
            yield from self.confirmed(runners[0])

    def allowance(self, count: int) -> float:
        """The seconds for all rungs, so that enough are left to train the winner on every fold."""
        rungs, shares = _rungs(count), 0.0
        for _ in range(rungs):
            shares += 1 / (rungs * max(1, count))
            count = math.ceil(count / 2)
        return self.problem.clock.left() / (1 + shares * len(self.folds))

    def confirmed(self, winner: _Runner) -> Iterator[Scored]:
        """The winner trained on the whole support, and judged by every fold."""
        every = torch.arange(len(self.problem.task.support))
        whole = Fold(self.column, every, every[:0], every[:0])
        final = self.entry(winner.contestant, whole)
        if final is None or not self.trained(final, winner.steps, whole):
            return
        if self.problem.clock.expired():
            return
        judged = [(winner, self.folds[0])]
        for fold in self.folds[1:]:
            other = self.entry(winner.contestant, fold)
            if other is None or not self.trained(other, winner.steps, fold):
                break
            if self.problem.clock.expired():
                break
            judged.append((other, fold))
        winner.nats, winner.right = self.judged(judged)
        yield self.scored(winner.contestant, final.module, winner)

    def entered(self, fold: Fold) -> list[_Runner]:
        found = (self.entry(contestant, fold) for contestant in self.contestants)
        return [runner for runner in found if runner is not None]

    def entry(self, contestant: Contestant, fold: Fold) -> _Runner | None:
        account = self.problem.trace.arm(self.arm.name)
        account.counts["generated"] += 1
        with seeded(self.generator):
            module = contestant.fresh()
        if contestant.learner is None:
            optimiser = torch.optim.Adam(module.parameters(), contestant.rate)
            return _Runner(contestant, module, self.seen(contestant, self.column), optimiser)
        try:
            examples = self.problem.task.support.take(fold.kept.tolist())
            adapted = contestant.learner(module, examples, self.generator)
        except MetaloomError as error:
            account.note(f"{contestant.name}: {error}")
            return None
        fitted = getattr(adapted, "model", adapted)
        return _Runner(contestant, fitted, self.seen(contestant, self.column), None)

    def seen(self, contestant: Contestant, column: BatchedValue) -> BatchedValue:
        """The column after the frozen blocks of a contestant."""
        return on_items(lambda x: self.features.of(contestant.chain, x), column)

    def trained(self, runner: _Runner, steps: int, fold: Fold, seconds: float = math.inf) -> bool:
        """Train for so many steps, at most, and so many seconds; False where it diverges."""
        account, clock = self.problem.trace.arm(self.arm.name), self.problem.clock
        end = clock.elapsed() + seconds
        if not runner.steps:
            account.counts["trained"] += 1
        for _ in range(steps):
            if clock.expired() or clock.elapsed() > end:
                break
            runner.steps += 1
            if runner.optimiser is None:
                continue
            order = torch.randperm(len(fold.kept), generator=self.generator)[: self.arm.batch]
            rows = fold.kept[order]
            runner.module.train()
            loss = self.measure.loss(runner.module(take(runner.inputs, rows)), rows)
            if not bool(loss.isfinite()):
                account.counts["failed"] += 1
                account.note(f"{runner.contestant.name} diverged")
                return False
            runner.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            runner.optimiser.step()
        return True

    def judged(self, runs: Sequence[tuple[_Runner, Fold]]) -> tuple[float, tuple[bool, ...]]:
        """The nats of the held-out examples of these folds, and which come out right."""
        outputs, owners = [], []
        for runner, fold in runs:
            held = take(self.seen(runner.contestant, fold.column), fold.held)
            if rows_of(held):
                with torch.no_grad(), evaluating(runner.module):
                    outputs.append(runner.module(held))
                owners.append(fold.owners)
        empty = torch.zeros((0, self.goal.size)), torch.zeros(0, dtype=torch.int64)
        return self.measure.judged(
            torch.cat(outputs) if outputs else empty[0], torch.cat(owners) if owners else empty[1]
        )

    def scored(self, contestant: Contestant, module: nn.Module, runner: _Runner) -> Scored:
        """The candidate with copies of the parts as they are now."""
        task = self.problem.task
        self.problem.trace.arm(self.arm.name).counts["scored"] += 1
        module = deepcopy(module).eval().requires_grad_(False)
        parts: dict[Reference, Part] = {}
        for part in contestant.pieces(module):
            made = part.module
            if task.want == INT and contestant.learner is None:
                made = WholeNumber(made, self.measure.mean, self.measure.scale)
            parts[Reference(None, state_digest(made))] = Part(made, part.type, part.parents)
        term = term_of(contestant, list(parts), task.given[0], self.read, self.over)
        cost = math.log(len(self.contestants))
        return Scored(Candidate(term, task.type, cost, parts), runner.nats, runner.right)


def state_digest(module: nn.Module) -> Digest:
    """The digest of what a module is made of: its structure, and its state, name by name."""
    chunks = [repr(module).encode()]
    for name, value in sorted(module.state_dict().items()):
        data = value.detach().cpu().contiguous()
        chunks.append(f"{name} {data.dtype} {list(data.shape)}".encode())
        chunks.append(data.reshape(-1).view(torch.uint8).numpy().tobytes())
    return Digest.of(b"\n".join(chunks))


def _rungs(count: int) -> int:
    """How many rungs halve so many contestants to one; at least one."""
    return max(1, math.ceil(math.log2(max(1, count))))


def _declared(entries: Sequence[Entry], type_: Type) -> Entry | None:
    """The first primitive of this very type."""
    wanted = generalised(type_)
    found = (e for e in entries if e.kind == "primitive" and generalised(e.type) == wanted)
    return next(found, None)


def _takes_tensors(given: Type) -> bool:
    if isinstance(given, Constructed) and given.name == "list":
        given = given.arguments[0]
    return isinstance(given, Tensor) and given.kind in ("image", "vec")
