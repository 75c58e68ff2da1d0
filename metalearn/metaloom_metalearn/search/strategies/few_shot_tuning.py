"""The arm that tunes continuous choices of few-shot programs: strengths, rates, steps, mixtures.

Its compositions are those of `few_shot` with heads that take numbers first, such as
`float -> examples[vec[n], label[k]] -> vec[n] -> logits[k]`, over one encoder or a mixture of two:

    (lam (lam (argmax (head 0.3 (embed encoder $1) (encoder $0)))))
    (lam (lam (let (lam (mix 0.7 (one $0) (other $0))) (argmax (head 0.3 (embed $0 $2) ($0 $1))))))

A trial is scored as few-shot programs are, by the description length of held-out labels, so that
the two arms are comparable.  Encoders run once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import nn

from metaloom_metalearn.engines.batched.columns import to_support
from metaloom_metalearn.engines.batched.compile import compile_term
from metaloom_metalearn.engines.batched.features import Features
from metaloom_metalearn.engines.batched.values import BatchedValue, Support
from metaloom_metalearn.journal import Event
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.neural.few_shot import (
    EMBED,
    HEAD,
    MOST,
    READ,
    Chain,
    encoders,
    label_nats,
)
from metaloom_metalearn.search.neural.holdout import folds_of
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.search.strategies.tuning import (
    SHARES,
    USUAL,
    Choice,
    Tunable,
    Tuners,
    Tuning,
    parzen,
)
from metaloom_registry import (
    Apply,
    Arrow,
    Bound,
    Entry,
    Hole,
    Lambda,
    Let,
    Loaded,
    MetaloomError,
    ParseError,
    Reference,
    Tensor,
    Term,
    Type,
    TypeMismatch,
    Use,
    apply,
    check,
    fits,
    generalised,
    parse_type,
    print_term,
)
from metaloom_registry.terms import lambdas
from metaloom_registry.types import FLOAT, examples_of, function

MIX = parse_type("float -> vec[n] -> vec[n] -> vec[n]")


@dataclass(frozen=True)
class Tune:
    """The arm: `trials` trials of what `tuner` proposes for the `limit` cheapest compositions.

    An encoder is a chain of at most `longest` blocks.  `compositions` come before those that are
    made of the library.  See `tune`.
    """

    tuner: Tuners
    trials: int
    longest: int
    limit: int
    compositions: tuple[Tunable, ...] = ()
    name: str = "tune"
    gradients: bool = False

    def applies(self, problem: Problem) -> bool:
        task = problem.task
        return (
            problem.generator is not None
            and len(task.given) == 1
            and len(task.support) <= MOST
            and isinstance(task.given[0], Tensor)
            and isinstance(task.want, Tensor)
            and task.want.kind == "label"
            and (
                bool(self.compositions) or any(numbers_of(entry.type) for entry in problem.entries)
            )
        )

    def search(self, problem: Problem) -> Tuning | None:
        """The search for a problem; None, with a note, where it has nothing to tune."""
        account = problem.trace.arm(self.name)
        given, want = problem.task.given[0], problem.task.want
        type_ = function(examples_of(given, want), given, want)
        resolve = Resolver(problem.library, problem.entries)
        for composition in self.compositions:
            check(composition.term, type_, resolve.type_of)
        found = [*self.compositions, *tunables_of(problem, self.longest)]
        if len(found) > self.limit:
            account.note(f"{len(found) - self.limit} of {len(found)} compositions were left out")
        if not found:
            account.note(f"the library has no encoder and head, {EMBED} and {READ} that fit")
            return None
        chosen = found[: self.limit]
        assert problem.generator is not None
        return Tuning(
            chosen,
            type_,
            self.tuner(chosen, problem.generator.initial_seed()),
            problem.clock,
            self.trials,
        )

    def run(self, problem: Problem) -> Iterator[Scored]:
        """Each candidate that beats those before it."""
        search, account = self.search(problem), problem.trace.arm(self.name)
        if search is None:
            return
        judge, lowest = HeldOut(problem), math.inf
        while asked := search.ask(1):
            account.counts["generated"] += 1
            try:
                scored = judge.scored(asked[0])
                account.counts["scored"] += 1
            except MetaloomError as error:
                account.counts["failed"] += 1
                account.note(f"a composition has no value: {error}")
                scored = Scored(asked[0], math.inf, (False,) * len(problem.task.support))
            search.tell([scored])
            if scored.score < lowest:
                lowest = scored.score
                yield scored
            facts = {"tried": problem.trace.tried}
            problem.journal.record(Event("tried", problem.clock.elapsed(), facts))


def tune(
    trials: int = 100,
    longest: int = 1,
    limit: int = 16,
    tuner: Tuners = parzen,
    compositions: Sequence[Tunable] = (),
) -> Tune:
    """The arm that tunes few-shot programs, by Optuna unless another `tuner` is given.

    trials: how many programs are scored.  longest: the most blocks of an encoder.  limit: how many
    compositions are tuned, the first of `compositions` and then the cheapest.  compositions: terms
    `examples[X, label[k]] -> X -> label[k]` with holes, besides those of the library; they end in
    the reading of a label off logits.  Raises ParseError where a number is below 1.
    """
    if min(trials, longest, limit) < 1:
        raise ParseError(
            f"{trials} trials of {limit} compositions with encoders of {longest} blocks; give one "
            "or more of each"
        )
    return Tune(tuner, trials, longest, limit, tuple(compositions))


def numbers_of(type_: Type) -> tuple[Type, ...]:
    """What a head takes before the support, where it is all numbers; else nothing."""
    taken: list[Type] = []
    while isinstance(type_, Arrow) and type_.argument in USUAL:
        taken.append(type_.argument)
        type_ = type_.result
    return tuple(taken) if fits(type_, HEAD) else ()


def tunables_of(problem: Problem, longest: int) -> list[Tunable]:
    """The few-shot programs of a problem that have continuous choices, the cheapest first."""
    entries, task = problem.entries, problem.task
    weights = problem.prior.log_weights(task, entries)
    heads = [entry for entry in entries if numbers_of(entry.type)]
    embed, read, mix = (
        next((e for e in entries if e.kind == "primitive" and _same(e.type, type_)), None)
        for type_ in (EMBED, READ, MIX)
    )
    if embed is None or read is None or not heads:
        return []
    chains = encoders(list(zip(entries, weights, strict=True)), task.given[0], longest)
    choice = math.log(len(heads))
    found = []
    for entry in heads:
        head: Term = Use(entry.reference)
        choices = []
        for type_ in numbers_of(entry.type):
            head = Apply(head, Hole(type_))
            choices.append(Choice(type_, USUAL[type_]))
        for chain in chains:
            support: Term = Bound(1)
            if chain.entries:
                support = apply(Use(embed.reference), chain.term(), Bound(1))
            body = Apply(Use(read.reference), apply(head, support, _after(chain, Bound(0))))
            cost = chain.cost + choice
            found.append(Tunable(lambdas(2, body), tuple(choices), cost))
        for one, other in combinations(chains, 2) if mix is not None else ():
            if one.type != other.type:
                continue
            assert mix is not None
            both = apply(
                Use(mix.reference),
                Hole(FLOAT),
                *(_after(chain, Bound(0)) for chain in (one, other)),
            )
            support = apply(Use(embed.reference), Bound(0), Bound(2))
            body = Apply(Use(read.reference), apply(head, support, Apply(Bound(0), Bound(1))))
            term = lambdas(2, Let(Lambda(both), body))
            mixed = (Choice(FLOAT, SHARES), *choices)
            found.append(Tunable(term, mixed, one.cost + other.cost + choice))
    return sorted(found, key=lambda tunable: tunable.cost)


class HeldOut:
    """Scores few-shot programs by the labels of the support that they were not shown."""

    def __init__(self, problem: Problem) -> None:
        task = problem.task
        self.resolve = Resolver(problem.library, problem.entries)
        self.support = to_support(task.support, task.given[0], task.want)
        self.folds = [
            (
                Support(self.support.x[fold.kept], self.support.y[fold.kept], self.support.classes),
                fold.column[fold.held],
                fold.owners,
            )
            for fold in folds_of(self.support, task.given[0], problem.generator)
        ]
        self.features = Features(lambda entry: self.resolve(entry.reference))

    def scored(self, candidate: Candidate) -> Scored:
        """The nats of the held-out labels. Raises what evaluating the program does."""
        module = compile_term(_unread(candidate.term), self.resolve.type_of, self._load)
        with torch.no_grad():
            logits = [module(kept, held) for kept, held, _ in self.folds]
        owners = torch.cat([owners for _, _, owners in self.folds])
        nats, right = label_nats(torch.cat(logits), self.support.y, owners)
        return Scored(candidate, nats, right)

    def _load(self, reference: Reference) -> Loaded:
        block = self.resolve(reference)
        if isinstance(block, nn.Module):
            return _Once(self.features, self.resolve.entry(reference))
        return block


class _Once(nn.Module):
    """A frozen block that runs once on each column."""

    def __init__(self, features: Features, entry: Entry) -> None:
        super().__init__()
        self.features, self.entry = features, entry

    def forward(self, x: BatchedValue) -> BatchedValue:
        return self.features.of((self.entry,), x)


def _unread(term: Term) -> Term:
    """The program that gives logits where this one reads the label off them."""
    if isinstance(term, Lambda):
        return Lambda(_unread(term.body))
    if isinstance(term, Let):
        return Let(term.value, _unread(term.body))
    if not isinstance(term, Apply) or not isinstance(term.function, Use):
        raise TypeMismatch(
            f"{print_term(term)} is no reading of logits; end the composition in a primitive "
            f"{READ}, whose logits are what it is judged by"
        )
    return term.argument


def _after(chain: Chain, value: Term) -> Term:
    for entry in chain.entries:
        value = Apply(Use(entry.reference), value)
    return value


def _same(one: Type, other: Type) -> bool:
    return generalised(one) == generalised(other)
