"""The judge of an arm that works on a few of the examples: it tries whole terms on all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.coding import description_length
from metaloom_metalearn.search.enumeration.node import Node, term_of
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.blocks import Blocks
from metaloom_metalearn.search.scoring import Scorer
from metaloom_registry import EvaluationError, Term, Type, uncurried

HardExamples: TypeAlias = Sequence[tuple[tuple[Any, ...], Any]]
"""Inputs and an output each, as the hard engine has them."""


def spread(examples: HardExamples, want: Type, count: int) -> list[int]:
    """The places of `count` distinct examples, spread over the lengths of their outputs."""
    first: dict[Any, int] = {}
    for place, example in enumerate(examples):
        first.setdefault(example, place)
    places = sorted(first.values(), key=lambda place: -description_length(examples[place][1], want))
    if len(places) <= count:
        return places
    return [places[i * (len(places) - 1) // max(1, count - 1)] for i in range(count)]


class Judge:
    """Scores terms on all examples; `solved` counts the exact ones.

    It remembers the examples that terms thought to be right got wrong.
    """

    def __init__(self, problem: Problem, blocks: Blocks, examples: HardExamples) -> None:
        self.type = problem.task.type
        self.inputs = [inputs for inputs, _ in examples]
        self.scorer = Scorer.of([output for _, output in examples], uncurried(self.type)[1])
        self.blocks = blocks
        self.lowest = self.scorer.ceiling
        self.solved = 0
        self._wrong: dict[int, None] = {}
        self._seen: set[Term] = set()

    def score(self, node: Node) -> Scored | None:
        """The node's term with its score; None where it was scored before."""
        term = term_of(node, len(self.inputs[0]))
        if term in self._seen:
            return None
        self._seen.add(term)
        values = []
        compiled = self.blocks.evaluator.compile(term)
        for inputs in self.inputs:
            try:
                values.append(compiled(*inputs))
            except EvaluationError:
                values.append(FAILED)
        right = self.scorer.right(values)
        scored = Scored(Candidate(term, self.type, node.cost), self.scorer.loss(values), right)
        if scored.exact:
            self.solved += 1
        else:
            self._wrong.update(dict.fromkeys(i for i, fine in enumerate(right) if not fine))
        return scored

    def counterexamples(self, rows: Sequence[int], count: int) -> list[int]:
        """Examples, none of these rows, that a term got wrong."""
        return [row for row in self._wrong if row not in rows][:count]
