"""Aliases from the command line: set, moved, listed with their history, taken away."""

import pytest

pytest.importorskip("cryptography", reason="the extra `signatures` is not installed")

OTHER = "(lam (map (add 3) $0))"


def test_an_alias_can_be_used_and_moved(metaloom, add3):
    metaloom("publish", add3, OTHER)
    metaloom("alias", "me/add3@1", "champion")
    assert metaloom("show", "me/add3@champion", "--json").json["reference"] == "me/add3@1"
    metaloom("alias", "me/add3@2", "champion")
    assert metaloom("show", "me/add3@champion", "--json").json["reference"] == "me/add3@2"


def test_the_aliases_of_a_name_are_listed_with_their_moves(metaloom, add3):
    assert "metaloom alias me/add3@1 champion" in metaloom("alias", add3).out
    assert metaloom("alias", add3, "--json").json == {"name": add3, "aliases": {}, "moves": []}
    metaloom("publish", add3, OTHER)
    metaloom("alias", "me/add3@1", "champion")
    metaloom("alias", "me/add3@2", "champion")
    metaloom("alias", "me/add3@1", "tried")
    gone = metaloom("alias", add3, "tried", "--remove", "--json")
    assert gone.json == {"alias": "me/add3@tried", "reference": None}
    told = metaloom("alias", add3, "--json").json
    assert told["aliases"] == {"champion": "me/add3@2"}
    assert [(move["alias"], move["reference"]) for move in told["moves"]] == [
        ("champion", "me/add3@1"),
        ("champion", "me/add3@2"),
        ("tried", "me/add3@1"),
        ("tried", None),
    ]
    page = metaloom("alias", add3).out
    assert "me/add3@champion  me/add3@2" in page
    assert "me/add3@tried     taken away" in page


def test_aliases_that_are_not_there_are_told(metaloom, add3):
    assert "has no alias 'best' to take away" in metaloom("alias", add3, "best", "--remove").err
    assert "say which alias of me/add3" in metaloom("alias", add3, "--remove").err
    assert "did you mean me/add3?" in metaloom("alias", "me/ad3").err
    assert "lists/map is a primitive" in metaloom("alias", "lists/map").err


def test_in_an_owned_namespace_aliases_are_the_owners(metaloom, add3):
    metaloom("key", "new", "alice")
    metaloom("key", "new", "bob")
    metaloom("owner", "add", "me", "alice")
    done = metaloom("alias", "me/add3@1", "best", "--key", "bob")
    assert (done.code, "the key given is" in done.err) == (1, True)
    assert metaloom("alias", "me/add3@1", "best").code == 0  # by the key of one's own that owns it
    assert metaloom("alias", "me/add3", "best", "--remove", "--key", "alice").code == 0
    assert "the key given is" in metaloom("alias", add3, "best", "--remove", "--key", "bob").err


def test_what_was_taken_away_for_good_gets_no_alias(metaloom, add3):
    metaloom("tombstone", "me/add3@1", "--why", "private")
    assert "taken away for good: private" in metaloom("alias", "me/add3@1", "best").err
