"""Owners, yanks, deprecations and tombstones from the command line."""

import pytest

pytest.importorskip("cryptography", reason="the extra `signatures` is not installed")


def test_an_owned_namespace_takes_what_its_owner_signs(metaloom, add3):
    metaloom("key", "new")
    done = metaloom("owner", "add", "me", "default", "--json")
    assert len(done.json["owners"]) == 1
    unsigned = metaloom("publish", "me/other", "(lam $0)")
    assert unsigned.code == 1
    assert "the namespace me is owned by" in unsigned.err
    assert "--sign" in unsigned.err
    assert metaloom("publish", "me/other", "(lam $0)", "--sign").code == 0
    assert metaloom("yank", "me/other@1", "--why", "a test").code == 0
    assert metaloom("owner", "list", "me").out.startswith("me: ed25519:")
    assert metaloom("owner", "remove", "me", "default").code == 0
    assert "everybody may publish there" in metaloom("owner", "list", "me").out


def test_a_yanked_version_is_offered_again(metaloom, add3):
    assert metaloom("yank", "me/add3@1", "--why", "wrong").out == "me/add3@1 is yanked\n"
    assert "every version of me/add3 is yanked" in metaloom("show", add3).err
    assert "yanked: wrong" in metaloom("show", "me/add3@1").out
    assert "yanked: wrong" in metaloom("list").out
    assert metaloom("yank", "me/add3@1", "--undo").code == 0
    assert metaloom("show", add3).code == 0


def test_a_deprecated_version_points_to_its_successor(metaloom, add3):
    metaloom("publish", "me/new", "(lam $0)")
    done = metaloom("deprecate", "me/add3@1", "--use", "me/new@1", "--why", "slow", "--json")
    assert (done.json["deprecated"], done.json["successor"]) == ("slow", "me/new@1")
    said = "deprecated: slow; use me/new@1"
    assert f"\n{said}\n" in metaloom("show", add3).out
    assert said in metaloom("list").out
    assert said in metaloom("search", "add3").out
    run = metaloom("run", add3, "[1]")
    assert (run.out, run.err) == ("[4]\n", f"warning: me/add3@1 is {said}\n")
    metaloom("deprecate", "me/add3@1", "--undo")
    assert "deprecated" not in metaloom("show", add3).out + metaloom("list").out
    assert metaloom("run", add3, "[1]").err == ""


def test_a_tombstone_says_what_breaks(metaloom, add3):
    metaloom("publish", "me/twice", "(lam (me/add3 (me/add3 $0)))")
    done = metaloom("tombstone", "me/add3@1", "--why", "a mistake")
    assert done.out == "me/add3@1 is gone: a mistake\n"
    assert "me/twice@1" in done.err
    assert "taken away for good: a mistake" in metaloom("list").out
    assert "taken away for good: a mistake" in metaloom("run", "me/twice", "[1]").err
    again = metaloom("publish", "me/again", "(lam (map (lam (add 3 $0)) $0))", "--license", "MIT")
    assert "nor published again" in again.err


def test_a_signed_block_that_was_taken_away_is_no_problem_of_a_verification(metaloom):
    metaloom("key", "new")
    assert metaloom("publish", "me/add1", "(lam (add 1 $0))", "--sign").code == 0
    assert metaloom("tombstone", "me/add1@1", "--why", "a mistake").code == 0
    done = metaloom("verify")
    assert (done.code, done.err) == (0, "")


def test_a_name_whose_versions_are_all_gone_says_so(metaloom, add3):
    metaloom("tombstone", "me/add3@1", "--why", "private")
    said = metaloom("show", add3).err
    assert "every version of me/add3 was taken away for good" in said
    assert "yanked" not in said
    [gone] = metaloom("list", "--versions", add3, "--json").json
    assert (gone["tombstone"], gone["yanked"]) == ("private", "private")


def test_of_yanked_and_gone_versions_one_that_can_be_had_is_named(metaloom, add3):
    metaloom("publish", add3, "(lam (map (add 3) $0))")
    metaloom("tombstone", "me/add3@2", "--why", "private")
    metaloom("yank", "me/add3@1")
    assert "ask for one by its number, me/add3@1" in metaloom("show", add3).err


def test_a_text_that_is_no_namespace_has_no_owners(metaloom):
    for verb in (["list", "a b"], ["remove", "a b", "ed25519:" + "0" * 64]):
        done = metaloom("owner", *verb)
        assert (done.code, done.out) == (1, "")
        assert "'a b' is not a namespace" in done.err


def test_one_s_own_key_that_owns_the_namespace_is_used(metaloom, add3):
    metaloom("key", "new", "alice")
    metaloom("key", "new", "bob")
    assert metaloom("yank", "me/add3@1").code == 0  # nobody's namespace needs no key
    metaloom("owner", "add", "me", "bob")
    assert metaloom("yank", "me/add3@1", "--undo").code == 0


def test_a_successor_that_is_gone_is_none(metaloom, add3):
    metaloom("publish", "me/other", "(lam (map (add 3) $0))")
    metaloom("tombstone", "me/other@1", "--why", "private")
    done = metaloom("deprecate", "me/add3@1", "--use", "me/other@1")
    assert "taken away for good: private" in done.err


def test_publishing_what_was_yanked_says_that_it_still_is(metaloom, add3):
    metaloom("yank", "me/add3@1", "--why", "a mistake")
    done = metaloom("publish", add3, "(lam (map (lam (add 3 $0)) $0))", "--license", "MIT")
    assert (done.code, done.out.startswith("me/add3@1 ")) == (0, True)
    assert done.err == "warning: me/add3@1 is yanked: a mistake\n"
