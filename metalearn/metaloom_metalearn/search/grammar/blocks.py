"""The blocks of the library as functions of a grammar, and as judges of what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from metaloom_metalearn.engines.hard.evaluator import Evaluator
from metaloom_metalearn.engines.hard.limits import Limits
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Scored
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.constants import Constants, values_within
from metaloom_metalearn.search.grammar.grammar import Function, Grammar, grammar_of
from metaloom_metalearn.search.grammar.programs import Programs
from metaloom_metalearn.search.grammar.universe import universe_of
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.search.scoring import same
from metaloom_metalearn.search.trace import Account
from metaloom_metalearn.tasks import Task
from metaloom_registry import (
    Entry,
    EvaluationError,
    MetaloomError,
    Primitive,
    Use,
    uncurried,
)
from metaloom_registry.types import without_domains


class Blocks:
    """Loads what a search uses, each block once; evaluates with it, in at most so many steps."""

    def __init__(self, problem: Problem, account: Account, steps: int = 100_000) -> None:
        self.problem = problem
        self.account = account
        self.resolve = Resolver(problem.library, problem.entries)
        self.evaluator = Evaluator(self.resolve, Limits(steps=steps))
        self.programs = Programs(self.resolve, self.resolve.type_of)

    def grammar(
        self, examples: Sequence[tuple[tuple[Any, ...], Any]], constants: Constants
    ) -> Grammar:
        """The grammar of the problem's blocks and the examples' constants."""
        task = self.problem.task
        entries = self.problem.entries
        universe = universe_of(task.given, task.want, [entry.type for entry in entries])
        for type_ in universe.left_out:
            self.account.note(f"no term of the type {type_} was tried: too many types")
        return grammar_of(
            entries,
            self.problem.prior.log_weights(task, entries),
            self.function,
            universe,
            constants.of(examples, task.given, task.want),
            task.given,
        )

    def function(self, entry: Entry) -> Function | None:
        """The block as a function of all its arguments; None, with a note, if it has no value."""
        try:
            loaded = self.resolve(entry.reference)
            if not isinstance(loaded, Primitive):
                program = self.programs.read(entry.reference)
                return Function(self._compiled(entry), program=program)
            arity = len(uncurried(entry.type)[0])
            if loaded.scalar is not None and len(loaded.parameters) == arity:
                return Function(loaded.scalar, loaded.cost, loaded.choose, loaded.kernel)
            return Function(self._compiled(entry), loaded.cost)
        except MetaloomError as error:
            said = f"{entry.name} was left out: {error}"
            (self.account.note if entry.kind == "primitive" else self.account.warn)(said)
            return None

    def _compiled(self, entry: Entry) -> Callable[..., Any]:
        return self.evaluator.compile(Use(entry.reference))

    def warm(self, grammar: Grammar, examples: Sequence[tuple[tuple[Any, ...], Any]]) -> None:
        """Run each trained block of the grammar once, in a batch, on all inputs it can take."""
        trained = {entry.reference for entry in self.problem.entries if entry.kind == "graph"}
        given = self.problem.task.given
        for group in grammar.productions.values():
            for production in group:
                if production.reference not in trained or len(production.slots) != 1:
                    continue
                items = [
                    item
                    for inputs, _ in examples
                    for value, type_ in zip(inputs, given, strict=True)
                    for item in values_within(
                        value, without_domains(type_), production.slots[0].result
                    )
                ]
                try:
                    self.evaluator.warm(production.reference, items)
                except EvaluationError as error:
                    self.account.note(f"{production.reference} has no value here: {error}")

    def confirms(self, scored: Scored, examples: Sequence[tuple[tuple[Any, ...], Any]]) -> bool:
        """Whether evaluating the whole term gives what the bank says, right and wrong."""
        compiled = self.evaluator.compile(scored.candidate.term)
        for (inputs, output), right in zip(examples, scored.right, strict=True):
            try:
                value = compiled(*inputs)
            except EvaluationError:
                value = FAILED
            if same(value, output, self.problem.task.want) != right:
                return False
        return True


def unreachable(task: Task, grammar: Grammar) -> str:
    """Why no term of the grammar has the wanted type, or nothing where one may have.

    Names the missing type and the blocks that come nearest to making it.
    """
    want = without_domains(task.want)
    there = grammar.reachable([without_domains(given) for given in task.given])
    if want in there:
        return ""
    given = ", ".join(map(str, task.given))
    return f"nothing in the library makes {want} out of {given}"
