"""Few-shot programs without a new parameter: a frozen encoder and a head, chosen on the support.

The candidates are all type-correct terms

    (lam (lam (argmax (head (embed encoder $1) (encoder $0)))))

over the library: an encoder is a chain of up to `longest` blocks from the task's input to a vector,
a head a primitive that classifies vectors by labelled ones.  Each is scored by the description
length of held-out labels of the support (`holdout`), -log p summed over the examples, with the
temperature of the logits that makes it least, plus the cost of its choices under the prior.
Features are computed once for each encoder.

Heads for other outputs (`examples[vec[n], vec[m]] -> vec[n] -> vec[m]`) would be one more family of
terms here, with a Gaussian code for their residuals.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from metaloom_metalearn.engines.batched.columns import to_support
from metaloom_metalearn.engines.batched.features import Features
from metaloom_metalearn.engines.batched.values import Support
from metaloom_metalearn.search.arm import Problem
from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.neural.holdout import Fold, folds_of
from metaloom_registry import (
    Apply,
    Arrow,
    Bound,
    Entry,
    Lambda,
    MetaloomError,
    Primitive,
    Substitution,
    Tensor,
    Term,
    Type,
    TypeMismatch,
    Use,
    parse_type,
    unify,
)
from metaloom_registry.terms import apply, lambdas
from metaloom_registry.types import examples_of, function
from metaloom_registry.unification import Fresh, fits, generalised

HEAD = parse_type("examples[vec[n], label[k]] -> vec[n] -> logits[k]")
EMBED = parse_type("(a -> b) -> examples[a, c] -> examples[b, c]")
READ = parse_type("logits[k] -> label[k]")
_VECTOR = parse_type("vec[n]")

MOST = 1000
"""A program that takes more examples than these along is no few-shot program."""


@dataclass(frozen=True)
class Chain:
    """An encoder: blocks applied in turn, the type they make, the cost of choosing them."""

    entries: tuple[Entry, ...]
    type: Type
    cost: float

    def term(self) -> Term:
        """The encoder as a closed term of a function type; the empty chain is the identity."""
        if len(self.entries) == 1:
            return Use(self.entries[0].reference)
        body: Term = Bound(0)
        for entry in self.entries:
            body = Apply(Use(entry.reference), body)
        return Lambda(body)


@dataclass(frozen=True)
class FewShot:
    """The arm: encoders of at most `longest` blocks, the `limit` cheapest with every head."""

    longest: int = 2
    limit: int = 32

    @property
    def name(self) -> str:
        return "few-shot"

    @property
    def gradients(self) -> bool:
        return False

    def applies(self, problem: Problem) -> bool:
        task = problem.task
        return (
            len(task.given) == 1
            and len(task.support) <= MOST
            and isinstance(task.given[0], Tensor)
            and isinstance(task.want, Tensor)
            and task.want.kind == "label"
            and any(fits(entry.type, HEAD) for entry in problem.entries)
        )

    def run(self, problem: Problem) -> Iterator[Scored]:
        task, account = problem.task, problem.trace.arm(self.name)
        weights = problem.prior.log_weights(task, problem.entries)
        weighted = list(zip(problem.entries, weights, strict=True))
        heads = _choices([(e, w) for e, w in weighted if fits(e.type, HEAD)])
        embed = next((e for e in problem.entries if _is(e, EMBED)), None)
        read = next((e for e in problem.entries if _is(e, READ)), None)
        if embed is None or read is None:
            missing = str(EMBED if embed is None else READ)
            account.note(f"the library has no primitive {missing}, which few-shot programs need")
            return
        support = to_support(task.support, task.given[0], task.want)
        features = Features(lambda entry: problem.library.load(entry.digest))
        folds = folds_of(support, task.given[0], problem.generator)
        chains = encoders(weighted, task.given[0], self.longest)
        if len(chains) > self.limit:
            account.note(f"{len(chains) - self.limit} of {len(chains)} encoders were left out")
        type_ = function(examples_of(task.given[0], task.want), task.given[0], task.want)
        for chain in chains[: self.limit]:
            for head, cost in heads:
                if problem.clock.expired():
                    account.note("the time was over before every encoder was tried")
                    return
                account.counts["generated"] += 1
                try:
                    loss, right = judge(chain, head, features, support, folds)
                except MetaloomError as error:
                    account.counts["failed"] += 1
                    account.note(f"{head.name} on {_named(chain)}: {error}")
                    continue
                account.counts["scored"] += 1
                term = few_shot_term(chain, head, embed, read)
                yield Scored(Candidate(term, type_, chain.cost + cost), loss, right)


def few_shot_term(chain: Chain, head: Entry, embed: Entry, read: Entry) -> Term:
    """`(lam (lam (read (head (embed encoder $1) (encoder $0)))))`; no embedding without encoder."""
    support: Term = Bound(1)
    query: Term = Bound(0)
    if chain.entries:
        support = apply(Use(embed.reference), chain.term(), Bound(1))
        for entry in chain.entries:
            query = Apply(Use(entry.reference), query)
    return lambdas(2, Apply(Use(read.reference), apply(Use(head.reference), support, query)))


def encoders(weighted: Sequence[tuple[Entry, float]], given: Type, longest: int) -> list[Chain]:
    """Every chain of at most `longest` blocks from `given` to a vector, the cheapest first.

    Each step chooses among the blocks that fit, and stopping where there is a vector; a choice
    costs ln(all weights / its weight).
    """
    blocks = [
        (entry, weight)
        for entry, weight in weighted
        if isinstance(entry.type, Arrow)
        and isinstance(entry.type.argument, Tensor)
        and isinstance(entry.type.result, Tensor)
        and entry.type.result.kind in ("image", "vec")
    ]
    found: list[Chain] = []
    growing = [Chain((), given, 0.0)]
    for length in range(longest + 1):
        longer: list[Chain] = []
        for chain in growing:
            steps: list[tuple[Entry, float, Type]] = []
            if length < longest:
                for entry, weight in blocks:
                    made = _after(chain.type, entry.type)
                    last = length == longest - 1
                    if made is not None and (not last or fits(made, _VECTOR)):
                        steps.append((entry, weight, made))
            stops = fits(chain.type, _VECTOR)
            total = _log_sum([weight for _, weight, _ in steps] + [0.0] * stops)
            if stops:
                found.append(Chain(chain.entries, chain.type, chain.cost + total))
            longer += [
                Chain((*chain.entries, entry), made, chain.cost + total - weight)
                for entry, weight, made in steps
            ]
        growing = longer
    return sorted(found, key=lambda chain: chain.cost)


def judge(
    chain: Chain,
    head: Entry,
    features: Features,
    support: Support,
    folds: Sequence[Fold],
) -> tuple[float, tuple[bool, ...]]:
    """The nats of the held-out labels under encoder and head, and which examples come out right.

    An example held out more than once counts by its mean, and is right where most of its
    appearances are.  Raises TypeMismatch where the head's logits are no [rows, classes] of numbers.
    """
    primitive = features.load(head)
    if not isinstance(primitive, Primitive) or primitive.batched is None:
        raise TypeMismatch(f"{head.name} has no batched form")
    logits, owners = [], []
    known = features.of(chain.entries, support.x)
    for fold in folds:
        shown = features.of(chain.entries, fold.column)
        kept = Support(known[fold.kept], support.y[fold.kept], support.classes)
        with torch.no_grad():
            logits.append(primitive.batched(kept, shown[fold.held]))
        owners.append(fold.owners)
    return label_nats(torch.cat(logits), support.y, torch.cat(owners))


def label_nats(
    logits: torch.Tensor, labels: torch.Tensor, owner: torch.Tensor
) -> tuple[float, tuple[bool, ...]]:
    """The nats of `labels` int64 [n] under `logits` [m, k], whose row j judges example `owner[j]`.

    The temperature is the one of a grid under which the nats are fewest (Guo et al. 2017), after
    scaling the logits by their spread.  Knowing nothing costs n ln k.
    """
    n, k = len(labels), logits.shape[1]
    finite = logits.isfinite()
    if logits.isnan().any() or not finite.any():
        raise TypeMismatch("its logits are no numbers")
    spread = torch.where(finite, logits, logits[finite].mean()).std().clamp(min=1e-12)
    scale = 2.0 ** torch.arange(-6.0, 6.5, 0.5, device=logits.device)
    scaled = scale[:, None, None] * (logits / spread)
    wanted = labels[owner]
    share = 1.0 / torch.bincount(owner, minlength=n).clamp(min=1)[owner]
    nats = -scaled.log_softmax(-1).gather(2, wanted.expand(len(scale), -1)[..., None])[..., 0]
    total = (nats * share).sum(-1)
    right = torch.zeros(n).index_add(0, owner, share * (logits.argmax(-1) == wanted))
    return min(float(total.min()), n * math.log(k)), tuple((right > 0.5).tolist())


def _choices(weighted: Sequence[tuple[Entry, float]]) -> list[tuple[Entry, float]]:
    """Each entry and the cost of choosing it among these, the cheapest first."""
    total = _log_sum([weight for _, weight in weighted])
    return sorted(
        ((entry, total - weight) for entry, weight in weighted), key=lambda choice: choice[1]
    )


def _after(given: Type, block: Type) -> Type | None:
    """What the block makes of a value of the type `given`; None where it takes no such value."""
    fresh, substitution = Fresh(), Substitution()
    block = fresh.instantiate(block)
    if not isinstance(block, Arrow):
        return None
    try:
        unify(fresh.instantiate(given), block.argument, substitution)
    except TypeMismatch:
        return None
    return substitution.resolve(block.result)


def _is(entry: Entry, type_: Type) -> bool:
    return entry.kind == "primitive" and generalised(entry.type) == generalised(type_)


def _named(chain: Chain) -> str:
    return " then ".join(entry.name for entry in chain.entries) or "the input itself"


def _log_sum(weights: Sequence[float]) -> float:
    top = max(weights, default=0.0)
    return top + math.log(sum(math.exp(weight - top) for weight in weights)) if weights else 0.0
