"""A solution: the term found for a task, what it needs to predict, and how it was found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import metaloom_metalearn
from metaloom_metalearn.memory import Effect
from metaloom_metalearn.predictor import Predictor
from metaloom_metalearn.report import Report, account_rows, notes_of
from metaloom_metalearn.scores import Score
from metaloom_metalearn.script import script
from metaloom_metalearn.search.candidate import Part, Scored
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.search.scoring import same
from metaloom_metalearn.search.trace import Trace
from metaloom_metalearn.tasks import Examples, Values
from metaloom_registry import (
    Entry,
    EvaluationError,
    Library,
    MetaloomError,
    Reference,
    Tensor,
    Term,
    Type,
    print_term,
    python_module,
    python_source,
    references,
    taught,
    uncurried,
)


@dataclass(frozen=True, repr=False)
class Solution:
    """The term found for a task; it predicts, saves, and reloads with equal predictions.

    `type` is the task's type; `term_type` the term's own, which is `examples[X, Y] ->` and the
    task's type where the term takes the support, which the solution then carries, and `store[s] ->
    A -> (B, store[s])` where it has a memory: then it predicts streams, `list[A] -> list[B]`.
    `parts` are the modules that were adapted or trained for it, by their provisional references.
    `cost` is the length of the term under the grammar, in nats, `score` that and what the outputs
    it gets wrong take.  `query_rmse` stands beside a share of exact integers.  `alternatives` are
    the next best candidates.  `excluded` are the names of blocks that were not used because they
    saw the task's classes.
    """

    name: str
    type: Type
    term: Term
    term_type: Type
    library: Library = field(repr=False)
    entries: tuple[Entry, ...] = field(default=(), repr=False)
    parts: Mapping[Reference, Part] = field(default_factory=dict, repr=False)
    support: Examples | None = field(default=None, repr=False)
    cost: float = 0.0
    score: float = 0.0
    support_score: Score | None = None
    query_score: Score | None = None
    query_rmse: Score | None = None
    search: str = ""
    seed: int | None = None
    seconds: float = 0.0
    tried: int = 0
    alternatives: tuple[Scored, ...] = field(default=(), repr=False)
    excluded: tuple[str, ...] = field(default=(), repr=False)
    trace: Trace = field(default_factory=Trace, repr=False)

    def predict(self, *inputs: Any) -> Any:
        """The output for one input a argument: plain values, a tensor for a tensor type.

        Raises EvaluationError where the program has no value on this input.
        """
        types = uncurried(self.type)[0]
        columns = [
            value[None] if isinstance(type_, Tensor) and hasattr(value, "shape") else (value,)
            for value, type_ in zip(inputs, types, strict=False)
        ]
        columns += [(value,) for value in inputs[len(types) :]]
        output = self.predict_many(*columns)[0]
        if output is None:
            reason = self.predictor.reason(inputs)
            raise EvaluationError(
                f"{self.name} has no value on this input{': ' if reason else ''}{reason}"
            )
        return output

    def predict_many(self, *columns: Values) -> Values:
        """The outputs for many inputs, one column an argument, as in `Examples`.

        An output that does not exist is None.
        """
        return self.predictor.predict(columns)

    def agreement(self, *inputs: Any) -> float:
        """How sure the prediction for one input is: the share of the weight of agreeing candidates.

        Each candidate that is as right on the support as this one weighs exp(-score), which is its
        posterior probability under the grammar; 1 where there are no alternatives.
        """
        mine = self.predict(*inputs)
        agreeing = total = 1.0
        for scored in self._rivals:
            weight = math.exp(-(scored.candidate.cost - self.cost))
            total += weight
            try:
                output = self._predictor_of(scored).predict([(value,) for value in inputs])[0]
            except EvaluationError:
                continue
            if output is not None and same(output, mine, uncurried(self.type)[1]):
                agreeing += weight
        return agreeing / total

    def __repr__(self) -> str:
        score = "" if self.support_score is None else f", support {self.support_score}"
        return f"Solution({self.name!r}: {self.type}, {_shortened(self.text)}{score})"

    def python(self, name: str = "solution") -> str:
        """The program as a Python file that needs nothing else installed.

        Run as a script, it takes one JSON value an argument and prints what comes out as JSON; a
        program with a memory takes that first, and prints it beside its output.
        Raises Refused where the program uses a trained block, or a primitive without a source.
        """
        about = f"{self.name} : {self.type}".encode("unicode_escape").decode().replace('"', "'")
        module = python_module(self.term, self.resolver, name, names=self._names())
        type_ = self.type if Effect.of(self.term_type) is None else self.term_type
        return f'"""{about}"""\n\n{module}{script(name, type_)}'

    def save(self, folder: Path | str) -> None:
        """Write it as files of data into a folder. Raises Refused where a part is no graph."""
        metaloom_metalearn.save_solution(self, folder)

    @staticmethod
    def load(folder: Path | str, library: Library) -> Solution:
        """Read what `save` wrote. Raises NotFound, ParseError, Corrupt or Refused."""
        return metaloom_metalearn.load_solution(folder, library)

    @property
    def blocks(self) -> tuple[Reference, ...]:
        """The library's blocks and primitives that the term uses, without its own parts."""
        return tuple(r for r in references(self.term) if r not in self.parts)

    @cached_property
    def source(self) -> str:
        """The program as Python."""
        return python_source(self.term, self.resolver, names=self._names())

    @property
    def text(self) -> str:
        """The program as a term, blocks by their references."""
        return print_term(self.term)

    @property
    def right(self) -> int:
        """How many support outputs the program gets right."""
        score = self.support_score
        return 0 if score is None else round(score.value * score.examples)

    def rival(self, scored: Scored) -> Solution:
        """Another candidate of the same task as a solution."""
        candidate = scored.candidate
        support = None if taught(candidate.type) is None else self.support
        return replace(
            self,
            term=candidate.term,
            term_type=candidate.type,
            parts=candidate.parts,
            support=support,
            cost=candidate.cost,
            score=scored.score,
            alternatives=(),
        )

    @property
    def report(self) -> Report:
        """What was found and how, as a value that prints as a table."""
        return report_on(self)

    @cached_property
    def resolver(self) -> Resolver:
        """What the references of the term mean."""
        return Resolver(self.library, self.entries, self.parts)

    @cached_property
    def predictor(self) -> Predictor:
        """The term, ready to predict."""
        return Predictor(self.term, self.term_type, self.type, self.resolver, self.support)

    @property
    def _rivals(self) -> list[Scored]:
        exact = self.support_score is not None and self.support_score.value == 1.0
        return [s for s in self.alternatives if s.exact and exact and not s.candidate.parts]

    def _predictor_of(self, scored: Scored) -> Predictor:
        candidate = scored.candidate
        return Predictor(candidate.term, candidate.type, self.type, self.resolver, self.support)

    def _names(self) -> dict[Reference, str]:
        """What the blocks are called, those within blocks too; a part is named `part`."""
        names: dict[Reference, str] = {}
        waiting = list(references(self.term))
        while waiting:
            reference = waiting.pop()
            if reference in names:
                continue
            if reference in self.parts:
                names[reference] = "part"
                continue
            try:
                entry = self.resolver.entry(reference)
                loaded = self.resolver(reference) if entry.kind == "program" else None
            except MetaloomError:
                continue
            names[reference] = entry.name
            if isinstance(loaded, get_args(Term)):
                waiting += references(loaded)
        return names


SHOWN = 200
"""Characters of a program that a report shows of a candidate that did not win."""


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def report_on(solution: Solution) -> Report:
    """The report of a solution."""
    rows = [
        ("type", str(solution.type)),
        ("program", solution.source.strip()),
        ("cost", f"{solution.cost:.1f} nats"),
        ("support", str(solution.support_score)),
    ]
    if solution.query_score is not None:
        rows.append(("query", str(solution.query_score)))
    if solution.query_rmse is not None:
        rows.append(("", str(solution.query_rmse)))
    rows.append(("found by", f"{solution.search} in {solution.seconds:.2f} s"))
    rows.append(("why", _reason(solution)))
    rows += account_rows(solution.trace)
    for step in solution.trace.best[-STEPS:]:
        said = f"{step.right} right, {step.score:.1f} nats: {_shortened(step.term)}"
        rows.append((f"at {step.seconds:.2f} s", said))
    if solution.excluded:
        rows.append(("excluded", f"{', '.join(solution.excluded)}: saw the task's classes"))
    for scored in solution.alternatives[:5]:
        text = _shortened(print_term(scored.candidate.term))
        rows.append((f"{scored.score:.1f} nats", text))
    return Report(f"{solution.name}", tuple(rows), tuple(notes_of(solution.trace)))


STEPS = 8
"""How many of the last improvements a report shows."""


def _reason(solution: Solution) -> str:
    """Why this candidate and no other."""
    of = 0 if solution.support_score is None else solution.support_score.examples
    rivals = solution._rivals
    if solution.right < of:
        return (
            f"right on {solution.right} of {of} examples; no program found is shorter together "
            "with the outputs that it gets wrong"
        )
    if not rivals:
        return f"right on all {of} examples; no other program found is"
    more = rivals[0].score - solution.score
    return (
        f"right on all {of} examples, and the shortest of {len(rivals) + 1} programs that are; "
        f"the next takes {more:.1f} nats more"
    )
