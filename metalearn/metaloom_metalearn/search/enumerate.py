"""Enumeration: the programs of a grammar, the cheapest first, up to observational equivalence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.bank import Bank, Bounds, Exhausted, Workshop
from metaloom_metalearn.search.blocks import Blocks, unreachable
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.collection import collection_put_off
from metaloom_metalearn.search.constants import Constants
from metaloom_metalearn.search.examples import contradictions, plain_examples
from metaloom_metalearn.search.grammar import UNIT, Grammar
from metaloom_metalearn.search.node import Node, term_of
from metaloom_metalearn.search.scoring import Scorer
from metaloom_metalearn.search.trace import Account
from metaloom_registry import Arrow, Type, is_closed, uncurried
from metaloom_registry.types import without_domains


@dataclass(frozen=True)
class Patience:
    """How long an enumeration goes on after the first term that is right on every example.

    It goes on for `nats` more nats of cost, for at most `alternatives` terms and `seconds`, and for
    no longer than it took to get there.  What it finds ranks behind, but tells how sure one can be.
    """

    nats: float = 1.0
    alternatives: int = 4
    seconds: float = 0.5


class Enumeration:
    """The terms of a task's type over a grammar, cheapest level first; a `Search`.

    `examples` are inputs and an output each, hard values.
    """

    def __init__(
        self,
        type_: Type,
        examples: Sequence[tuple[tuple[Any, ...], Any]],
        grammar: Grammar,
        clock: Clock,
        account: Account,
        bounds: Bounds | None = None,
        patience: Patience | None = None,
    ) -> None:
        given, want = uncurried(without_domains(type_))
        self.type = type_
        self.want = want
        self.inputs = len(given)
        self.clock = clock
        self.account = account
        self.patience = patience or Patience()
        self.scorer = Scorer.of([output for _, output in examples], want)
        self.workshop = Workshop(grammar, clock, bounds or Bounds(), account.counts)
        target = self.scorer.outputs
        self.bank = Bank(
            self.workshop,
            given,
            [inputs for inputs, _ in examples],
            [(output, want) for output in target],
            target=(want, target),
        )
        self.level = 0
        self.found: float | None = None
        self._asked = self.nodes()

    def nodes(self) -> Iterator[Node]:
        """The distinct terms of the wanted type, level by level, and twins of the solution.

        Ends when no term left can beat the table of the examples, when patience is over after a
        solution, and when time or memory is; notes which in the account.
        """
        ceiling = self.scorer.ceiling
        target = self.scorer.outputs
        try:
            for self.level in count(1):
                lowest = (self.level - 0.5) * UNIT
                if lowest > ceiling:
                    self.account.note(
                        f"every term below {ceiling:.1f} nats was tried, the cost of the table of "
                        "the examples itself"
                    )
                    return
                if self.found is not None and lowest > self.found + self.patience.nats:
                    return
                before = self.account.counts.copy()
                new = []
                for node in self.bank.expand(self.want, self.level):
                    if node.values != target or self.found is None:
                        new.append(node)
                    yield node
                self.bank.add_level(self.want, new)
                self.account.levels[self.level * UNIT] = self.account.counts - before
        except Exhausted as reason:
            self.account.note(f"stopped at {self.level * UNIT:.1f} nats: {reason}")

    def candidate(self, node: Node) -> Candidate:
        return Candidate(term_of(node, self.inputs), self.type, node.cost)

    def scored(self, node: Node) -> Scored:
        """The candidate of a node with its score, from its values in the bank."""
        values = node.values
        return Scored(self.candidate(node), self.scorer.loss(values), self.scorer.right(values))

    def ask(self, n: int) -> Sequence[Candidate]:
        """The next `n` distinct terms, the cheapest first; fewer at the end."""
        return [self.candidate(node) for _, node in zip(range(n), self._asked, strict=False)]

    def tell(self, scored: Sequence[Scored]) -> None:
        """Once a term is told to be right on every example, patience begins to count."""
        for one in scored:
            if one.exact and (self.found is None or one.candidate.cost < self.found):
                self.found = one.candidate.cost


@dataclass(frozen=True)
class Enumerate:
    """The arm that enumerates programs of primitives, programs and frozen trained blocks."""

    constants: Constants = field(default_factory=Constants)
    bounds: Bounds = field(default_factory=Bounds)
    patience: Patience = field(default_factory=Patience)
    name: str = "enumerate"
    gradients: bool = False

    def applies(self, problem: Problem) -> bool:
        given, want = uncurried(problem.task.type)
        return not any(isinstance(t, Arrow) or not is_closed(t) for t in (*given, want))

    def run(self, problem: Problem) -> Iterator[Scored]:
        """Each candidate that beats those before it, then alternatives to the solution."""
        account = problem.trace.arm(self.name)
        examples = plain_examples(problem.task)
        for one, other in contradictions(examples)[:3]:
            account.note(
                f"examples {one + 1} and {other + 1} have the same input and different outputs; "
                "no program is right on both"
            )
        blocks = Blocks(problem, account)
        grammar = blocks.grammar(examples, self.constants)
        missing = unreachable(problem.task, grammar)
        if missing:
            account.note(missing)
            return
        blocks.warm(grammar, examples)
        enumeration = Enumeration(
            problem.task.type,
            examples,
            grammar,
            problem.clock,
            account,
            self.bounds,
            self.patience,
        )
        with collection_put_off():
            yield from self._best(enumeration, problem, blocks)

    def _best(self, enumeration: Enumeration, problem: Problem, blocks: Blocks) -> Iterator[Scored]:
        scorer, account, clock = enumeration.scorer, enumeration.account, problem.clock
        target, loss_of = scorer.outputs, scorer.loss
        lowest, until, alternatives = scorer.ceiling, math.inf, self.patience.alternatives
        for node in enumeration.nodes():
            account.counts["scored"] += 1
            if enumeration.found is None:
                score = node.cost + loss_of(node.values)
                if score >= lowest and node.values != target:
                    continue
            elif clock.elapsed() > until or alternatives == 0:
                return
            elif node.values != target:
                continue
            scored = enumeration.scored(node)
            if not blocks.confirms(scored, scorer, enumeration.bank.environments):
                account.counts["refuted"] += 1
                continue
            if scored.exact:
                if enumeration.found is None:
                    until = clock.elapsed() + min(self.patience.seconds, clock.elapsed())
                else:
                    alternatives -= 1
                enumeration.tell([scored])
            lowest = min(lowest, scored.score)
            yield scored
