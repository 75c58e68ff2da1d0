"""A library that grows along a sequence of tasks: what solved one is a block for the next."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import Solution
from metaloom_registry import Digest, Entry, MemoryLibrary, Reference, print_term


@dataclass
class GrowingLibrary:
    """The primitives, and what was published so far, in memory."""

    held: MemoryLibrary = field(default_factory=lambda: MemoryLibrary.of((*HEADS, *LISTS)))

    def publish(self, solution: Solution, name: str) -> Reference:
        """Add the parts of a solution as `name.0`, `name.1`..., and its program as `name`."""
        for place, (reference, part) in enumerate(solution.parts.items()):
            digest = reference.selector
            assert isinstance(digest, Digest)
            entry = Entry(reference, digest, "graph", part.type, f"{name}.{place}")
            self.held.add(entry, part.module)
        digest = Digest.of(print_term(solution.term).encode())
        reference = Reference(None, digest)
        entry = Entry(reference, digest, "program", solution.type, name)
        self.held.add(entry, solution.term)
        return reference

    def module(self, name: str) -> nn.Module:
        """What the parts of this name make of an image, one after the other."""
        parts = [
            loaded
            for entry, loaded in self.held.blocks.values()
            if entry.kind == "graph" and entry.name.rpartition(".")[0] == name
        ]
        return nn.Sequential(*(part for part in parts if isinstance(part, nn.Module)))
