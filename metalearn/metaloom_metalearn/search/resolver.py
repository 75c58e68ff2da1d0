"""What references mean to a term of a task: blocks of the library, and the parts made for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from metaloom_metalearn.search.candidate import Part
from metaloom_registry import Digest, Entry, Library, Loaded, NotFound, Reference, Type
from metaloom_registry.types import INT

ALL = 10_000


class Resolver:
    """Loads blocks by reference, each once; `resolver(reference)` is the block.

    `entries` are blocks already found; a primitive that is not among them is looked for in the
    library.
    """

    def __init__(
        self,
        library: Library,
        entries: Sequence[Entry] = (),
        parts: Mapping[Reference, Part] | None = None,
    ) -> None:
        self.library = library
        self.parts = parts or {}
        self._entries = {entry.reference: entry for entry in entries}
        self._digests = {entry.digest: entry for entry in entries}
        self._loaded: dict[Reference, Loaded] = {
            reference: part.module for reference, part in self.parts.items()
        }
        self._complete = False

    def __call__(self, reference: Reference) -> Loaded:
        """The block. Raises NotFound, and what loading it raises."""
        if reference not in self._loaded:
            self._loaded[reference] = self.library.load(self._digest(reference))
        return self._loaded[reference]

    def type_of(self, reference: Reference) -> Type:
        """The type of the block. Raises NotFound."""
        if reference in self.parts:
            return self.parts[reference].type
        return self.entry(reference).type

    def entry(self, reference: Reference) -> Entry:
        """The library's entry of the block. Raises NotFound."""
        found = self._find(reference)
        if found is None and not self._complete:
            for entry in self.library.candidates(INT, (), ALL):
                self._entries.setdefault(entry.reference, entry)
                self._digests.setdefault(entry.digest, entry)
            self._complete = True
            found = self._find(reference)
        if found is None:
            raise NotFound(f"the library holds no block {reference}; publish or install it first")
        return found

    def _find(self, reference: Reference) -> Entry | None:
        if isinstance(reference.selector, Digest) and reference.selector in self._digests:
            return self._digests[reference.selector]
        return self._entries.get(reference)

    def _digest(self, reference: Reference) -> Digest:
        if isinstance(reference.selector, Digest):
            return reference.selector
        return self.entry(reference).digest
