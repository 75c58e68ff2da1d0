"""What is trained for a task: small fresh networks, and library blocks with a fresh or tuned part.

A contestant is one way to make the output: frozen blocks whose features are computed once, and then
a module that is trained.  Its term applies them in turn,

    (lam (argmax (part (encoder $0))))            for label[k]; without argmax for other outputs
    (lam (part (map (lam (encoder $0)) $0)))      for lists

where a part is a trained module under a provisional reference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from metaloom_metalearn.features import Features
from metaloom_metalearn.learners.learner import Learner
from metaloom_metalearn.recurrent import RecurrentNetwork
from metaloom_metalearn.search.candidate import Part
from metaloom_metalearn.search.few_shot import encoders
from metaloom_metalearn.values import BatchedValue, Ragged
from metaloom_registry import (
    INT,
    Apply,
    Arrow,
    Bound,
    Constructed,
    Entry,
    Lambda,
    Reference,
    Tensor,
    Term,
    Type,
    Use,
    apply,
    fits,
    list_of,
)

HIDDEN = 64
CHANNELS = 32

Pieces: TypeAlias = tuple[Part, ...]


@dataclass(frozen=True)
class Contestant:
    """One way to make the output of a task.

    `chain` are the frozen blocks, applied to each item where the task takes a list.  `fresh()`
    makes the module that is trained on what comes out of them, by Adam with the rate `rate`, or by
    `learner` where there is one; `pieces(module)` are its parts, the first applied first.
    """

    name: str
    chain: tuple[Entry, ...]
    fresh: Callable[[], nn.Module]
    pieces: Callable[[nn.Module], Pieces]
    rate: float = 0.0
    learner: Learner | None = None


@dataclass(frozen=True)
class Goal:
    """What a network has to give for a task: `size` numbers, of the type `made` as a block.

    For `label[k]` these are k logits, for `vec[m]` m numbers, for `int` one, which is rounded.
    """

    want: Type
    made: Type
    size: int

    @classmethod
    def of(cls, want: Type) -> Goal | None:
        """None where no network of this family makes such an output."""
        if want == INT:
            return cls(want, INT, 1)
        if isinstance(want, Tensor) and isinstance(want.dimensions[0], int):
            size = want.dimensions[0]
            if want.kind == "label":
                return cls(want, Tensor("logits", (size,)), size)
            if want.kind == "vec":
                return cls(want, want, size)
        return None


class WholeNumber(nn.Module):
    """The integer nearest to the number that a network gives: -> int64 [rows]."""

    def __init__(self, network: nn.Module, mean: float, scale: float) -> None:
        super().__init__()
        self.network = network
        self.mean = mean
        self.scale = scale

    def forward(self, x: Any) -> torch.Tensor:
        number: torch.Tensor = self.mean + self.scale * self.network(x)[:, 0]
        return number.round().long()


class OnItems(nn.Module):
    """A recurrent network on the items of lists, each flattened to a vector."""

    def __init__(self, network: RecurrentNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, lists: Ragged) -> torch.Tensor:
        items = lists.items if lists.items is None else lists.items.flatten(1)
        return self.network(Ragged(items, lists.lengths))  # type: ignore[no-any-return]


def contestants(
    given: Type,
    goal: Goal,
    entries: Sequence[Entry],
    weights: Sequence[float],
    learners: Sequence[Learner],
    features: Features,
    column: BatchedValue,
    limit: int,
) -> list[Contestant]:
    """All contestants for inputs of the type `given`: fresh ones, and on the `limit` best blocks.

    `features` and `column`, the task's inputs, tell the sizes of what blocks make.
    """
    weighted = list(zip(entries, weights, strict=True))
    found = list(_fresh_on(given, goal, (), "fresh", column))
    item = _item(given)
    chains = [c for c in encoders(weighted, item, 1) if c.entries][:limit] if item else []
    for chain in chains:
        entry = chain.entries[0]
        made = on_items(lambda x, e=chain.entries: features.of(e, x), column)  # type: ignore[misc]
        vector = Tensor("vec", (made.items if isinstance(made, Ragged) else made).shape[1:])
        inner = list_of(vector) if isinstance(given, Constructed) else vector
        found += _fresh_on(inner, goal, chain.entries, f"{entry.name} frozen,", made)
        block = features.load(entry)
        if isinstance(block, nn.Module) and item == given:
            found.append(_tuned(entry, block, vector, goal))
    for entry in entries:
        if entry.kind == "graph" and fits(entry.type, Arrow(given, goal.made)):
            block = features.load(entry)
            if isinstance(block, nn.Module):
                found += [_learned(entry, block, learner) for learner in learners]
    return found


def term_of(
    contestant: Contestant,
    parts: Sequence[Reference],
    given: Type,
    read: Entry | None,
    over: Entry | None,
) -> Term:
    """The term that applies the chain and then the parts; `read` is argmax, `over` is map."""
    value: Term = Bound(0)
    if contestant.chain and over is not None and isinstance(given, Constructed):
        inner: Term = Bound(0)
        for entry in contestant.chain:
            inner = Apply(Use(entry.reference), inner)
        value = apply(Use(over.reference), Lambda(inner), value)
    else:
        for entry in contestant.chain:
            value = Apply(Use(entry.reference), value)
    for reference in parts:
        value = Apply(Use(reference), value)
    return Lambda(value if read is None else Apply(Use(read.reference), value))


def on_items(function: Callable[[Any], Any], column: BatchedValue) -> BatchedValue:
    """The function on a column, or on the items of a column of lists."""
    if isinstance(column, Ragged):
        return Ragged(function(column.items), column.lengths)
    return function(column)


def _item(given: Type) -> Type | None:
    """The tensor type that encoders are applied to: the input itself, or the items of a list."""
    if isinstance(given, Constructed) and given.name == "list":
        given = given.arguments[0]
    return given if isinstance(given, Tensor) else None


def _fresh_on(
    given: Type, goal: Goal, chain: tuple[Entry, ...], before: str, column: BatchedValue
) -> Iterator[Contestant]:
    """The fresh networks that take values of a type; `column` holds some of them."""

    def pieces(module: nn.Module) -> Pieces:
        return (Part(module, Arrow(given, goal.made)),)

    def contestant(name: str, fresh: Callable[[], nn.Module], rate: float) -> Contestant:
        return Contestant(f"{before} {name}", chain, fresh, pieces, rate)

    items = column.items if isinstance(column, Ragged) else column
    if not isinstance(items, torch.Tensor):
        return
    numbers = math.prod(items.shape[1:])
    if isinstance(column, Ragged):
        yield contestant(
            "recurrent network",
            lambda: OnItems(RecurrentNetwork(numbers, HIDDEN, goal.size)),
            3e-3,
        )
        return
    if items.dim() == 4 and min(items.shape[2:]) >= 4:
        yield contestant("convolutions", lambda: convolutions(items.shape[1:], goal.size), 3e-3)
    if items.dim() == 2:
        yield contestant("linear layer", lambda: nn.Linear(numbers, goal.size), 1e-2)
    yield contestant(
        "two layers",
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(numbers, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, goal.size)
        ),
        3e-3,
    )


def convolutions(shape: Sequence[int], outputs: int) -> nn.Module:
    """Two 3x3 convolutions with ReLU and pooling, and a linear layer, on [rows, c, h, w]."""
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, CHANNELS, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(CHANNELS * (height // 4) * (width // 4), outputs),
    )


def _tuned(entry: Entry, block: nn.Module, vector: Tensor, goal: Goal) -> Contestant:
    """A copy of the block and a linear layer on it, trained together."""
    size = vector.dimensions[0]
    assert isinstance(size, int)

    def pieces(module: nn.Module) -> Pieces:
        encoder, head = module.children()
        return (
            Part(encoder, entry.type, (entry.digest,)),
            Part(head, Arrow(vector, goal.made)),
        )

    return Contestant(
        f"{entry.name} tuned, linear layer",
        (),
        lambda: nn.Sequential(deepcopy(block).requires_grad_(True), nn.Linear(size, goal.size)),
        pieces,
        1e-3,
    )


def _learned(entry: Entry, block: nn.Module, learner: Learner) -> Contestant:
    """The block as the learner adapts it."""
    return Contestant(
        f"{entry.name} by {type(learner).__name__}",
        (),
        lambda: block,
        lambda module: (Part(module, entry.type, (entry.digest,)),),
        learner=learner,
    )
