"""Resolving, listing, aliases and yanking."""

import pytest

from metaloom_registry import Digest, InvalidName, NotFound, Reference


def numbers(registry, name: str) -> list[int | None]:
    return [version.number for version in registry.versions(name)]


@pytest.fixture
def three(publish):
    """Three versions of vision/conv4."""
    return [publish("vision/conv4", "int", content) for content in (b"1", b"2", b"3")]


def test_a_name_means_its_newest_version(registry, three):
    assert registry.resolve("vision/conv4") == three[2]


def test_a_number_an_alias_and_a_digest_mean_that_version(registry, three):
    registry.set_alias("vision/conv4@2", "champion")
    second = registry.resolve("vision/conv4@2")
    assert second.digest == three[1].digest
    assert second.aliases == ("champion",)
    assert registry.resolve("vision/conv4@champion") == second
    assert registry.resolve(f"@{second.digest}") == second
    assert registry.resolve(f"vision/conv4@{second.digest}") == second
    assert registry.resolve(Reference.parse("vision/conv4@2")) == second


def test_versions_are_listed_newest_first(registry, three):
    assert numbers(registry, "vision/conv4") == [3, 2, 1]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("vision/conv5", r"no block vision/conv5; did you mean vision/conv4\?"),
        ("vison/conv4", r"did you mean vision/conv4\?"),
        ("Vision/Conv4", r"no block Vision/Conv4; did you mean vision/conv4\?"),
        ("nothing/like-it", r"no block nothing/like-it$"),
        ("vision/conv4@7", "vision/conv4 has no version 7; it has versions 1 to 3"),
        ("vision/conv4@best", "has no alias 'best'; it has no alias"),
        (f"@{Digest.of(b'?')}", f"no block {Digest.of(b'?')}"),
        (f"vision/conv4@{Digest.of(b'?')}", "has no version sha256:"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(registry, three, reference, message):
    with pytest.raises(NotFound, match=message):
        registry.resolve(reference)


def test_the_aliases_there_are_are_named(registry, three):
    registry.set_alias("vision/conv4", "champion")
    registry.set_alias("vision/conv4@1", "baseline")
    with pytest.raises(NotFound, match="its aliases are baseline, champion"):
        registry.resolve("vision/conv4@champ")


def test_the_digest_of_a_manifest_that_was_only_half_published_is_not_found(registry, draft):
    made = draft("int", b"1")
    registry.blobs.put(made.manifest.to_bytes())
    with pytest.raises(NotFound, match="the registry holds no block"):
        registry.manifest(made.manifest.digest)


def test_an_alias_moves_and_remembers_where_it_was(registry, three):
    registry.set_alias("vision/conv4@1", "champion")
    registry.set_alias("vision/conv4@1", "champion")
    registry.set_alias("vision/conv4", "champion")
    registry.remove_alias("vision/conv4", "champion")
    moves = registry.alias_history("vision/conv4")
    assert [(move.alias, move.number) for move in moves] == [
        ("champion", 1), ("champion", 3), ("champion", None)
    ]  # fmt: skip
    with pytest.raises(NotFound):
        registry.resolve("vision/conv4@champion")


def test_an_alias_that_is_not_there_cannot_be_taken_away(registry, three):
    with pytest.raises(NotFound, match="no alias 'champion' to take away"):
        registry.remove_alias("vision/conv4", "champion")


@pytest.mark.parametrize("alias", ["3", "Champion", "", "a b", "x" * 64, "sha256:1", "a\n"])
def test_an_invalid_alias_is_refused(registry, three, alias):
    with pytest.raises(InvalidName, match="is not an alias"):
        registry.set_alias("vision/conv4", alias)


def test_a_digest_alone_gets_no_alias(registry, three):
    with pytest.raises(InvalidName, match="give a named version"):
        registry.set_alias(three[0].exactly, "champion")


def test_a_yanked_version_is_no_longer_offered_but_can_be_had(registry, three):
    registry.set_alias("vision/conv4@3", "champion")
    yanked = registry.yank("vision/conv4@3", "wrong labels")
    assert yanked.yanked == "wrong labels"
    assert registry.resolve("vision/conv4").number == 2
    assert registry.resolve("vision/conv4@3").yanked == "wrong labels"
    assert registry.resolve("vision/conv4@champion").number == 3
    assert numbers(registry, "vision/conv4") == [3, 2, 1]
    registry.unyank("vision/conv4@3")
    assert registry.resolve("vision/conv4").number == 3


def test_where_all_versions_are_yanked_the_name_alone_means_nothing(registry, publish):
    publish("a/x", "int", b"1", card="findable")
    registry.yank("a/x@1")
    with pytest.raises(NotFound, match=r"every version of a/x is yanked.*a/x@1"):
        registry.resolve("a/x")
    assert registry.resolve("a/x@1").yanked == "no reason given"
    assert registry.search("findable").items == ()
    assert registry.search(kind="graph").items == ()
    assert [str(v) for v in registry.names().items] == ["a/x@1"]
    assert publish("a/x", "int", b"2").number == 2, "the number of a yanked version is used up"


def test_yanking_an_old_version_leaves_the_newest_one(registry, three):
    registry.yank("vision/conv4@1")
    assert registry.resolve("vision/conv4").number == 3


def test_only_a_named_version_can_be_yanked(registry, three):
    with pytest.raises(InvalidName, match="has no name"):
        registry.yank(three[0].exactly)


def test_names_are_listed_in_order_by_pages(registry, publish):
    for name in ("b/x", "a/y", "a/x", "a/x-2", "a/x10", "c/z"):
        publish(name)
    page = registry.names(limit=4)
    assert [str(v.name) for v in page.items] == ["a/x", "a/x-2", "a/x10", "a/y"]
    rest = registry.names(limit=4, cursor=page.cursor)
    assert [str(v.name) for v in rest.items] == ["b/x", "c/z"]
    assert rest.cursor is None


def test_names_are_listed_by_how_they_begin_in_any_case(registry, publish):
    for name in ("Vision/Conv4", "Vision/Mlp", "lists/sum"):
        publish(name)
    assert [str(v.name) for v in registry.names("vision/").items] == ["Vision/Conv4", "Vision/Mlp"]
    assert [str(v.name) for v in registry.names("VISION/c").items] == ["Vision/Conv4"]
    assert registry.names("x").items == ()


def test_the_clock_may_jump_back(registry, publish):
    publish("a/x", "int", b"1")
    registry.now = lambda: 5.0
    second = publish("a/x", "int", b"2")
    assert second.created.year == 1970
    assert registry.resolve("a/x") == second
