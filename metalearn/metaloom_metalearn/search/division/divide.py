"""Divide and conquer: outputs put together from pieces, and rows told apart by predicates.

Enumeration alone finds a term of a certain cost only after every cheaper one.  Here a bank makes
the small terms, and what is larger is deduced from the outputs wanted:

- an output that is a text or a list is covered by pieces of it, put end to end (`joining`);
- where no single term is right on every example, terms that are right on some are chosen among by
  a decision tree over predicates (`decision`).

The bank's rows are a few of the distinct examples, spread over their lengths.  A solution is tried
on all examples; one that fails some gives counterexamples, and the search begins again with these
as further rows (Solar-Lezama 2008).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Event
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Scored
from metaloom_metalearn.search.division.decision import Predicates, choice_of, decide, mask_of
from metaloom_metalearn.search.division.joining import cover, parts_of, pieces_for, swapped
from metaloom_metalearn.search.enumeration.bank import TIME_IS_UP, Bank, Bounds, Exhausted, Workshop
from metaloom_metalearn.search.enumeration.collection import collection_put_off
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.enumeration.twins import twins
from metaloom_metalearn.search.examples import contradictions, holds_tensors, plain_examples
from metaloom_metalearn.search.grammar.blocks import Blocks, unreachable
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.grammar.grammar import UNIT, Grammar, level_of
from metaloom_metalearn.search.judge import Judge, spread
from metaloom_metalearn.search.trace import Account
from metaloom_registry import Arrow, is_closed, uncurried
from metaloom_registry.types import BOOL, without_domains

FURTHER = 3
"""How many levels above a piece its twins are looked for."""


@dataclass(frozen=True)
class Divide:
    """The arm that covers outputs by pieces and decides between terms.

    It uses at most the share `share` of the time there is, half of that before the first
    counterexample, where there may be one.  `rows` are the examples that the bank begins with;
    `more` are added after a counterexample, in at most `rounds` rounds.  After a solution it goes
    on for `patience` seconds at most, and then looks as long for `alternatives` further ones.
    """

    constants: Constants = field(default_factory=Constants)
    bounds: Bounds = field(default_factory=lambda: Bounds(cells=40_000_000))
    share: float = 0.7
    rows: int = 8
    more: int = 4
    rounds: int = 4
    patience: float = 0.5
    alternatives: int = 4
    name: str = "divide"
    gradients: bool = False

    def applies(self, problem: Problem) -> bool:
        given, want = uncurried(problem.task.type)
        return not any(
            isinstance(t, Arrow) or not is_closed(t) or holds_tensors(t) for t in (*given, want)
        )

    def run(self, problem: Problem) -> Iterator[Scored]:
        """Each candidate that beats those before it, then alternatives to the solution."""
        account = problem.trace.arm(self.name)
        blocks = Blocks(problem, account)
        examples = plain_examples(problem.task)
        grammar = blocks.grammar(examples, self.constants)
        for one, other in contradictions(examples)[:3]:
            account.warn(
                f"examples {one + 1} and {other + 1} have the same input and different outputs; "
                "no program is right on both"
            )
        missing = unreachable(problem.task, grammar)
        if missing:
            account.note(missing)
            return
        clock = Clock(max(problem.clock.left() * self.share, 1e-9), problem.clock.now)
        judge = Judge(problem, blocks, examples)
        rows = spread(examples, uncurried(problem.task.type)[1], self.rows)
        for turn in range(self.rounds):
            again = turn == 0 and len(rows) < len(set(examples))
            left = clock.left() * (0.5 if again else 1.0)
            now = Clock(max(left, 1e-9), clock.now)
            attempt = _Attempt(self, problem, grammar, account, now, judge, rows)
            with collection_put_off():
                try:
                    yield from attempt.run()
                finally:
                    attempt.bank.clear()
            more = judge.counterexamples(rows, self.more)
            if judge.solved or not more or clock.expired():
                return
            rows = [*rows, *more]


class _Attempt:
    """One search over a choice of rows."""

    def __init__(
        self,
        arm: Divide,
        problem: Problem,
        grammar: Grammar,
        account: Account,
        clock: Clock,
        judge: Judge,
        rows: Sequence[int],
    ) -> None:
        given, self.want = uncurried(without_domains(problem.task.type))
        self.arm, self.problem, self.account = arm, problem, account
        self.clock, self.judge = clock, judge
        self.outputs = tuple(judge.scorer.outputs[row] for row in rows)
        self.all = (1 << len(rows)) - 1
        making = Clock(max(clock.left() * 0.8, 1e-9), clock.now)
        self.workshop = Workshop(grammar, making, arm.bounds, account.counts)
        self.bank = Bank(
            self.workshop,
            given,
            [judge.inputs[row] for row in rows],
            [(output, self.want) for output in self.outputs],
        )
        self.choice = choice_of(grammar, self.want)
        self.pieces = pieces_for(grammar, given, self.want, judge.inputs, judge.scorer.outputs)
        self.pieces.outputs = self.outputs
        self.predicates = Predicates()
        self.terms: dict[int, Node] = {}
        self.found: Node | None = None
        self.divided = 0.0

    def run(self) -> Iterator[Scored]:
        """Level by level: more pieces and predicates, and what they make of them.

        Ends when a term of the level reached could only be longer than what was found, or than the
        table of the examples.
        """
        level = 0
        try:
            while level * UNIT < (self.found.cost if self.found else self.judge.scorer.ceiling):
                level += 1
                if self.workshop.clock.expired():
                    raise Exhausted(TIME_IS_UP)
                nodes = self.bank.level(self.want, level)[1]
                tests = self.bank.level(BOOL, level)[1]
                facts = {"nats": level * UNIT, "generated": self.account.counts["generated"]}
                self.problem.journal.record(Event("level", self.problem.clock.elapsed(), facts))
                if self.take(nodes, tests):
                    yield from self.deduce()
                if self.refuted():
                    return
        except Exhausted as reason:
            if self.found is None:
                self.account.note(f"stopped at {level * UNIT:.1f} nats: {reason}")
                nodes = list(self.bank.seen.get(self.want, {}).values())
                self.take(nodes, list(self.bank.seen.get(BOOL, {}).values()))
                self.divided = 0.0
                yield from self.deduce()
        try:
            yield from self.others()
        except Exhausted:
            return  # there was time for no more

    def refuted(self) -> bool:
        """Whether what was right on these rows is wrong on others."""
        return self.found is not None and not self.judge.solved

    def take(self, nodes: Sequence[Node], tests: Sequence[Node]) -> int:
        """Keep what is of use; how much is new."""
        self.account.counts["scored"] += len(nodes)
        new = 0
        for node in nodes:
            mask = mask_of(node.values, self.outputs)
            known = self.terms.get(mask)
            if mask and (known is None or node.cost < known.cost):
                self.terms[mask] = node
                new += 1
        return new + self.pieces.add(nodes) + self.predicates.add(tests)

    def deduce(self) -> Iterator[Scored]:
        """The best term of what there is: one, a cover, or a tree of them."""
        below = self.found.cost if self.found else self.judge.scorer.ceiling
        node = self.terms.get(self.all)
        found = cover(self.pieces, self.all, self.bank.node, below, self.clock.expired)
        if found is not None and (node is None or found.cost < node.cost):
            node = found
        if node is None and self.choice is not None and self.clock.elapsed() >= self.divided:
            node = self.tree(below)
            self.divided = 1.5 * self.clock.elapsed() + 0.1
        if node is None:
            best = max(self.terms, key=int.bit_count, default=0)
            node = self.terms.get(best)
        if node is not None:
            yield from self.offer(node)

    def offer(self, node: Node) -> Iterator[Scored]:
        """The node's candidate, if it is new and better, or right on all examples."""
        self.account.counts["scored"] += 1
        if mask_of(node.values, self.outputs) == self.all:
            if self.found is None and self.workshop.clock.left() > self.arm.patience:
                self.workshop.clock = Clock(self.arm.patience, self.clock.now)
            if self.found is None or node.cost < self.found.cost:
                self.found = node
        scored = self.judge.score(node)
        if scored is not None and (scored.exact or scored.score < self.judge.lowest):
            self.judge.lowest = min(self.judge.lowest, scored.score)
            yield scored

    def others(self) -> Iterator[Scored]:
        """Terms as right as the one found, which differ from it in one part."""
        if self.found is None:
            return
        left = min(self.arm.patience, self.problem.clock.left())
        self.workshop.clock = Clock(max(left, 1e-9), self.clock.now)
        parts = parts_of(self.found, self.pieces.join)
        highest = max(level_of(part.cost) for part in parts) + FURTHER
        for twin in twins(self.bank, self.want, highest, {part.values for part in parts}):
            if self.judge.solved > self.arm.alternatives:
                return
            yield from self.offer(swapped(parts, twin, self.pieces.join, self.bank.node))

    def tree(self, below: float) -> Node | None:
        """The best decision tree over the terms and over covers of sets of rows."""
        assert self.choice is not None
        terms = dict(self.terms)
        left = self.all if self.pieces.join is not None else 0
        while left and not self.clock.expired():
            row = left.bit_length() - 1
            mask, node = self.group(row)
            left &= ~mask & ~(1 << row)
            if node is not None and (mask not in terms or node.cost < terms[mask].cost):
                terms[mask] = node
        return decide(terms, self.predicates, self.choice, self.bank.node, self.all, below=below)

    def group(self, row: int) -> tuple[int, Node | None]:
        """A set of rows with this one, as large as one cover without great cost allows."""
        assert self.choice is not None
        mask, late = 1 << row, self.clock.expired
        whole = cover(self.pieces, mask, self.bank.node, late=late)
        for other in reversed(range(len(self.outputs))):
            if other == row or whole is None or mask >> other & 1:
                continue
            alone = cover(self.pieces, 1 << other, self.bank.node, late=late)
            apart = whole.cost + self.choice.cost + (alone.cost if alone else 0.0)
            both = cover(self.pieces, mask | 1 << other, self.bank.node, apart, late)
            if both is not None:
                whole = both
                mask = mask_of(both.values, self.outputs)
        return mask, whole
