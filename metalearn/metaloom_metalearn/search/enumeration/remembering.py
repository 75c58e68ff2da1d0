"""Programs with a memory: what to remember is enumerated beside what to give.

A program `store[s] -> A -> (B, store[s])` is two terms: the output, over the input and what is
remembered; and what to remember next, over these and the output, which the examples tell.  A term
for the latter, tried from the empty memory on, says what is remembered before each call of every
stream; then the former is an ordinary search, for a term from input and memory to output.  Pairs
are tried by the sum of their costs; of two terms that remember the same in every call, the cheaper
alone; and none after which equal inputs and memories would have to give different outputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from metaloom_metalearn.memory import Effect, called_in_turn, empty_value
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.coding import description_length, table_cost
from metaloom_metalearn.search.enumeration.bank import Bank, Bounds, Exhausted, Workshop
from metaloom_metalearn.search.enumeration.collection import collection_put_off
from metaloom_metalearn.search.enumeration.frontier import frontier
from metaloom_metalearn.search.enumeration.node import Node, code_of, term_of
from metaloom_metalearn.search.examples import contradictions, plain_examples
from metaloom_metalearn.search.grammar.blocks import Blocks
from metaloom_metalearn.search.grammar.constants import Constants
from metaloom_metalearn.search.grammar.grammar import UNIT
from metaloom_metalearn.search.scoring import same
from metaloom_metalearn.search.trace import Account
from metaloom_metalearn.tasks import Examples, Task
from metaloom_registry import (
    Bound,
    Constructed,
    EvaluationError,
    Lambda,
    Let,
    Reference,
    Term,
    Type,
    Use,
    apply,
    lambdas,
    uncurried,
)
from metaloom_registry.types import function

RECALL = Reference.parse("memory/recall@1")
REMEMBER = Reference.parse("memory/remember@1")

FIRST_LEVELS = 8
"""Levels of terms that are tried on the empty memory, to see what memories there may be."""

STATES = 24
"""How many memories the terms for the next one are told apart on."""

MEMORIES = 400
"""How many terms for the next memory are kept."""


@dataclass(frozen=True)
class Remembering:
    """The arm for tasks with a memory; it finds programs that are right on every stream."""

    constants: Constants = field(default_factory=lambda: Constants(strict=False))
    bounds: Bounds = field(default_factory=Bounds)
    alternatives: int = 4
    name: str = "remembering"
    gradients: bool = False

    def applies(self, problem: Problem) -> bool:
        """Whether the task declares a memory."""
        return problem.task.memory is not None

    def run(self, problem: Problem) -> Iterator[Scored]:
        """Programs right on every stream, the cheapest first, of one cost at most a few."""
        account = problem.trace.arm(self.name)
        streams = plain_examples(problem.task)
        for one, other in contradictions(streams)[:3]:
            account.warn(
                f"examples {one + 1} and {other + 1} are calls of the same inputs with different "
                "outputs; no program is right on both"
            )
        known = {entry.reference for entry in problem.entries}
        if not {RECALL, REMEMBER} <= known:
            account.note(
                f"the library lacks {RECALL} or {REMEMBER}; install the plugin that has it"
            )
            return
        attempt = _Attempt(self, problem, _effect(problem.task), streams, account)
        with collection_put_off():
            yield from islice(attempt.run(), 1 + self.alternatives)


def _effect(task: Task) -> Effect:
    given, want = uncurried(task.type)
    assert task.memory is not None
    return Effect(task.memory, tuple(map(_item, given)), _item(want))


def _item(type_: Type) -> Type:
    assert isinstance(type_, Constructed)
    return type_.arguments[0]


@dataclass(eq=False)
class _Memory:
    """A term for the next memory, the level of its cost, and the outputs searched for under it."""

    node: Node
    level: int
    bank: Bank
    target: tuple[Any, ...]


class _Attempt:
    """One search for a task: the calls of all streams, and the memories tried."""

    def __init__(
        self,
        arm: Remembering,
        problem: Problem,
        effect: Effect,
        streams: Sequence[tuple[tuple[Any, ...], Any]],
        account: Account,
    ) -> None:
        self.arm = arm
        self.problem = problem
        self.effect = effect
        self.streams = [list(zip(zip(*given, strict=True), y, strict=True)) for given, y in streams]
        self.shown = streams
        self.account = account
        self.start = empty_value(effect.held)
        self.calls = [call for stream in self.streams for call in stream]
        self.scope = (*effect.given, effect.held)
        examples = [((*inputs, self.start), output) for inputs, output in self.calls]
        type_ = function(*self.scope, effect.want)
        columns = tuple(zip(*(inputs for inputs, _ in examples), strict=True))
        support = Examples(columns, tuple(output for _, output in examples))
        self.blocks = Blocks(replace(problem, task=Task(type_, support)), account)
        grammar = self.blocks.grammar(examples, arm.constants)
        self.workshop = Workshop(grammar, problem.clock, arm.bounds, account.counts, effect.want)
        self.ceiling = table_cost([output for _, output in self.calls], effect.want)
        self.seen: set[Any] = set()

    def run(self) -> Iterator[Scored]:
        memories: list[_Memory] = []
        try:
            bank = self._memory_bank()
            for level in range(1, math.ceil(self.ceiling / UNIT) + 1):
                found = False
                for memory in memories:
                    if memory.level < level:
                        for scored in self._outputs(memory, level - memory.level):
                            found = True
                            yield scored
                if found:
                    return
                if len(memories) < MEMORIES:
                    for node in bank.level(self.effect.held, level)[1]:
                        memories += self._memory(node, level)
        except Exhausted as reason:
            self.account.note(f"stopped: {reason}")

    def _memory_bank(self) -> Bank:
        """The bank of terms for the next memory, on inputs with memories that there may be."""
        states = {self.start: None}
        first = self._bank([(*inputs, self.start, output) for inputs, output in self.calls])
        for level in range(1, FIRST_LEVELS + 1):
            for node in first.level(self.effect.held, level)[1]:
                if len(states) >= STATES:
                    break
                before = self._rolled(node)
                if before is not None:
                    states.update(dict.fromkeys(before[-2:]))
        every = list(states)
        return self._bank(
            [
                (*inputs, every[(i + turn * (1 + len(every) // 2)) % len(every)], output)
                for turn in range(2)
                for i, (inputs, output) in enumerate(self.calls)
            ]
        )

    def _bank(self, rows: Sequence[tuple[Any, ...]]) -> Bank:
        """A bank of terms over input, memory and output, on distinct rows of these."""
        rows, want = list(dict.fromkeys(rows)), self.effect.want
        return Bank(self.workshop, (*self.scope, want), rows, [(row[-1], want) for row in rows])

    def _memory(self, node: Node, level: int) -> list[_Memory]:
        """The memory under a term for the next one, if it is new and tells enough."""
        before = self._rolled(node)
        if before is None or tuple(before) in self.seen:
            return []
        self.seen.add(tuple(before))
        rows: dict[Any, Any] = {}
        for (inputs, output), memory in zip(self.calls, before, strict=True):
            if rows.setdefault((*inputs, memory), output) != output:
                self.account.counts["pruned"] += 1
                return []
        want = self.effect.want
        order = sorted(rows, key=lambda row: -description_length(rows[row], want))
        target = tuple(rows[row] for row in order)
        bank = Bank(self.workshop, self.scope, order, [(y, want) for y in target])
        return [_Memory(node, level, bank, target)]

    def _rolled(self, node: Node) -> list[Any] | None:
        """What is remembered before each call, if this term says what is next; None if it fails."""
        if self.problem.clock.expired():
            raise Exhausted("the time is up")
        code = code_of(node)
        before = []
        for stream in self.streams:
            memory = self.start
            for inputs, output in stream:
                before.append(memory)
                try:
                    memory = code((*inputs, memory, output))
                except Exception:  # whatever a primitive raises: the term has no value here
                    return None
        return before

    def _outputs(self, memory: _Memory, level: int) -> Iterator[Scored]:
        """Programs whose outputs at this level are right under a memory."""
        for node in frontier(memory.bank, self.effect.want, level, memory.target, 1):
            if node.values == memory.target or all(
                same(value, wanted, self.effect.want)
                for value, wanted in zip(node.values, memory.target, strict=True)
            ):
                scored = self._scored(memory.node, node)
                if scored is not None:
                    yield scored

    def _scored(self, memory: Node, output: Node) -> Scored | None:
        """The program, tried on all streams; None where it is not right after all."""
        count = len(self.scope)
        given = _body(term_of(output, count), count)
        next_ = _body(term_of(memory, count + 1), count + 1)
        remembered = apply(Use(REMEMBER), next_, Bound(0), Bound(count + 1))
        term = lambdas(count, Let(apply(Use(RECALL), Bound(count - 1)), Let(given, remembered)))
        run = self.blocks.evaluator.compile(term)
        for inputs, outputs in self.shown:
            try:
                made = called_in_turn(run, self.start, inputs)[0]
            except EvaluationError:
                made = ()
            if len(made) != len(outputs) or not all(
                same(value, wanted, self.effect.want)
                for value, wanted in zip(made, outputs, strict=True)
            ):
                self.account.counts["refuted"] += 1
                return None
        candidate = Candidate(term, self.effect.type, output.cost + memory.cost)
        return Scored(candidate, 0.0, (True,) * len(self.shown))


def _body(term: Term, count: int) -> Term:
    for _ in range(count):
        assert isinstance(term, Lambda)
        term = term.body
    return term
