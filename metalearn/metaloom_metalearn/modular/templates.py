"""Templates: the ways in which a structure joins modules into a function.

sum      y = f_1(x) + ... + f_m(x)
compose  y = f_m(... f_1(x))
gate     y = s(g(x)) f_1(x) + (1 - s(g(x))) f_2(x), s the logistic function

Alet, Lozano-Perez and Kaelbling 2018, "Modular meta-learning", section 3.  A structure says which
module stands at each slot: int64 [slots].  Where modules may change places (the sum), structures
are sorted.  `errors` scores every structure on every task from the outputs of the modules, which
are computed once: for the sum by one batched product of those outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from metaloom_metalearn.modular.networks import Module
from metaloom_registry import Apply, Bound, Lambda, ParseError, Reference, Term, Use

Every: TypeAlias = Callable[[Tensor], Tensor]
"""All modules on the same inputs: x [..., i] -> [count, ..., o]."""

ADD = Reference.parse("vectors/plus@1")
GATE = Reference.parse("vectors/gate@1")


class Template(Protocol):
    """A way to join `slots` modules."""

    @property
    def slots(self) -> int: ...

    def structures(self, count: int) -> Tensor:
        """Every structure over `count` modules, int64 [structures, slots]."""
        ...

    def number(self, count: int) -> int:
        """How many structures there are, without listing them."""
        ...

    def join(self, x: Tensor, modules: Sequence[Module]) -> Tensor:
        """The outputs for x [tasks, n, i], with the module of each slot."""
        ...

    def errors(self, every: Every, x: Tensor, y: Tensor) -> Tensor:
        """The mean squared error of all structures: x [tasks, n, i] -> [tasks, structures]."""
        ...

    def term(self, references: Sequence[Reference]) -> Term:
        """The structure as a term, with a reference for each slot."""
        ...


@dataclass(frozen=True)
class Sum:
    """f_1(x) + ... + f_m(x): the order of the modules does not matter."""

    slots: int = 2

    def __post_init__(self) -> None:
        _require_slots(self.slots, 1)

    def structures(self, count: int) -> Tensor:
        return torch.combinations(torch.arange(count), self.slots, with_replacement=True)

    def number(self, count: int) -> int:
        return math.comb(count + self.slots - 1, self.slots)

    def join(self, x: Tensor, modules: Sequence[Module]) -> Tensor:
        total = modules[0](x)
        for module in modules[1:]:
            total = total + module(x)
        return total

    def errors(self, every: Every, x: Tensor, y: Tensor) -> Tensor:
        """|sum_k f_k - y|^2 from the products <f_k, f_l>, <f_k, y> and <y, y> of each task."""
        outputs = every(x).flatten(2).transpose(0, 1)
        wanted = y.flatten(1)
        cross = torch.einsum("tkn,tn->tk", outputs, wanted)
        products = outputs @ outputs.transpose(1, 2)
        total = _pair_sums(products, cross, self.structures(outputs.shape[1]))
        total = total + wanted.square().sum(1, keepdim=True)
        return total.clamp(min=0) / wanted.shape[1]

    def term(self, references: Sequence[Reference]) -> Term:
        body = _on_input(references[0])
        for reference in references[1:]:
            body = Apply(Apply(Use(ADD), body), _on_input(reference))
        return Lambda(body)


def _pair_sums(products: Tensor, cross: Tensor, structures: Tensor) -> Tensor:
    """|sum_k f_k|^2 - 2 <sum_k f_k, y> of every structure: [tasks, structures]."""
    single = products.diagonal(dim1=1, dim2=2) - 2 * cross
    total = single[:, structures].sum(2)
    for a in range(structures.shape[1]):
        for b in range(a):
            total = total + 2 * products[:, structures[:, a], structures[:, b]]
    return total


@dataclass(frozen=True)
class Compose:
    """f_m(... f_1(x)): the modules take what they give."""

    slots: int = 2

    def __post_init__(self) -> None:
        _require_slots(self.slots, 1)

    def structures(self, count: int) -> Tensor:
        return _product(count, self.slots)

    def number(self, count: int) -> int:
        return int(count**self.slots)

    def join(self, x: Tensor, modules: Sequence[Module]) -> Tensor:
        for module in modules:
            x = module(x)
        return x

    def errors(self, every: Every, x: Tensor, y: Tensor) -> Tensor:
        """Each prefix is computed once and every module applied to all of them."""
        held = x[None]
        for _ in range(self.slots):
            held = every(held).transpose(0, 1).flatten(0, 1)
        return (held - y).square().flatten(2).mean(2).T

    def term(self, references: Sequence[Reference]) -> Term:
        body: Term = Bound(0)
        for reference in references:
            body = Apply(Use(reference), body)
        return Lambda(body)


@dataclass(frozen=True)
class Gate:
    """s(g(x)) f_1(x) + (1 - s(g(x))) f_2(x): slots are g, f_1, f_2."""

    slots: int = 3

    def __post_init__(self) -> None:
        if self.slots != 3:
            raise ParseError(f"a gate has 3 slots, not {self.slots}")

    def structures(self, count: int) -> Tensor:
        return _product(count, 3)

    def number(self, count: int) -> int:
        return count**3

    def join(self, x: Tensor, modules: Sequence[Module]) -> Tensor:
        gate, first, second = (module(x) for module in modules)
        return torch.lerp(second, first, gate.sigmoid())

    def errors(self, every: Every, x: Tensor, y: Tensor) -> Tensor:
        """For each gate, the residual is the sum of two parts, a (f_1 - y) + (1 - a) (f_2 - y)."""
        outputs = every(x)
        away = (outputs - y).flatten(2).transpose(0, 1)
        found = []
        for gate in outputs.sigmoid():
            share = gate.flatten(1)[:, None]
            first, second = share * away, (1 - share) * away
            own = first.square().sum(2)[:, :, None] + second.square().sum(2)[:, None, :]
            found.append(own + 2 * first @ second.transpose(1, 2))
        total = torch.stack(found, 1).flatten(1)
        return total.clamp(min=0) / away.shape[2]

    def term(self, references: Sequence[Reference]) -> Term:
        body: Term = Use(GATE)
        for reference in references:
            body = Apply(body, _on_input(reference))
        return Lambda(body)


def _on_input(reference: Reference) -> Term:
    return Apply(Use(reference), Bound(0))


def _product(count: int, slots: int) -> Tensor:
    places = torch.arange(count)
    return torch.cartesian_prod(*[places] * slots).reshape(-1, slots)


def _require_slots(slots: int, least: int) -> None:
    if slots < least:
        raise ParseError(f"a template of {slots} slots joins nothing; give {least} or more")
