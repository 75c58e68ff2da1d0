"""Owners, deprecations and tombstones."""

import pytest

from metaloom_registry import (
    InvalidName,
    NotFound,
    NotOwner,
    PublicKey,
    Reference,
    Seal,
    SecretKey,
)

pytest.importorskip("cryptography", reason="the extra `signatures` is not installed")

ALICE, BOB = SecretKey(b"a" * 32), SecretKey(b"b" * 32)


@pytest.fixture
def sealed(registry, draft):
    """`sealed("team/x", key, b"content")` publishes with a seal of the key."""

    def make(name, key, content=b"1"):
        made = draft("int -> int", content)
        seals = [Seal.make(made.manifest.to_bytes(), key, 1)]
        return registry.publish(name, made.manifest, made.files, seals=seals)

    return make


def test_a_namespace_without_owners_is_everybodys(registry, publish):
    publish("team/x")
    assert registry.custody.owners("team") == ()


def test_into_an_owned_namespace_owners_publish_and_nobody_else(registry, publish, sealed):
    registry.custody.add_owner("team", ALICE.public, by=None)
    assert registry.custody.owners("team") == (ALICE.public,)
    with pytest.raises(NotOwner, match=rf"team is owned by {ALICE.public}.*no key is given"):
        publish("team/x")
    with pytest.raises(NotOwner, match=rf"the key given is {BOB.public}"):
        sealed("team/x", BOB)
    assert sealed("team/x", ALICE).number == 1
    assert publish("other/x").number == 1


def test_owners_admit_and_remove_each_other(registry, sealed):
    custody = registry.custody
    custody.add_owner("team", ALICE.public, by=ALICE.public)
    with pytest.raises(NotOwner):
        custody.add_owner("team", BOB.public, by=BOB.public)
    custody.add_owner("team", BOB.public, by=ALICE.public)
    assert sealed("team/x", BOB).number == 1
    custody.remove_owner("team", ALICE.public, by=BOB.public)
    with pytest.raises(NotOwner):
        sealed("team/y", ALICE)
    with pytest.raises(NotFound, match="is no owner"):
        custody.remove_owner("team", ALICE.public, by=BOB.public)


def test_a_namespace_that_differs_only_in_case_is_no_way_around(registry, sealed):
    registry.custody.add_owner("team", ALICE.public, by=None)
    with pytest.raises(InvalidName, match="differs only in case from team"):
        registry.custody.add_owner("Team", BOB.public, by=ALICE.public)
    with pytest.raises(InvalidName, match="differs only in case from team"):
        sealed("Team/x", BOB)


@pytest.mark.parametrize(
    "change",
    [
        lambda r, by: r.set_alias("team/x@1", "best", by=by),
        lambda r, by: r.yank("team/x@1", by=by),
        lambda r, by: r.unyank("team/x@1", by=by),
        lambda r, by: r.custody.deprecate(Reference.parse("team/x@1"), "old", by=by),
        lambda r, by: r.custody.undeprecate(Reference.parse("team/x@1"), by=by),
        lambda r, by: r.custody.tombstone(Reference.parse("team/x@1"), "bad", by=by),
    ],
)
def test_every_change_to_an_owned_namespace_is_its_owners(registry, sealed, change):
    registry.custody.add_owner("team", ALICE.public, by=None)
    sealed("team/x", ALICE)
    for stranger in (None, BOB.public):
        with pytest.raises(NotOwner, match="team is owned by"):
            change(registry, stranger)
    change(registry, ALICE.public)


def test_a_key_is_32_bytes():
    assert isinstance(ALICE.public, PublicKey)


def test_a_deprecated_version_is_offered_and_names_its_successor(registry, publish):
    publish("a/old")
    publish("a/new", "int -> int", b"2")
    said = registry.custody.deprecate(
        Reference.parse("a/old"), "it overflows", Reference.parse("a/new@1")
    )
    assert (said.deprecated, str(said.successor)) == ("it overflows", "a/new@1")
    assert registry.resolve("a/old") == said
    again = registry.custody.undeprecate(Reference.parse("a/old@1"))
    assert (again.deprecated, again.successor) == (None, None)


def test_a_successor_is_another_block_that_is_there(registry, publish):
    publish("a/old")
    with pytest.raises(NotFound, match="there is no block a/new"):
        registry.custody.deprecate(Reference.parse("a/old"), "", Reference.parse("a/new"))
    with pytest.raises(InvalidName, match="is the deprecated version itself"):
        registry.custody.deprecate(Reference.parse("a/old"), "", Reference.parse("a/old@1"))
    exactly = Reference(None, registry.resolve("a/old").digest)
    with pytest.raises(InvalidName, match="has no name"):
        registry.custody.deprecate(exactly, "")


def test_a_tombstone_takes_a_block_away_for_good_and_keeps_its_number(registry, publish):
    publish("a/x", "int -> int", b"first")
    bad = publish("a/x", "int -> int", b"bad")
    gone = registry.custody.tombstone(bad.reference, "it holds faces")
    assert gone.tombstone == "it holds faces"
    assert registry.resolve("a/x").number == 1
    assert registry.resolve("a/x@2").tombstone == "it holds faces"
    for read in (registry.manifest, registry.files):
        with pytest.raises(NotFound, match="taken away for good: it holds faces"):
            read(bad.digest)
    for name in ("a/x", "b/other"):
        with pytest.raises(NotFound, match="nor published again"):
            publish(name, "int -> int", b"bad")
    with pytest.raises(NotFound, match="taken away for good"):
        registry.unyank("a/x@2")
    assert publish("a/x", "int -> int", b"third").number == 3
    assert registry.verify().sound


def test_a_name_whose_versions_are_all_gone_is_not_given_again(registry, publish):
    only = publish("a/x")
    registry.custody.tombstone(only.reference, "a mistake")
    assert publish("a/x", "int -> int", b"new").number == 2
