"""Which library blocks promise most for a task, told before anything is trained.

Chains of frozen blocks are ranked by the evidence of a linear model of the outputs on their
features (`logme`); the features of a list are the sums of its items'.  Where a task wants labels,
chains that go through another classifier's classes are left out if these tell nothing of them
(`leep`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from metaloom_metalearn.engines.batched.features import Features
from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged
from metaloom_metalearn.search.neural.few_shot import Chain
from metaloom_metalearn.search.neural.leep import entropy, leep
from metaloom_metalearn.search.neural.logme import logme
from metaloom_metalearn.search.trace import Account
from metaloom_registry import Tensor, Type, uncurried

EXAMPLES = 500
"""At most so many examples are looked at."""

TELLING = 0.05
"""The nats by which a classifier must beat knowing nothing."""


def promising(
    chains: Sequence[Chain],
    features: Features,
    column: BatchedValue,
    wanted: torch.Tensor,
    want: Type,
    limit: int,
    account: Account,
) -> list[Chain]:
    """The `limit` chains of greatest evidence for the outputs `wanted` [n, ...], best first."""
    shown = column if len(wanted) <= EXAMPLES else _first(column, EXAMPLES)
    wanted = wanted[:EXAMPLES]
    label = isinstance(want, Tensor) and want.kind == "label"
    scored = []
    for chain in chains:
        vectors = pooled(chain, features, shown)
        if not bool(vectors.isfinite().all()):
            continue
        if label and _makes_classes(chain) and not _tells(vectors, wanted, want):
            account.counts["pruned"] += 1
            account.note(f"{names(chain)} tells nothing of the labels (LEEP)")
            continue
        account.counts["ranked"] += 1
        scored.append((logme(_with_one(vectors), _targets(wanted, want)), chain))
    ranked = sorted(scored, key=lambda pair: -pair[0])
    if ranked:
        told = ", ".join(f"{names(chain)} {score:.2f}" for score, chain in ranked[:limit])
        account.note(f"LogME of frozen blocks: {told}")
    return [chain for _, chain in ranked[:limit]]


def pooled(chain: Chain, features: Features, column: BatchedValue) -> torch.Tensor:
    """[n, d]: what the chain makes of each example, summed over the items of a list."""
    if isinstance(column, Ragged):
        made: torch.Tensor = features.of(chain.entries, column.items).flatten(1)
        zeros = made.new_zeros((column.rows(), made.shape[1]))
        return zeros.index_add(0, column.owners(), made)
    whole: torch.Tensor = features.of(chain.entries, column)
    return whole.flatten(1)


def names(chain: Chain) -> str:
    """The chain's blocks in words."""
    return " then ".join(entry.name for entry in chain.entries) or "the input itself"


def _first(column: BatchedValue, count: int) -> BatchedValue:
    if isinstance(column, Ragged):
        return column.take(torch.arange(count))
    return column[:count]


def _targets(wanted: torch.Tensor, want: Type) -> torch.Tensor:
    if isinstance(want, Tensor) and want.kind == "label":
        (classes,) = want.dimensions
        assert isinstance(classes, int)
        return torch.nn.functional.one_hot(wanted, classes).double()
    return wanted.double()


def _with_one(vectors: torch.Tensor) -> torch.Tensor:
    """The vectors with a constant for the offset of the linear model."""
    return torch.cat([vectors, torch.ones_like(vectors[:, :1])], 1)


def _makes_classes(chain: Chain) -> bool:
    made = [uncurried(entry.type)[1] for entry in chain.entries]
    return any(isinstance(type_, Tensor) and type_.kind == "logits" for type_ in made)


def _tells(vectors: torch.Tensor, labels: torch.Tensor, want: Type) -> bool:
    assert isinstance(want, Tensor)
    (classes,) = want.dimensions
    assert isinstance(classes, int)
    sums = vectors.sum(1)
    if bool((vectors < 0).any()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
        return True
    return leep(vectors, labels, classes) > TELLING - entropy(labels, classes)
