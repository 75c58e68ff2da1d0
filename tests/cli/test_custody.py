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
