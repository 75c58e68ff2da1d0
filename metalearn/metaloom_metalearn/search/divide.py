"""Divide and conquer: outputs put together from pieces, and rows told apart by predicates.

Enumeration alone finds a term of a certain cost only after every cheaper one.  Here a bank makes
the small terms, and what is larger is deduced from the outputs wanted:

- an output that is a text or a list is covered by pieces of it, put end to end (`joining`);
- where no single term is right on every example, terms that are right on some are chosen among by
  a decision tree over predicates (`decision`).

The bank's rows are a few of the distinct examples, those that differ most in length.  A solution is
tried on all examples; one that fails some is a counterexample, and the search begins again with
more rows (Solar-Lezama 2006).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from metaloom_metalearn.clock import Clock
from metaloom_metalearn.journal import Event
from metaloom_metalearn.search.application import FAILED
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.bank import Bank, Bounds, Exhausted, Workshop
from metaloom_metalearn.search.blocks import Blocks, unreachable
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.coding import description_length
from metaloom_metalearn.search.collection import collection_put_off
from metaloom_metalearn.search.constants import Constants
from metaloom_metalearn.search.decision import Predicates, decide, mask_of
from metaloom_metalearn.search.examples import holds_tensors, plain_examples
from metaloom_metalearn.search.grammar import UNIT, Grammar, Production, Slot
from metaloom_metalearn.search.joining import Pieces, cover
from metaloom_metalearn.search.node import Node, term_of
from metaloom_metalearn.search.scoring import Scorer
from metaloom_metalearn.search.trace import Account
from metaloom_registry import Arrow, EvaluationError, Type, is_closed, uncurried
from metaloom_registry.types import BOOL, TEXT, without_domains

Examples = Sequence[tuple[tuple[Any, ...], Any]]


@dataclass(frozen=True)
class Divide:
    """The arm that covers outputs by pieces and decides between terms.

    It uses at most the share `share` of the time there is.  `rows` are the examples that the bank
    begins with; `more` are added after a counterexample, at most `rounds` times.  After a solution
    it goes on for as long as it took, but for `patience` seconds at most, and gives no more than
    `alternatives` others.
    """

    constants: Constants = field(default_factory=Constants)
    bounds: Bounds = field(default_factory=lambda: Bounds(cells=40_000_000))
    share: float = 0.7
    rows: int = 8
    more: int = 4
    rounds: int = 4
    patience: float = 1.0
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
        missing = unreachable(problem.task, grammar)
        if missing:
            account.note(missing)
            return
        clock = Clock(max(problem.clock.left() * self.share, 1e-9), problem.clock.now)
        judge = _Judge(problem, blocks, examples)
        rows = spread(examples, uncurried(problem.task.type)[1], self.rows)
        for turn in range(self.rounds):
            left = Clock(max(clock.left() * 0.5 if turn == 0 else clock.left(), 1e-9), clock.now)
            attempt = _Attempt(self, problem, grammar, account, left, judge, rows)
            with collection_put_off():
                try:
                    yield from attempt.run()
                finally:
                    attempt.bank.clear()
            more = judge.counterexamples(rows, self.more)
            if judge.solved or not more or clock.expired():
                return
            rows = [*rows, *more]


def spread(examples: Examples, want: Type, count: int) -> list[int]:
    """The places of `count` distinct examples, spread over the lengths of their outputs."""
    first: dict[Any, int] = {}
    for place, example in enumerate(examples):
        first.setdefault(example, place)
    places = sorted(first.values(), key=lambda place: -description_length(examples[place][1], want))
    if len(places) <= count:
        return places
    return [places[i * (len(places) - 1) // (count - 1)] for i in range(count)]


class _Judge:
    """Scores whole terms on all examples; keeps the best, and the counterexamples to others."""

    def __init__(self, problem: Problem, blocks: Blocks, examples: Examples) -> None:
        self.type = problem.task.type
        self.inputs = [inputs for inputs, _ in examples]
        self.scorer = Scorer.of([output for _, output in examples], uncurried(self.type)[1])
        self.blocks = blocks
        self.lowest = self.scorer.ceiling
        self.solved = 0
        self.wrong: dict[int, None] = {}
        self._seen: set[Any] = set()

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
            self.wrong.update(dict.fromkeys(i for i, fine in enumerate(right) if not fine))
        return scored

    def counterexamples(self, rows: Sequence[int], count: int) -> list[int]:
        return [row for row in self.wrong if row not in rows][:count]


class _Attempt:
    """One search over a choice of rows."""

    def __init__(
        self,
        arm: Divide,
        problem: Problem,
        grammar: Grammar,
        account: Account,
        clock: Clock,
        judge: _Judge,
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
        self.choice = _choice(grammar, self.want)
        self.join = _join(grammar, self.want, self.outputs)
        self.pieces = Pieces(
            self.outputs, self.join, _literal_cost(grammar, self.want), _forbidden(problem, judge)
        )
        self.predicates = Predicates()
        self.terms: dict[int, Node] = {}
        self.found: float | None = None
        self.divided = 0.0

    def run(self) -> Iterator[Scored]:
        """Level by level: more pieces and predicates, and what they make of them.

        Ends when a term of the level reached could only be longer than what was found, or than the
        table of the examples.
        """
        level = 0
        try:
            while level * UNIT < (self.judge.scorer.ceiling if self.found is None else self.found):
                level += 1
                if self.workshop.clock.expired():
                    raise Exhausted("the time is up")
                fresh = self.bank.level(self.want, level)[1]
                tests = self.bank.level(BOOL, level)[1]
                facts = {"nats": level * UNIT, "generated": self.account.counts["generated"]}
                self.problem.journal.record(Event("level", self.problem.clock.elapsed(), facts))
                if self.take(fresh, tests):
                    yield from self.deduce()
                if self.judge.solved > self.arm.alternatives or self.refuted():
                    return
        except Exhausted as reason:
            self.account.note(f"stopped at {level * UNIT:.1f} nats: {reason}")
            self.take(
                list(self.bank.seen.get(self.want, {}).values()),
                list(self.bank.seen.get(BOOL, {}).values()),
            )
            self.divided = 0.0
            yield from self.deduce()

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
        if self.join is not None:
            new += self.pieces.add(nodes)
        return new + self.predicates.add(tests)

    def deduce(self) -> Iterator[Scored]:
        """The best term of what there is: one, a cover, or a tree of them."""
        below = self.found if self.found is not None else self.judge.scorer.ceiling
        node = self.terms.get(self.all)
        if self.join is not None:
            found = cover(self.pieces, self.all, self.bank.node, below, self.clock.expired)
            if found is not None and (node is None or found.cost < node.cost):
                node = found
        if node is None and self.choice is not None and self.clock.elapsed() >= self.divided:
            node = self.tree(below)
            self.divided = 1.5 * self.clock.elapsed() + 0.1
        if node is None:
            node = max(self.terms.items(), key=lambda item: item[0].bit_count(), default=(0, None))[
                1
            ]
        if node is not None:
            yield from self.offer(node)

    def offer(self, node: Node) -> Iterator[Scored]:
        self.account.counts["scored"] += 1
        whole = mask_of(node.values, self.outputs) == self.all
        if whole and self.found is None:
            self.found = node.cost
            seconds = min(self.arm.patience, self.clock.elapsed())
            if self.workshop.clock.left() > seconds > 0:
                self.workshop.clock = Clock(seconds, self.clock.now)
        elif whole:
            self.found = min(self.found or node.cost, node.cost)
        scored = self.judge.score(node)
        if scored is None:
            return
        if scored.exact or scored.score < self.judge.lowest:
            self.judge.lowest = min(self.judge.lowest, scored.score)
            yield scored

    def tree(self, below: float) -> Node | None:
        """The best decision tree over the terms and over covers of sets of rows."""
        terms = dict(self.terms)
        if self.join is not None:
            left = self.all
            while left and not self.clock.expired():
                mask, node = self.group(left.bit_length() - 1)
                left &= ~mask & ~(1 << (left.bit_length() - 1))
                if node is not None and (mask not in terms or node.cost < terms[mask].cost):
                    terms[mask] = node
        assert self.choice is not None
        return decide(terms, self.predicates, self.choice, self.bank.node, self.all, below=below)

    def group(self, row: int) -> tuple[int, Node | None]:
        """A set of rows with this one, as large as one cover without great cost allows."""
        assert self.choice is not None
        mask = 1 << row
        late = self.clock.expired
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


def _choice(grammar: Grammar, want: Type) -> Production | None:
    """The production that takes a condition and two values of the type, and gives one."""
    slots = (Slot((), BOOL), Slot((), want), Slot((), want))
    for production in grammar.productions.get(want, ()):
        choose = production.choose
        if choose is not None and production.slots == slots and choose(True) == 1:
            return production
    return None


def _join(grammar: Grammar, want: Type, outputs: Sequence[Any]) -> Production | None:
    """The production that puts two values end to end, told from what it does to the outputs."""
    if not all(isinstance(output, str | tuple) for output in outputs):
        return None
    halves = [(output[: len(output) // 2], output[len(output) // 2 :]) for output in outputs]
    for production in grammar.productions.get(want, ()):
        if production.slots != (Slot((), want), Slot((), want)):
            continue
        run = production.safe
        if all(run(a, b) == a + b and run(b, a) == b + a for a, b in halves):
            return production
    return None


def _literal_cost(grammar: Grammar, want: Type) -> float:
    """What a literal of the wanted type costs before what it says; -1 where there is none."""
    if want != TEXT:
        return -1.0
    written = [constant.cost for constant in grammar.constants.get(TEXT, ())]
    return min(written, default=grammar.variables[TEXT] + 1.0)


def _forbidden(problem: Problem, judge: _Judge) -> frozenset[Any]:
    """The texts that are a whole input or output, but for an output that all examples share."""
    given = problem.task.given
    outputs = set(judge.scorer.outputs)
    whole = {
        value
        for inputs in judge.inputs
        for value, type_ in zip(inputs, given, strict=True)
        if without_domains(type_) == TEXT
    }
    return frozenset(whole | outputs) - (outputs if len(outputs) == 1 else frozenset())
