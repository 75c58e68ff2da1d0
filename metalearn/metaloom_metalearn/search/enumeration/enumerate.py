"""Enumeration: the programs of a grammar, the cheapest first, up to observational equivalence."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Event
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.coding import description_length
from metaloom_metalearn.search.enumeration.bank import Bounds, Exhausted, Workshop
from metaloom_metalearn.search.enumeration.collection import collection_put_off
from metaloom_metalearn.search.enumeration.engines import Engine, overtaking
from metaloom_metalearn.search.enumeration.node import Node, term_of
from metaloom_metalearn.search.examples import contradictions, holds_tensors, plain_examples
from metaloom_metalearn.search.grammar.blocks import Blocks, unreachable
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.grammar.grammar import UNIT, Grammar
from metaloom_metalearn.search.noise import BEYOND, EXAMPLES, LEAST, Residuals
from metaloom_metalearn.search.scoring import Scorer
from metaloom_metalearn.search.trace import Account
from metaloom_registry import Arrow, Tensor, Type, is_closed, uncurried
from metaloom_registry.types import BOOL, FLOAT, INT, without_domains

CHAIN = 20.0
"""The most nats of a term that makes a tensor: a chain of trained blocks."""

EXACT = 20.0
"""How many nats longer than the best description an exact program may be: examples without an
error are taken to be e^20 times as likely as examples with some."""

TELLING = 3
LITTLE = 3.0
"""Outputs of fewer nats tell little: a bool, a small integer."""


def most_telling(outputs: Sequence[Any], type_: Type) -> tuple[list[int], int]:
    """The places of the outputs, `TELLING` of them first that tell much and are unlike in length.

    Also how many those are: all, where too few tell much.
    """
    lengths = [description_length(output, type_) for output in outputs]
    order = sorted(range(len(outputs)), key=lambda place: -lengths[place])
    much = [place for place in order if lengths[place] > LITTLE]
    if len(much) < TELLING:
        return order, len(order)
    first = [much[len(much) * i // TELLING] for i in range(TELLING)]
    return [*first, *(place for place in order if place not in first)], TELLING


@dataclass(frozen=True)
class Patience:
    """How long an enumeration goes on after the first term that is right on every example.

    It goes on for `nats` more nats of cost, for at most `alternatives` terms and `seconds`, and for
    no longer than it took to get there.  What it finds ranks behind, but tells how sure one can be.
    Of truth values, on which many programs are right, it looks for `truths` terms: which ranks
    first depends on more than their cost (`evidence`).
    """

    nats: float = 3.0
    alternatives: int = 4
    truths: int = 40
    seconds: float = 0.25


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
        engine: Engine = overtaking,
    ) -> None:
        given, want = uncurried(without_domains(type_))
        order, self.telling = most_telling([output for _, output in examples], want)
        self.type = type_
        self.want = want
        self.inputs = len(given)
        self.clock = clock
        self.account = account
        self.patience = patience or Patience()
        self.rows = sorted(range(len(order)), key=order.__getitem__)
        self.scorer = Scorer.of([examples[i][1] for i in order], want)
        self.workshop = Workshop(grammar, clock, bounds or Bounds(), account.counts, want)
        self.terms = engine(
            self.workshop,
            given,
            [examples[i][0] for i in order],
            [(examples[i][1], want) for i in order],
        )
        self.lowest = math.inf
        if self.scorer.close:
            self.telling = len(order)
        self.level = 0
        self.found: float | None = None
        self.residuals = Residuals(
            [inputs for inputs, _ in examples], [output for _, output in examples], want
        )
        self.noisy: Scored | None = None
        self.settled = False
        self._asked = self.nodes()

    def nodes(self) -> Generator[Node]:
        """Terms of the wanted type that are right somewhere, level by level.

        Ends when no term left can beat the table of the examples, when none better than the best
        is to be expected, when patience is over after a solution, and when time or memory is; notes
        which in the account.
        """
        ceiling, counts = self.scorer.ceiling, self.account.counts
        if isinstance(self.want, Tensor):
            ceiling = min(ceiling, CHAIN)
        try:
            for self.level in count(1):
                lowest = (self.level - 0.5) * UNIT
                if lowest > ceiling:
                    self.account.note(
                        f"every term below {ceiling:.1f} nats was tried; a longer one would "
                        "explain nothing"
                    )
                    return
                if self.found is not None and lowest > self.found + self.patience.nats:
                    return
                if self.found is None and self._settled(lowest):
                    return
                before = counts.copy()
                yield from self.terms.frontier(
                    self.want,
                    self.level,
                    self.scorer.outputs,
                    self.telling,
                    lambda: self.lowest,
                    self.scorer.costs,
                )
                self.account.levels[self.level * UNIT] = counts - before
                if self.found is None:
                    self._look_for_noise()
        except Exhausted as reason:
            if self.found is None or self.clock.expired():
                self.account.note(f"stopped at {self.level * UNIT:.1f} nats: {reason}")
        finally:
            self.account.engine = self.terms.ran

    def doubt(self, node: Node) -> None:
        """Ask of the program of numbers that is shortest with its residuals if these are noise.

        `noisy` is the program, scored by its residuals.
        """
        if self.want not in (INT, FLOAT):
            return
        values = [node.values[row] for row in self.rows]
        if self.residuals.shorter(values, node.cost):
            noise = self.residuals.noise
            self.noisy = None
            if noise is not None:
                self.noisy = replace(self.scored(node), loss=noise.length - noise.cost)

    def _look_for_noise(self) -> None:
        """Doubt the integers made for other terms: the frontier has none that is right nowhere."""
        if self.want == INT and len(self.rows) >= EXAMPLES:
            node = self.terms.shortest(self.scorer.outputs, self.residuals.shortest)
            if node is not None:
                self.doubt(node)

    def _settled(self, lowest: float) -> bool:
        """Whether no term from `lowest` nats on is to be expected to beat the best; notes why."""
        account, noise = self.account, self.residuals.noise
        if lowest > self.lowest + EXACT:
            account.note(
                f"stopped at {lowest:.1f} nats: the best program, with what it gets wrong written "
                f"out, takes {self.lowest:.1f}, and no longer one can be better"
            )
        elif (
            noise is not None
            and lowest > min(noise.cost + BEYOND, noise.length)
            and self.clock.elapsed() > LEAST * self.clock.budget
        ):
            account.note(
                f"stopped at {lowest:.1f} nats: what a program of {noise.cost:.1f} gets wrong "
                f"looks like noise of size {noise.size:.2g} that depends on nothing simple, and no "
                f"program up to {lowest:.1f} is better; more time searches further"
            )
        else:
            return False
        self.settled = True
        account.settled = not holds_tensors(self.type)  # what is trained has another cost
        return True

    def hurry(self, seconds: float) -> None:
        """Go on for so many seconds at most."""
        if self.clock.left() > seconds > 0:
            self.workshop.clock = Clock(seconds, self.clock.now)

    def close(self) -> None:
        """Let go of all terms at once, rather than leave them to the garbage collector."""
        self._asked.close()
        self.terms.clear()

    def candidate(self, node: Node) -> Candidate:
        return Candidate(term_of(node, self.inputs), self.type, node.cost)

    def scored(self, node: Node) -> Scored:
        """The candidate of a node with its score, from its values in the bank."""
        right = self.scorer.right(node.values)
        in_order = tuple(right[row] for row in self.rows)
        return Scored(self.candidate(node), self.scorer.loss(node.values), in_order)

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
    """The arm that enumerates programs of primitives, programs and frozen trained blocks.

    It uses at most the share `share` of the time there is.
    """

    constants: Constants = field(default_factory=Constants)
    bounds: Bounds = field(default_factory=Bounds)
    patience: Patience = field(default_factory=Patience)
    engine: Engine = overtaking
    share: float = 1.0
    name: str = "enumerate"
    gradients: bool = False

    def applies(self, problem: Problem) -> bool:
        given, want = uncurried(problem.task.type)
        return not any(isinstance(t, Arrow) or not is_closed(t) for t in (*given, want))

    def search(self, problem: Problem, blocks: Blocks | None = None) -> Enumeration | None:
        """The enumeration for a problem; None, with a note, where no term has the wanted type."""
        account = problem.trace.arm(self.name)
        examples = plain_examples(problem.task)
        for one, other in contradictions(examples)[:3]:
            account.warn(
                f"examples {one + 1} and {other + 1} have the same input and different outputs; "
                "no program is right on both"
            )
        blocks = blocks or Blocks(problem, account)
        grammar = blocks.grammar(examples, self.constants)
        missing = unreachable(problem.task, grammar)
        if missing:
            account.note(missing)
            return None
        blocks.warm(grammar, examples)
        clock = problem.clock
        if self.share < 1.0:
            clock = Clock(max(clock.left() * self.share, 1e-9), clock.now)
        return Enumeration(
            problem.task.type,
            examples,
            grammar,
            clock,
            account,
            self.bounds,
            self.patience,
            self.engine,
        )

    def run(self, problem: Problem) -> Iterator[Scored]:
        """Each candidate that beats those before it, then alternatives to the solution."""
        blocks = Blocks(problem, problem.trace.arm(self.name))
        enumeration = self.search(problem, blocks)
        if enumeration is not None:
            with collection_put_off():
                try:
                    yield from self._best(enumeration, problem, blocks)
                finally:
                    enumeration.close()

    def _best(self, enumeration: Enumeration, problem: Problem, blocks: Blocks) -> Iterator[Scored]:
        scorer, account, clock = enumeration.scorer, enumeration.account, problem.clock
        target, loss_of = scorer.outputs, scorer.exceptions
        lowest, alternatives = scorer.ceiling, self.patience.alternatives
        if enumeration.want == BOOL:
            alternatives = max(alternatives, self.patience.truths)
        level, examples = 0, plain_examples(problem.task)
        enumeration.lowest = lowest
        for node in enumeration.nodes():
            if enumeration.level != level:
                level = enumeration.level
                facts = {"nats": level * UNIT, "generated": account.counts["generated"]}
                problem.journal.record(Event("level", clock.elapsed(), facts))
            if enumeration.found is None:
                score = node.cost + loss_of(node.values)
                if score >= lowest and node.values != target:
                    continue
            elif alternatives == 0:
                return
            elif node.values != target and (not scorer.close or loss_of(node.values) > 0):
                continue
            scored = enumeration.scored(node)
            if not blocks.confirms(scored, examples):
                account.counts["refuted"] += 1
                continue
            if scored.exact:
                if enumeration.found is None:
                    enumeration.hurry(min(self.patience.seconds, clock.elapsed()))
                else:
                    alternatives -= 1
                enumeration.tell([scored])
            else:
                enumeration.doubt(node)
            lowest = min(lowest, node.cost + loss_of(node.values))
            enumeration.lowest = lowest if enumeration.found is None else -math.inf
            yield scored
        if enumeration.found is None and enumeration.noisy is not None:
            yield enumeration.noisy
