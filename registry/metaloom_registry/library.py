"""The library: what a search sees of the registry.

`metaloom_metalearn` knows nothing else of where blocks come from: the hub implements `Library` over
its catalogue, and `MemoryLibrary` holds a few in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.names import Reference
from metaloom_registry.primitives import Primitive
from metaloom_registry.terms import Term
from metaloom_registry.types import Type, uncurried
from metaloom_registry.unification import fits

if TYPE_CHECKING:
    from torch import nn

Loaded: TypeAlias = "nn.Module | Term | Primitive"
"""What a block is once loaded, by its kind: graph, program, primitive."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One block as a search sees it: what it is called, its kind and its type.

    `reference` is how a term names it: a primitive's `namespace/name@version`, any other block's
    `@sha256:...`.  `digest` is the digest of the manifest.  `seen` holds the digests of the classes
    it was trained on, `facts` what was measured of it, `uses` how often solutions used it, `tags`
    those of a primitive.
    """

    reference: Reference
    digest: Digest
    kind: str
    type: Type
    name: str
    seen: frozenset[Digest] = frozenset()
    facts: Mapping[str, object] = field(default_factory=dict)
    uses: int = 0
    tags: tuple[str, ...] = ()


class Library(Protocol):
    """Where a search finds blocks."""

    def candidates(self, want: Type, given: tuple[Type, ...], limit: int) -> Sequence[Entry]:
        """Blocks that may help to make a `want` out of `given`, the most promising first."""
        ...

    def load(self, digest: Digest) -> Loaded:
        """The block itself, its bytes verified. Raises NotFound, Corrupt or Refused."""
        ...


@dataclass
class MemoryLibrary:
    """A library of a few blocks held in memory."""

    blocks: dict[Digest, tuple[Entry, Loaded]] = field(default_factory=dict)

    @classmethod
    def of(cls, primitives: Iterable[Primitive]) -> MemoryLibrary:
        """A library of primitives alone."""
        library = cls()
        for primitive in primitives:
            library.add(primitive_entry(primitive), primitive)
        return library

    def add(self, entry: Entry, loaded: Loaded) -> None:
        self.blocks[entry.digest] = (entry, loaded)

    def candidates(self, want: Type, given: tuple[Type, ...], limit: int) -> Sequence[Entry]:
        entries = [entry for entry, _ in self.blocks.values()]
        return sorted(entries, key=lambda e: not fits(uncurried(e.type)[1], want))[:limit]

    def load(self, digest: Digest) -> Loaded:
        try:
            return self.blocks[digest][1]
        except KeyError:
            raise NotFound(f"the library holds no block {digest}") from None


def primitive_entry(primitive: Primitive) -> Entry:
    """A primitive as an entry; its digest is that of its reference and type."""
    return Entry(
        reference=primitive.reference,
        digest=Digest.of(f"primitive {primitive.reference} : {primitive.signature}".encode()),
        kind="primitive",
        type=primitive.signature,
        name=primitive.name,
        tags=primitive.tags,
    )
