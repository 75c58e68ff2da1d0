"""What is trained for a task: small fresh networks, and library blocks with a fresh or tuned part.

A contestant is one way to make the output: frozen blocks whose features are computed once, and then
a module that is trained.  Its term applies them in turn,

    (lam (argmax (part (encoder $0))))            for label[k]; without argmax for other outputs
    (lam (part (map (lam (encoder $0)) $0)))      for lists

where a part is a trained module under a provisional reference.  Contestants that are programs with
new networks inside come from `fillings`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn

from metaloom_metalearn.engines.batched.features import Features
from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged
from metaloom_metalearn.learners.learner import Learner
from metaloom_metalearn.search.candidate import Part
from metaloom_metalearn.search.neural.few_shot import Chain
from metaloom_metalearn.search.neural.networks import (
    HIDDEN,
    LIST_NETWORKS,
    OnItems,
    convolutional_encoder,
    layers,
)
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

Pieces: TypeAlias = tuple[Part, ...]


@dataclass(frozen=True)
class Contestant:
    """One way to make the output of a task.

    `chain` are the frozen blocks, applied to each item where the task takes a list.  `fresh()`
    makes the module that is trained on what comes out of them, by Adam with the rate `rate`, or by
    `learner` where there is one; `pieces(module)` are its parts, the first applied first, and
    `term(parts)` is the whole program.  `certain(module)` computes what the program then gives,
    where that is not what is trained.  `cost` is the nats of choosing it, `jitter` says that the
    images it is trained on are jittered.
    """

    name: str
    chain: tuple[Entry, ...]
    fresh: Callable[[], nn.Module]
    pieces: Callable[[nn.Module], Pieces]
    term: Callable[[Sequence[Reference]], Term]
    rate: float = 0.0
    learner: Learner | None = None
    certain: Callable[[nn.Module], nn.Module] | None = None
    cost: float = 0.0
    jitter: bool = False


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


@dataclass(frozen=True)
class Whole:
    """How contestants that map a whole input to the whole output are made.

    `given` is the input's type and `column` holds the task's inputs, which tell the sizes of what
    blocks make; `read` is argmax and `over` is map, where the terms need them.
    """

    given: Type
    goal: Goal
    column: BatchedValue
    features: Features
    read: Entry | None
    over: Entry | None

    def contestants(
        self, chains: Sequence[Chain], entries: Sequence[Entry], learners: Sequence[Learner]
    ) -> Iterator[Contestant]:
        """The fresh networks, those on each chain, and the blocks that fit as learners adapt them.

        The chains are library blocks that make vectors, the most promising first.
        """
        yield from self._on(self.given, (), "fresh", self.column)
        for chain in chains:
            made = on_items(lambda x, c=chain: self.features.of(c.entries, x), self.column)  # type: ignore[misc]
            vector = Tensor("vec", (made.items if isinstance(made, Ragged) else made).shape[1:])
            inner = list_of(vector) if isinstance(self.given, Constructed) else vector
            names = " then ".join(entry.name for entry in chain.entries)
            yield from self._on(inner, chain.entries, f"{names} frozen,", made)
            blocks = [self.features.load(entry) for entry in chain.entries]
            if isinstance(self.given, Tensor) and all(isinstance(b, nn.Module) for b in blocks):
                yield self._tuned(chain.entries, blocks, vector)
        for entry in entries:
            if entry.kind == "graph" and fits(entry.type, Arrow(self.given, self.goal.made)):
                block = self.features.load(entry)
                if isinstance(block, nn.Module):
                    yield from (self._learned(entry, block, learner) for learner in learners)

    def _on(
        self, given: Type, chain: tuple[Entry, ...], before: str, column: BatchedValue
    ) -> Iterator[Contestant]:
        """The fresh networks that take values of a type; `column` holds some of them."""
        goal, size = self.goal, self.goal.size

        def contestant(
            name: str, fresh: Callable[[], nn.Module], rate: float, jitter: bool = False
        ) -> Contestant:
            return Contestant(
                f"{before} {name}", chain, fresh,
                lambda module: (Part(module, Arrow(given, goal.made)),),
                lambda parts: self._term(chain, parts), rate, jitter=jitter,
            )  # fmt: skip

        items = column.items if isinstance(column, Ragged) else column
        if not isinstance(items, torch.Tensor):
            return
        numbers = math.prod(items.shape[1:])
        if isinstance(column, Ragged):
            for name, network in LIST_NETWORKS.items():
                yield contestant(
                    name, lambda n=network: OnItems(n(numbers, HIDDEN, size)), 3e-3  # type: ignore[misc]
                )  # fmt: skip
            return
        if items.dim() == 4 and min(items.shape[2:]) >= 4:
            yield self._convolutions(given, items.shape[1:])
        if items.dim() == 2:
            yield contestant("linear layer", lambda: nn.Linear(numbers, size), 1e-2)
        yield contestant("two layers", lambda: layers(numbers, size), 3e-3)

    def _convolutions(self, given: Type, shape: Sequence[int]) -> Contestant:
        """A convolutional encoder and a linear layer, two parts."""
        vector = Tensor("vec", (HIDDEN,))

        def pieces(module: nn.Module) -> Pieces:
            encoder, head = module.children()
            return Part(encoder, Arrow(given, vector)), Part(head, Arrow(vector, self.goal.made))

        return Contestant(
            "fresh convolutions", (),
            lambda: nn.Sequential(
                convolutional_encoder(shape), nn.Linear(HIDDEN, self.goal.size)
            ),
            pieces, lambda parts: self._term((), parts), 3e-3, jitter=True,
        )  # fmt: skip

    def _tuned(self, chain: tuple[Entry, ...], blocks: Sequence[Any], vector: Tensor) -> Contestant:
        """Copies of the blocks and a linear layer on them, trained together."""
        size = vector.dimensions[0]
        assert isinstance(size, int)

        def pieces(module: nn.Module) -> Pieces:
            *copies, head = module.children()
            tuned = (
                Part(copy, entry.type, (entry.digest,))
                for copy, entry in zip(copies, chain, strict=True)
            )
            return (*tuned, Part(head, Arrow(vector, self.goal.made)))

        return Contestant(
            f"{' then '.join(entry.name for entry in chain)} tuned, linear layer", (),
            lambda: nn.Sequential(
                *(deepcopy(block).requires_grad_(True) for block in blocks),
                nn.Linear(size, self.goal.size),
            ),
            pieces, lambda parts: self._term((), parts), 1e-3, jitter=True,
        )  # fmt: skip

    def _learned(self, entry: Entry, block: nn.Module, learner: Learner) -> Contestant:
        """The block as the learner adapts it."""
        return Contestant(
            f"{entry.name} by {type(learner).__name__}", (),
            lambda: block,
            lambda module: (Part(module, entry.type, (entry.digest,)),),
            lambda parts: self._term((), parts), learner=learner,
        )  # fmt: skip

    def _term(self, chain: tuple[Entry, ...], parts: Sequence[Reference]) -> Term:
        """The term that applies the chain and then the parts."""
        value: Term = Bound(0)
        if chain and self.over is not None and isinstance(self.given, Constructed):
            inner: Term = Bound(0)
            for entry in chain:
                inner = Apply(Use(entry.reference), inner)
            value = apply(Use(self.over.reference), Lambda(inner), value)
        else:
            for entry in chain:
                value = Apply(Use(entry.reference), value)
        for reference in parts:
            value = Apply(Use(reference), value)
        return Lambda(value if self.read is None else Apply(Use(self.read.reference), value))


def on_items(function: Callable[[Any], Any], column: BatchedValue) -> BatchedValue:
    """The function on a column, or on the items of a column of lists."""
    if isinstance(column, Ragged):
        return Ragged(function(column.items), column.lengths)
    return function(column)
