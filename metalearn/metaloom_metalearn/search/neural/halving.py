"""Programs over trained blocks, then contestants that need gradients, under successive halving.

Programs without a new parameter come first (`programs`): where one fits, nothing is trained.
Otherwise sketches with new networks, made in several ways (`fillings`), and networks that map the
whole input (`contestants`) are trained under successive halving (Jamieson and Talwalkar 2016),
those first that library blocks promise most for (`transfer`): steps and seconds are shared out
evenly over the rungs and, within a rung, over the contestants that are left; after each rung the
better half goes on.  What a contestant is worth is the description length of the part of the
support that it was not trained on (`holdout`), and then its loss there.  The winner is then trained
anew with a rate that falls to zero, on the whole support, and judged by the other parts too, each
time trained anew; an example that there was no time to hold out counts as wrong.  Of a large
support one part alone is held out and stands for all.  The deadline cuts all of it short.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import nn

from metaloom_metalearn.engines.batched.columns import to_batch
from metaloom_metalearn.engines.batched.features import Features, evaluating
from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged, Support, rows_of, take
from metaloom_metalearn.journal import Event
from metaloom_metalearn.randomness import seeded
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Part, Scored
from metaloom_metalearn.search.neural.contestants import Contestant, WholeNumber, on_items
from metaloom_metalearn.search.neural.entrants import Entrants
from metaloom_metalearn.search.neural.holdout import Fold, folds_of, part_of, plain_folds
from metaloom_metalearn.search.neural.measure import Measure
from metaloom_metalearn.search.neural.networks import jittered, jitters
from metaloom_metalearn.search.neural.programs import Programs
from metaloom_registry import INT, Digest, MetaloomError, Reference

PART = 100
"""Of more examples than these, one part alone is held out."""

LARGE = 1000
"""Of more than these the winner, too, is trained without that part, and judged by it."""

CONTEST = 0.5
"""The most of the time that the rungs may take where one part is held out, and the winner alone
is trained again."""

LATE = 0.1
"""From this share of its time on, a training that will not take all its steps in time hurries."""

WARM = 0.1
"""The share of a training with a falling rate in which the rate first rises to its highest."""


@dataclass(frozen=True)
class Halving:
    """The arm: `steps` gradient steps in all rungs; `last` for the winner, else what it had.

    At most `blocks` chains of library blocks are tried as encoders, and at most `contestants` in
    all are trained; a step takes `batch` examples, of lists a quarter as many.
    """

    steps: int = 4000
    blocks: int = 4
    batch: int = 64
    contestants: int = 16
    last: int | None = None

    @property
    def name(self) -> str:
        return "halving"

    @property
    def gradients(self) -> bool:
        return True

    def applies(self, problem: Problem) -> bool:
        return problem.generator is not None and (
            Programs.apply(problem) or Entrants.apply(problem)
        )

    def run(self, problem: Problem) -> Iterator[Scored]:
        task, account, generator = problem.task, problem.trace.arm(self.name), problem.generator
        assert generator is not None
        column = to_batch(task.support.inputs[0], task.given[0])
        measure = Measure(task.want, to_batch(task.support.outputs, task.want))
        programs = None
        if Programs.apply(problem):
            programs = Programs(problem, account, column, measure)
            yield from programs.ready()
            if programs.fitting:
                account.note("a program of zero new parameters fits, so nothing was trained")
                return
        entrants = Entrants(problem, account, column, measure, programs, self.blocks)
        found = entrants.ranked(self.contestants)
        if found:
            yield from _Contest(self, problem, column, measure, found, generator).run()


@dataclass
class _Runner:
    """A contestant, its module, and how far it has been trained on one fold."""

    contestant: Contestant
    module: nn.Module
    inputs: BatchedValue
    optimiser: torch.optim.Optimizer | None
    steps: int = 0
    nats: float = math.inf
    doubt: float = 0.0
    right: tuple[bool, ...] = ()

    @property
    def share(self) -> float:
        return sum(self.right) / max(1, len(self.right))


@dataclass
class _Contest:
    """One run of the arm over its contestants."""

    arm: Halving
    problem: Problem
    column: BatchedValue
    measure: Measure
    contestants: Sequence[Contestant]
    generator: torch.Generator
    folds: Sequence[Fold] = field(init=False)

    def __post_init__(self) -> None:
        task, column = self.problem.task, self.column
        self.account = self.problem.trace.arm(self.arm.name)
        self.features = Features(lambda entry: self.problem.library.load(entry.digest))
        self.part = len(task.support) > PART
        if self.part:
            self.folds = [part_of(column, len(task.support), self.generator)]
        elif isinstance(column, torch.Tensor) and self.measure.is_label:
            support = Support(column, self.measure.wanted, self.measure.classes)
            self.folds = folds_of(support, task.given[0], self.generator)
        else:
            self.folds = plain_folds(column, len(task.support))

    def run(self) -> Iterator[Scored]:
        runners = self.entered(self.folds[0])
        seconds = self.allowance(len(runners))
        for rung in range(rungs := _rungs(len(runners))):
            if not runners or self.problem.clock.expired():
                return
            share = 1 / (rungs * len(runners))
            steps = max(1, int(self.arm.steps * share))
            limit = seconds * share
            runners = [
                r for r in runners if self.trained(r, steps, self.folds[0], limit, self.part)
            ]
            for runner in runners:
                runner.nats, runner.right = self.judged([(runner, self.folds[0])])
                runner.doubt = self.doubt(runner)
            runners = sorted(runners, key=lambda runner: (runner.nats, runner.doubt))
            if runners:
                self.tell(rung, runners)
                yield self.scored(runners[0].contestant, runners[0].module, runners[0])
            runners = runners[: math.ceil(len(runners) / 2)]
        if runners and not self.problem.clock.expired():
            yield from self.confirmed(runners[0])

    def tell(self, rung: int, runners: Sequence[_Runner]) -> None:
        """Who was better, for the trace and for who is watching."""
        best = runners[0]
        told = "; ".join(f"{r.contestant.name} {r.nats:.0f} nats" for r in runners[:3])
        self.account.note(f"rung {rung + 1}, {len(runners)} contestants, best: {told}")
        facts = {"rung": rung + 1, "left": len(runners), "best": best.contestant.name}
        clock = self.problem.clock
        self.problem.journal.record(Event("rung", clock.elapsed(), facts | {"right": best.share}))

    def allowance(self, count: int) -> float:
        """The seconds for all rungs, so that enough are left to train the winner on every fold."""
        if self.part:
            return self.problem.clock.left() * CONTEST
        rungs, shares = _rungs(count), 0.0
        for _ in range(rungs):
            shares += 1 / (rungs * max(1, count))
            count = math.ceil(count / 2)
        return self.problem.clock.left() / (1 + shares * len(self.folds))

    def confirmed(self, winner: _Runner) -> Iterator[Scored]:
        """The winner trained on the whole support, and judged by every fold."""
        every = torch.arange(len(self.problem.task.support))
        large = len(every) > LARGE
        whole = self.folds[0] if large else Fold(self.column, every, every[:0], every[:0])
        final = self.entry(winner.contestant, whole)
        steps = self.arm.last or winner.steps
        if final is None or not self.trained(final, steps, whole, falling=True):
            return
        if self.problem.clock.expired() and not self.part:
            return
        if self.part:
            if large:
                final.nats, final.right = self.judged([(final, whole)])
            else:
                final.nats, final.right = winner.nats, winner.right
            yield self.scored(winner.contestant, final.module, final)
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
        with seeded(self.generator):
            module = contestant.fresh()
        if contestant.learner is None:
            trained = [p for p in module.parameters() if p.requires_grad]
            optimiser = torch.optim.AdamW(trained, contestant.rate, weight_decay=1e-3)
            return _Runner(contestant, module, self.seen(contestant, self.column), optimiser)
        try:
            examples = self.problem.task.support.take(fold.kept.tolist())
            adapted = contestant.learner(module, examples, self.generator)
        except MetaloomError as error:
            self.account.note(f"{contestant.name}: {error}")
            return None
        fitted = getattr(adapted, "model", adapted)
        return _Runner(contestant, fitted, self.seen(contestant, self.column), None)

    def seen(self, contestant: Contestant, column: BatchedValue) -> BatchedValue:
        """The column after the frozen blocks of a contestant."""
        return on_items(lambda x: self.features.of(contestant.chain, x), column)

    def trained(
        self,
        runner: _Runner,
        steps: int,
        fold: Fold,
        seconds: float = math.inf,
        falling: bool = False,
    ) -> bool:
        """Train for so many steps, at most, and so many seconds; False where it diverges.

        The rate rises and then falls to zero, along half a cosine, if `falling`.
        """
        clock, optimiser = self.problem.clock, runner.optimiser
        start, seconds = clock.elapsed(), min(seconds, clock.left())
        if not runner.steps:
            self.account.counts["trained"] += 1
        with seeded(self.generator):
            for step in range(steps):
                spent = clock.elapsed() - start
                if clock.expired() or spent > seconds:
                    break
                runner.steps += 1
                if optimiser is None:
                    continue
                late = spent > LATE * seconds and spent * steps > seconds * step
                done = spent / seconds if late else step / steps
                for group in optimiser.param_groups if falling else ():
                    group["lr"] = runner.contestant.rate * _warm(done)
                if not self.stepped(runner, optimiser, fold):
                    return False
        return True

    def stepped(self, runner: _Runner, optimiser: torch.optim.Optimizer, fold: Fold) -> bool:
        """One gradient step; False where the loss is not finite."""
        order = torch.randperm(len(fold.kept), generator=self.generator)[: self.batch]
        rows = fold.kept[order]
        runner.module.train()
        inputs = self.shaken(take(runner.inputs, rows), runner.contestant)
        loss = self.measure.loss(runner.module(inputs), rows)
        if not bool(loss.isfinite()):
            self.account.counts["failed"] += 1
            self.account.note(f"{runner.contestant.name} diverged")
            return False
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return True

    @property
    def batch(self) -> int:
        lists = isinstance(self.column, Ragged)
        return max(1, self.arm.batch // 4) if lists and self.part else self.arm.batch

    def shaken(self, inputs: BatchedValue, contestant: Contestant) -> BatchedValue:
        """The inputs with their images jittered, where a contestant asks for it."""
        items = inputs.items if isinstance(inputs, Ragged) else inputs
        if not contestant.jitter or not isinstance(items, torch.Tensor) or not jitters(items):
            return inputs
        return on_items(lambda x: jittered(x, self.generator), inputs)

    def judged(self, runs: Sequence[tuple[_Runner, Fold]]) -> tuple[float, tuple[bool, ...]]:
        """The nats of the held-out examples of these folds, and which come out right."""
        outputs, owners = [], []
        for runner, fold in runs:
            held = take(self.seen(runner.contestant, fold.column), fold.held)
            if rows_of(held):
                certain = runner.contestant.certain
                module = runner.module if certain is None else certain(runner.module)
                with torch.no_grad(), evaluating(module):
                    outputs.append(module(held))
                owners.append(fold.owners)
        of = self.folds[0].held if self.part else None
        if not outputs:
            nothing = torch.zeros((0, self.measure.classes)), torch.zeros(0, dtype=torch.int64)
            return self.measure.judged(*nothing, of)
        return self.measure.judged(torch.cat(outputs), torch.cat(owners), of)

    def doubt(self, runner: _Runner) -> float:
        """The loss on the held-out examples, which tells apart those that are equally right."""
        if not self.part or runner.optimiser is None:
            return 0.0
        held = self.folds[0].held
        with torch.no_grad(), evaluating(runner.module):
            return float(self.measure.loss(runner.module(take(runner.inputs, held)), held))

    def scored(self, contestant: Contestant, module: nn.Module, runner: _Runner) -> Scored:
        """The candidate with copies of the parts as they are now."""
        task = self.problem.task
        self.account.counts["scored"] += 1
        parts: dict[Reference, Part] = {}
        for part in contestant.pieces(module):
            made: nn.Module = deepcopy(part.module).eval().requires_grad_(False)
            if task.want == INT and contestant.certain is None and contestant.learner is None:
                made = WholeNumber(made, self.measure.mean, self.measure.scale)
            parts[Reference(None, state_digest(made))] = Part(made, part.type, part.parents)
        term = contestant.term(list(parts))
        cost = contestant.cost + math.log(len(self.contestants))
        return Scored(Candidate(term, task.type, cost, parts), runner.nats, runner.right)


def state_digest(module: nn.Module) -> Digest:
    """The digest of what a module is made of: its structure, and its state, name by name."""
    chunks = [repr(module).encode()]
    for name, value in sorted(module.state_dict().items()):
        data = value.detach().cpu().contiguous()
        chunks.append(f"{name} {data.dtype} {list(data.shape)}".encode())
        chunks.append(data.reshape(-1).view(torch.uint8).numpy().tobytes())
    return Digest.of(b"\n".join(chunks))


def _warm(done: float) -> float:
    """The rate, as a share of the highest, when a share of the last training is done."""
    if done < WARM:
        return 0.1 + 0.9 * done / WARM
    return 0.5 * (1 + math.cos(math.pi * (done - WARM) / (1 - WARM)))


def _rungs(count: int) -> int:
    """How many rungs halve so many contestants to one; at least one."""
    return max(1, math.ceil(math.log2(max(1, count))))
