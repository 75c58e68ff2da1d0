"""Simulated annealing over programs: one part is changed, and kept by chance where it is worse.

Metropolis' rule (Kirkpatrick, Gelatt and Vecchi 1983) over typed programs with cost and correctness
in one energy, as in Schkufza, Sharma and Aiken 2013, "Stochastic superoptimization", section 4: a
change that raises the energy by d nats is kept with probability exp(-d / temperature).  The energy
is the description length with credit for outputs that come near (`Scored.graded`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from metaloom_metalearn.search.candidate import Candidate, Scored
from metaloom_metalearn.search.enumeration.node import Node, term_of
from metaloom_metalearn.search.strategies.space import Space
from metaloom_metalearn.search.strategies.strategy import Strategy
from metaloom_registry import ParseError, Term

ATTEMPTS = 30
"""So many changes in turn that lead to known programs, before a chain waits."""

IDLE = 20
"""So many times no chain has anything new before the search ends."""

FIRST = 30.0
"""The most nats of the program that a chain begins with."""


def anneal(chains: int = 16, steps: int = 2000, hot: float = 30.0, cold: float = 0.5) -> Strategy:
    """The arm: `chains` side by side, which cool down from `hot` to `cold` nats in `steps` changes.

    A chain that is cold begins anew.  Raises ParseError on settings that cool nothing.
    """
    if chains < 1 or steps < 1 or not 0 < cold <= hot:
        raise ParseError(
            f"{chains} chains of {steps} steps from {hot} to {cold} nats; give one chain and one "
            "step or more, and temperatures above 0, the second no higher than the first"
        )
    return Strategy("anneal", lambda space: Annealing(space, chains, steps, hot, cold))


@dataclass
class _Chain:
    """Where a chain is, with its energy; what it proposed and was not told of yet."""

    node: Node | None = None
    energy: float = math.inf
    step: int = 0
    waiting: Node | None = None


class Annealing:
    """Chains over the programs of a space; a `Search`."""

    def __init__(self, space: Space, chains: int, steps: int, hot: float, cold: float) -> None:
        self.space, self.steps = space, steps
        self.hot, self.cold = hot, cold
        self.chains = [_Chain() for _ in range(chains)]
        self.energies: dict[Term, float] = {}
        self.waiting: dict[Term, _Chain] = {}
        self.turn = 0

    def ask(self, n: int) -> Sequence[Candidate]:
        """A change of each chain that was told of its last one, to a program not seen before."""
        found: list[Candidate] = []
        if self.space.expired():
            return found
        for _ in range(IDLE):
            for _ in self.chains:
                if len(found) == n:
                    return found
                self.turn = (self.turn + 1) % len(self.chains)
                candidate = self._moved(self.chains[self.turn])
                if candidate is not None:
                    found.append(candidate)
            if found:
                return found
            for chain in self.chains:
                if chain.waiting is None:
                    chain.step = self.steps
        return found

    def tell(self, scored: Sequence[Scored]) -> None:
        for one in scored:
            term = one.candidate.term
            self.energies[term] = one.graded
            chain = self.waiting.pop(term, None)
            if chain is not None and chain.waiting is not None:
                self._decide(chain, chain.waiting, one.graded)
                chain.waiting = None

    def _moved(self, chain: _Chain) -> Candidate | None:
        """A chain's next program to be scored; changes to known ones are decided on the way."""
        if chain.waiting is not None:
            return None
        for _ in range(ATTEMPTS):
            if chain.step >= self.steps:
                chain.node, chain.energy, chain.step = None, math.inf, 0
            node = self.space.drawn(FIRST) if chain.node is None else self.space.changed(chain.node)
            if node is None:
                continue
            candidate = self.space.propose(node)
            if candidate is not None:
                chain.waiting = node
                self.waiting[candidate.term] = chain
                return candidate
            energy = self.energies.get(term_of(node, len(self.space.given)))
            if energy is not None:
                self._decide(chain, node, energy)
        return None

    def _decide(self, chain: _Chain, node: Node, energy: float) -> None:
        """Metropolis' rule at the temperature of the chain's step."""
        heat = self.hot * (self.cold / self.hot) ** (chain.step / self.steps)
        chain.step += 1
        worse = energy - chain.energy
        if worse <= 0 or self.space.random.random() < math.exp(-worse / heat):
            chain.node, chain.energy = node, energy
