"""Compositions: programs of known blocks over tensors, the shortest first, with nothing trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from metaloom_metalearn.engines.batched.columns import to_batch
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Scored
from metaloom_metalearn.search.neural.measure import Measure
from metaloom_metalearn.search.neural.programs import Programs


@dataclass(frozen=True)
class Compositions:
    """The arm that composes trained blocks, programs and primitives, in batches.

    It is the first part of `Halving` by itself: all blocks are run once, on all inputs.
    """

    name: str = "compositions"
    gradients: bool = False

    def applies(self, problem: Problem) -> bool:
        return Programs.apply(problem)

    def run(self, problem: Problem) -> Iterator[Scored]:
        task = problem.task
        column = to_batch(task.support.inputs[0], task.given[0])
        measure = Measure(task.want, to_batch(task.support.outputs, task.want))
        yield from Programs(problem, problem.trace.arm(self.name), column, measure).ready()
