"""Entrants: the contestants of a task, the most promising first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from metaloom_metalearn.engines.batched.features import Features
from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.neural.contestants import Contestant, Goal, Whole
from metaloom_metalearn.search.neural.few_shot import READ, Chain, encoders
from metaloom_metalearn.search.neural.fillings import Fillings, shape_of
from metaloom_metalearn.search.neural.measure import Measure
from metaloom_metalearn.search.neural.programs import Programs
from metaloom_metalearn.search.neural.sketches import item_of
from metaloom_metalearn.search.neural.transfer import promising
from metaloom_metalearn.search.trace import Account
from metaloom_registry import Constructed, Entry, Tensor, Type, generalised, parse_type

MAP = parse_type("(a -> b) -> list[a] -> list[b]")
LONGEST = 2
CHAINS = 16


@dataclass
class Entrants:
    """What enters a contest: programs with new networks, and networks over the whole input."""

    problem: Problem
    account: Account
    column: BatchedValue
    measure: Measure
    programs: Programs | None
    blocks: int

    @staticmethod
    def apply(problem: Problem) -> bool:
        """Whether networks map the whole input: a tensor or a list of them, to what they make."""
        task = problem.task
        if len(task.given) != 1 or Goal.of(task.want) is None:
            return False
        given = task.given[0]
        if isinstance(given, Constructed) and given.name == "list":
            given = given.arguments[0]
        return isinstance(given, Tensor) and given.kind in ("image", "vec")

    def ranked(self, limit: int) -> list[Contestant]:
        """At most `limit` contestants; programs before networks over the whole input."""
        features = Features(lambda entry: self.problem.library.load(entry.digest))
        chains = self.chains(features)
        wholes = self.wholes(chains, features)
        found = self.inside(chains)
        room = max(limit - len(wholes), limit // 2)
        self.account.counts["generated"] += len(wholes)
        kept = [*sorted(found, key=lambda c: c.cost)[:room], *wholes][:limit]
        left_out = len(found) + len(wholes) - len(kept)
        if left_out:
            self.account.note(f"{left_out} contestants of least promise were not trained")
        return kept

    def chains(self, features: Features) -> list[Chain]:
        """Chains of library blocks from the tensors of the input to vectors, best first."""
        item = item_of(self.problem.task.given[0])
        if item is None:
            return []
        weights = self.problem.prior.log_weights(self.problem.task, self.problem.entries)
        weighted = list(zip(self.problem.entries, weights, strict=True))
        chains = [c for c in encoders(weighted, item, LONGEST) if _reads(c)][:CHAINS]
        return promising(
            chains, features, self.column, self.measure.wanted, self.problem.task.want,
            self.blocks, self.account,
        )  # fmt: skip

    def wholes(self, chains: Sequence[Chain], features: Features) -> list[Contestant]:
        """The networks over the whole input; none, with a note, where a primitive is missing."""
        task = self.problem.task
        goal = Goal.of(task.want)
        if goal is None:
            return []
        read = _declared(self.problem.entries, READ) if goal.made != task.want else None
        over = _declared(self.problem.entries, MAP)
        if goal.made != task.want and read is None:
            self.account.note(f"the library has no primitive {READ}, which a classifier needs")
            return []
        lists = isinstance(self.column, Ragged)
        usable = () if lists and over is None else self.problem.entries
        whole = Whole(task.given[0], goal, self.column, features, read, over)
        return list(whole.contestants(chains if usable else (), usable, self.problem.learners))

    def inside(self, chains: Sequence[Chain]) -> list[Contestant]:
        """The programs with new networks, each made in every way."""
        items = self.column.items if isinstance(self.column, Ragged) else self.column
        if self.programs is None or not isinstance(items, torch.Tensor):
            return []
        fillings = Fillings(self.programs.resolve, chains, shape_of(items))
        return [
            contestant
            for sketch in self.programs.open()
            for contestant in fillings.of(sketch, self.problem.entries)
        ]


def _declared(entries: Sequence[Entry], type_: Type) -> Entry | None:
    """The first primitive of this very type."""
    wanted = generalised(type_)
    found = (e for e in entries if e.kind == "primitive" and generalised(e.type) == wanted)
    return next(found, None)


def _reads(chain: Chain) -> bool:
    """Whether a trained block is part of it."""
    return any(entry.kind == "graph" for entry in chain.entries)
