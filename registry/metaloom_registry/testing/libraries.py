"""What every `Library` has to do, as tests.

class TestMine(LibrarySuite):
    @pytest.fixture
    def library(self): return ...     # a library of a few blocks, of several types
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from metaloom_registry.digest import Digest
from metaloom_registry.errors import NotFound
from metaloom_registry.library import Entry, Library
from metaloom_registry.primitives import Primitive
from metaloom_registry.terms import Apply, Bound, Hole, Lambda, Let, Literal, Use
from metaloom_registry.types import Type, parse_type, uncurried
from metaloom_registry.unification import fits

ALL = 10_000
TERMS = (Apply, Bound, Hole, Lambda, Let, Literal, Use)


class LibrarySuite:
    """Subclass it, with a fixture `library` that gives a library of at least two blocks."""

    want: Type = parse_type("int")
    given: tuple[Type, ...] = (parse_type("list[int]"),)

    @pytest.fixture
    def library(self) -> Library:
        raise NotImplementedError("give a fixture `library` that returns a library of blocks")

    @pytest.fixture
    def entries(self, library: Library) -> Sequence[Entry]:
        return library.candidates(self.want, self.given, ALL)

    def test_it_has_at_least_two_blocks_each_once(self, entries: Sequence[Entry]) -> None:
        digests = [entry.digest for entry in entries]
        assert len(digests) >= 2
        assert len(set(digests)) == len(digests)

    def test_a_limit_keeps_the_most_promising(
        self, library: Library, entries: Sequence[Entry]
    ) -> None:
        assert list(library.candidates(self.want, self.given, 1)) == list(entries[:1])
        assert len(library.candidates(self.want, self.given, 2)) == 2

    def test_asking_twice_gives_the_same_in_the_same_order(
        self, library: Library, entries: Sequence[Entry]
    ) -> None:
        assert list(library.candidates(self.want, self.given, ALL)) == list(entries)

    def test_what_gives_the_wanted_type_comes_first(self, entries: Sequence[Entry]) -> None:
        giving = [fits(uncurried(entry.type)[1], self.want) for entry in entries]
        assert giving == sorted(giving, reverse=True)

    def test_every_block_loads_as_what_its_kind_says(
        self, library: Library, entries: Sequence[Entry]
    ) -> None:
        for entry in entries:
            loaded = library.load(entry.digest)
            if entry.kind == "primitive":
                assert isinstance(loaded, Primitive)
                assert loaded.reference == entry.reference
            elif entry.kind == "program":
                assert isinstance(loaded, TERMS)
            else:
                assert entry.kind == "graph"
                assert callable(loaded)

    def test_terms_name_primitives_by_version_and_other_blocks_by_digest(
        self, entries: Sequence[Entry]
    ) -> None:
        for entry in entries:
            if entry.kind == "primitive":
                assert entry.reference.name is not None
                assert isinstance(entry.reference.selector, int)
            else:
                assert entry.reference.name is None
                assert entry.reference.selector == entry.digest

    def test_an_unknown_digest_is_not_found(self, library: Library) -> None:
        with pytest.raises(NotFound):
            library.load(Digest.of(b"no such block"))
