"""The library over a registry: what a search is given, in which order, and what it loads."""

import pytest

from metaloom_registry import (
    CatalogueLibrary,
    Digest,
    Lambda,
    Manifest,
    MemoryLibrary,
    NotFound,
    Parent,
    Primitive,
    PrimitiveTable,
    Reference,
    Refused,
    TypeMismatch,
    dump_canonical,
    parse_term,
    parse_type,
    primitive_entry,
    references,
    term_to_json,
)
from metaloom_registry.catalogue.publish.kinds import validate_block
from metaloom_registry.testing import LibrarySuite


def primitive(name: str, type_: str) -> Primitive:
    parameters = tuple("xyz"[: type_.count("->")])
    return Primitive(f"lists/{name}", 1, type_, "", parameters, scalar=lambda *_: None)


TABLE = PrimitiveTable(
    [
        primitive("total", "list[int] -> int"),
        primitive("reverse", "list[a] -> list[a]"),
        primitive("word", "text -> text"),
        primitive("pick", "bool -> a -> a -> a"),
    ]
)
CLASS, OTHER = Digest.of(b"the digit 3"), Digest.of(b"the digit 4")


def program(text: str, signature: str, **fields) -> tuple[Manifest, dict[str, bytes]]:
    """A program block written in s-expressions."""
    term = parse_term(text, TABLE.short_names)
    files = {"term.json": dump_canonical(term_to_json(term))}
    used = [r for r in references(term) if r.name is None]
    parents = tuple(Parent(r.selector) for r in used if isinstance(r.selector, Digest))
    requires = tuple(r for r in references(term) if r.name is not None)
    fields = {"parents": parents, "requires": requires, **fields}
    manifest = Manifest.of("program", parse_type(signature), files, **fields)
    return manifest, files


@pytest.fixture
def checked(new_registry):
    """A registry that validates."""
    return new_registry()


@pytest.fixture
def library(checked):
    for name, text, signature in (
        ("me/last", "(lam (total (reverse $0)))", "list[int] -> int"),
        ("me/twice", "(lam (reverse (reverse $0)))", "list[a] -> list[a]"),
        ("me/word", "(lam (word $0))", "text -> text"),
    ):
        checked.publish(name, *program(text, signature))
    return CatalogueLibrary(checked, TABLE)


class TestCatalogueLibrary(LibrarySuite):
    @pytest.fixture
    def library(self, library):
        return library


class TestMemoryLibrary(LibrarySuite):
    @pytest.fixture
    def library(self):
        return MemoryLibrary.of(TABLE)


WANT, GIVEN = parse_type("int"), (parse_type("list[int]"),)


def names(library, want=WANT, given=GIVEN, limit=100) -> list[str]:
    return [entry.name for entry in library.candidates(want, given, limit)]


def test_what_fits_the_result_then_the_arguments_then_the_rest_is_given(library):
    found = names(library)
    assert set(found[:2]) == {"lists/total", "me/last"}
    assert found[2] == "lists/pick"
    assert set(found[3:5]) == {"lists/reverse", "me/twice"}
    assert set(found[5:]) == {"lists/word", "me/word"}


def test_what_is_used_more_comes_first_among_equals(library, checked):
    before = names(library)
    assert before[:2] == ["lists/total", "me/last"], "a program uses it"
    for _ in range(3):
        checked.mark_used([checked.resolve("me/last").digest])
    assert names(library)[:2] == ["me/last", "lists/total"]


def test_a_limit_still_gives_what_matters_most_in_a_large_library(library, checked):
    for i in range(30):
        checked.publish(f"me/w{i}", *program("(lam (word $0))", "text -> text", card=str(i)))
    found = names(library, limit=2)
    assert set(found) == {"lists/total", "me/last"}


def test_an_entry_says_what_the_search_needs(library, checked):
    checked.publish(
        "me/digit", *program("(lam $0)", "int -> int", seen=frozenset({CLASS}), facts={"loss": 0.5})
    )
    [entry] = [e for e in library.candidates(WANT, GIVEN, 100) if e.name == "me/digit"]
    version = checked.resolve("me/digit")
    assert entry.reference == version.exactly
    assert entry.digest == version.digest
    assert entry.kind == "program"
    assert entry.type == parse_type("int -> int")
    assert entry.seen == {CLASS}
    assert entry.facts == {"loss": 0.5}


def test_blocks_that_saw_an_excluded_class_are_left_out_and_all_made_of_them(library, checked):
    saw = checked.publish("me/saw", *program("(lam $0)", "int -> int", seen=frozenset({CLASS})))
    child = checked.publish(
        "me/child", *program(f"(lam (@{saw.digest} $0))", "int -> int", seen=frozenset({OTHER}))
    )
    checked.publish("me/grandchild", *program(f"(lam (@{child.digest} $0))", "int -> int"))
    checked.publish("me/other", *program("(lam (total $0))", "list[int] -> int",
                                         seen=frozenset({OTHER})))  # fmt: skip
    inherited = {e.name: e.seen for e in library.candidates(WANT, GIVEN, 100)}
    assert inherited["me/grandchild"] == {CLASS, OTHER}
    assert {"me/saw", "me/child", "me/grandchild", "me/other"} <= set(names(library))
    fair = names(library.excluding({CLASS}))
    assert not {"me/saw", "me/child", "me/grandchild"} & set(fair)
    assert {"me/other", "me/last"} <= set(fair)
    assert "me/other" not in names(library.excluding({CLASS}).excluding({OTHER}))
    assert "me/child" not in names(library.excluding({OTHER}))


def test_old_and_yanked_versions_are_left_out(library, checked):
    old = checked.resolve("me/last").digest
    checked.publish("me/last", *program("(lam (total $0))", "list[int] -> int"))
    digests = {entry.digest for entry in library.candidates(WANT, GIVEN, 100)}
    assert old not in digests
    checked.yank("me/last")
    digests = {entry.digest for entry in library.candidates(WANT, GIVEN, 100)}
    assert old in digests


def test_a_program_loads_as_its_term_once(library, checked):
    digest = checked.resolve("me/last").digest
    term = library.load(digest)
    assert isinstance(term, Lambda)
    assert term == parse_term("(lam (total (reverse $0)))", TABLE.short_names)
    assert library.load(digest) is term
    assert library.excluding({CLASS}).load(digest) is term


def test_a_primitive_loads_by_the_digest_of_its_entry(library):
    entry = primitive_entry(TABLE[Reference.parse("lists/total@1")])
    assert library.load(entry.digest) is TABLE[entry.reference]


def test_a_block_that_needs_a_primitive_no_plugin_ships_says_so(library, checked):
    bare = CatalogueLibrary(checked, PrimitiveTable([]))
    with pytest.raises(NotFound, match=r"no installed plugin ships .*lists/(total|reverse)@1"):
        bare.load(checked.resolve("me/last").digest)


def test_a_program_that_lies_about_its_type_is_not_loaded(library, checked):
    version = checked.publish("me/liar", *program("(lam (total $0))", "list[int] -> text"))
    with pytest.raises(TypeMismatch):
        library.load(version.digest)


TOTAL = "(lam (total $0))"


@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        ("$0", {}, r"free variable \$0; a program is closed"),
        ("(lam $2)", {}, r"free variable \$1"),
        (TOTAL, {"requires": ()}, r"uses lists/total@1, which the manifest's 'requires' do not"),
        (f"(lam (@{CLASS} $0))", {"parents": ()}, r"uses @sha256:.*'parents' do not list"),
        ("(lam (me/other@champion $0))", {"requires": ()}, "may mean another block tomorrow"),
        ("(lam (me/other $0))", {"requires": ()}, "may mean another block tomorrow"),
    ],
)
def test_a_program_that_is_not_closed_or_hides_what_it_uses_is_refused(text, fields, message):
    with pytest.raises(Refused, match=message):
        validate_block(*program(text, "int", **fields))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"other": b""}, "no file term.json; it has other"),
        ({"term.json": b'["lam", "$0"]'}, "not in canonical form"),
    ],
)
def test_a_program_without_a_proper_term_is_refused(files, message):
    manifest = Manifest.of("program", parse_type("int -> int"), files)
    with pytest.raises(Refused, match=message):
        validate_block(manifest, files)
