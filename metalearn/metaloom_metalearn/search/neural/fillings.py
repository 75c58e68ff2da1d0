"""Fillings: the ways in which the new networks of a sketch can be made, each a contestant.

A network from an image to the logits of k classes is one of

- fresh convolutions and a linear layer;
- a chain of library blocks that makes vectors, frozen, and a linear layer or two on it;
- copies of such blocks and a linear layer, tuned together;
- copies of blocks that make logits of k classes already, tuned.

It is trained end to end through the soft form of the sketch, by the likelihood of the outputs that
the sketch makes of its classes; what is judged is the certain form.  Where frozen blocks read every
tensor, their features are computed once, and the sketch is trained on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import nn

from metaloom_metalearn.engines.batched.compile import TermModule, compile_term
from metaloom_metalearn.engines.batched.mode import Hard, Mode, Soft
from metaloom_metalearn.search.candidate import Part
from metaloom_metalearn.search.neural.contestants import Contestant, Pieces
from metaloom_metalearn.search.neural.few_shot import Chain
from metaloom_metalearn.search.neural.networks import HIDDEN, Frozen, convolutional_encoder, layers
from metaloom_metalearn.search.neural.sketches import Network, Sketch
from metaloom_metalearn.search.resolver import Resolver
from metaloom_registry import (
    Apply,
    Arrow,
    Entry,
    Lambda,
    Let,
    Loaded,
    Reference,
    Tensor,
    Term,
    Type,
    Use,
    references,
)


@dataclass(frozen=True)
class Filling:
    """One way to make a network: what is frozen before it, and the stages that are trained.

    `stages()` makes them, the first applied first; `parents` has the block that each is a copy of.
    """

    name: str
    chain: tuple[Entry, ...]
    stages: Callable[[], Sequence[nn.Module]]
    types: tuple[Type, ...]
    parents: tuple[Entry | None, ...]
    rate: float
    cost: float

    @property
    def jitter(self) -> bool:
        return not self.chain


@dataclass
class Fillings:
    """Makes contestants out of sketches.

    `resolve` loads the library's blocks, `vectors` are its chains from the networks' input to
    vectors, the most promising first.
    """

    resolve: Resolver
    vectors: Sequence[Chain]
    shape: Sequence[int]
    _frozen: dict[Reference, Loaded] = field(default_factory=dict)

    def of(self, sketch: Sketch, entries: Sequence[Entry]) -> Iterator[Contestant]:
        """The contestants of a sketch with new networks, all of them made in the same way."""
        ways = [list(self.fillings(network, entries)) for network in sketch.networks]
        for filling in zip(*ways, strict=False):
            if filling[0].chain and not _reads_through(sketch):
                continue
            yield self.contestant(sketch, filling)

    def fillings(self, network: Network, entries: Sequence[Entry]) -> Iterator[Filling]:
        """The ways to make one network, the most promising first where scores tell."""
        given, made = network.given, network.made
        classes = made.dimensions[0]
        assert isinstance(classes, int)
        for blocks in self._makers(network, entries):
            name = " then ".join(entry.name for entry in blocks)
            yield Filling(
                f"{name} tuned", (), lambda b=blocks: self._copies(b),  # type: ignore[misc]
                tuple(entry.type for entry in blocks), blocks, 5e-4, 0.5,
            )  # fmt: skip
        for place, chain in enumerate(self.vectors):
            name = " then ".join(entry.name for entry in chain.entries)
            size = _size(chain.type)
            ends = Arrow(chain.type, made)
            cost = 1.0 + 0.5 * place
            yield Filling(
                f"{name} frozen, linear layer", chain.entries,
                lambda s=size: [nn.Linear(s, classes)], (ends,), (None,), 1e-2, cost,  # type: ignore[misc]
            )  # fmt: skip
            yield Filling(
                f"{name} frozen, two layers", chain.entries,
                lambda s=size: [layers(s, classes)], (ends,), (None,), 3e-3, cost + 0.1,  # type: ignore[misc]
            )  # fmt: skip
            if all(entry.kind == "graph" for entry in chain.entries):
                yield Filling(
                    f"{name} tuned, linear layer", (),
                    lambda b=chain.entries, s=size: [*self._copies(b), nn.Linear(s, classes)],  # type: ignore[misc]
                    (*(entry.type for entry in chain.entries), ends), (*chain.entries, None),
                    1e-3, cost + 0.2,
                )  # fmt: skip
        vector = Tensor("vec", (HIDDEN,))
        if len(self.shape) == 3:
            yield Filling(
                "fresh convolutions", (),
                lambda: [convolutional_encoder(self.shape), nn.Linear(HIDDEN, classes)],
                (Arrow(given, vector), Arrow(vector, made)), (None, None), 3e-3, 1.5,
            )  # fmt: skip
        elif len(self.shape) == 1:
            yield Filling(
                "fresh layers", (), lambda: [layers(self.shape[0], classes)],
                (Arrow(given, made),), (None,), 3e-3, 1.5,
            )  # fmt: skip

    def _makers(self, network: Network, entries: Sequence[Entry]) -> Iterator[tuple[Entry, ...]]:
        """Trained blocks, one or two in turn, that make just what the network is to make."""
        graphs = [e for e in entries if e.kind == "graph" and isinstance(e.type, Arrow)]
        for one in graphs:
            if one.type == network.type:
                yield (one,)
        for one in graphs:
            for two in graphs:
                assert isinstance(one.type, Arrow)
                assert isinstance(two.type, Arrow)
                first, second = one.type, two.type
                if (first.argument, second.result) == (network.given, network.made) and (
                    first.result == second.argument and _belong(one, two)
                ):
                    yield one, two

    def _copies(self, blocks: Sequence[Entry]) -> list[nn.Module]:
        found = [self.resolve(entry.reference) for entry in blocks]
        return [deepcopy(b).requires_grad_(True) for b in found if isinstance(b, nn.Module)]

    def contestant(self, sketch: Sketch, filling: Sequence[Filling]) -> Contestant:
        """The sketch with its networks made in these ways, one for each."""
        ways = dict(zip(sketch.networks, filling, strict=True))
        first = filling[0]

        def fresh() -> nn.Module:
            made = {n.reference: nn.Sequential(*way.stages()) for n, way in ways.items()}
            return self.compiled(sketch.term, made, Soft(), ways)

        def certain(module: nn.Module) -> nn.Module:
            assert isinstance(module, TermModule)
            made = {n.reference: module.parts()[n.reference] for n in ways}
            return self.compiled(sketch.term, made, Hard(), ways)

        def pieces(module: nn.Module) -> Pieces:
            assert isinstance(module, TermModule)
            return tuple(
                Part(stage, type_, () if parent is None else (parent.digest,))
                for network, way in ways.items()
                for stage, type_, parent in zip(
                    module.parts()[network.reference].children(), way.types, way.parents,
                    strict=True,
                )
            )  # fmt: skip

        def term(parts: Sequence[Reference]) -> Term:
            left, whole = list(parts), sketch.term
            for network, way in ways.items():
                mine = [left.pop(0) for _ in way.types]
                before = [entry.reference for entry in way.chain]
                whole = inlined(whole, network.reference, (*before, *mine))
            return whole

        return Contestant(
            f"program with {first.name}", first.chain, fresh, pieces, term, first.rate,
            certain=certain, cost=sketch.cost + sum(way.cost for way in filling),
            jitter=first.jitter,
        )  # fmt: skip

    def compiled(
        self,
        term: Term,
        made: Mapping[Reference, nn.Module],
        mode: Mode,
        ways: Mapping[Network, Filling] | None = None,
    ) -> TermModule:
        """The sketch as a module in which its networks are these; library blocks are frozen."""
        types = {n.reference: n.type for n in ways or {}}

        def type_of(reference: Reference) -> Type:
            return types[reference] if reference in types else self.resolve.type_of(reference)

        def resolve(reference: Reference) -> Loaded:
            return made[reference] if reference in made else self._library(reference)

        return compile_term(term, type_of, resolve, mode)

    def _library(self, reference: Reference) -> Loaded:
        if reference not in self._frozen:
            block = self.resolve(reference)
            self._frozen[reference] = Frozen(block) if isinstance(block, nn.Module) else block
        return self._frozen[reference]


def inlined(term: Term, reference: Reference, chain: Sequence[Reference]) -> Term:
    """The term with every call of a function replaced by calls of a chain, the first one first."""
    if isinstance(term, Apply):
        argument = inlined(term.argument, reference, chain)
        if term.function == Use(reference):
            for one in chain:
                argument = Apply(Use(one), argument)
            return argument
        return Apply(inlined(term.function, reference, chain), argument)
    if isinstance(term, Lambda):
        return Lambda(inlined(term.body, reference, chain))
    if isinstance(term, Let):
        value = inlined(term.value, reference, chain)
        return Let(value, inlined(term.body, reference, chain))
    return term


def _reads_through(sketch: Sketch) -> bool:
    """Whether tensors are read by the sketch's networks alone, and by one kind of them."""
    own = {network.reference for network in sketch.networks}
    others = [r for r in references(sketch.term) if r not in own and r.name is None]
    return not others and len({network.given for network in sketch.networks}) == 1


def _belong(one: Entry, two: Entry) -> bool:
    """Whether two blocks come from one solution, as the name before the last dot says."""
    return one.name.rpartition(".")[0] == two.name.rpartition(".")[0]


def _size(vector: Type) -> int:
    assert isinstance(vector, Tensor)
    size = vector.dimensions[0]
    assert isinstance(size, int)
    return size


def shape_of(items: torch.Tensor) -> Sequence[int]:
    """The shape of one item of a column [n, ...]."""
    return items.shape[1:]
