"""Publishing, listing, showing, finding and checking blocks from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaloom_registry.catalogue import Lineage
from metaloom_registry.catalogue.lineage.ancestry import trace

Command = Callable[..., Any]


def test_a_program_is_published_and_listed(metaloom: Command, add3: str) -> None:
    done = metaloom("list")
    assert done.code == 0
    assert "me/add3@1" in done.out
    assert "list[int] -> list[int]" in done.out


def test_an_empty_library_says_how_to_fill_it(metaloom: Command) -> None:
    assert "metaloom demo" in metaloom("list").out
    assert metaloom("list", "--json").json == []


def test_json_is_one_value_on_stdout_and_nothing_else(metaloom: Command, add3: str) -> None:
    [block] = metaloom("list", "--json").json
    assert block["reference"] == "me/add3@1"
    assert block["kind"] == "program"
    assert block["license"] == "MIT"
    shown = metaloom("show", "me/add3", "--json").json
    assert shown["digest"] == block["digest"]
    assert shown["term"] == "(lam (map (lam (add 3 $0)) $0))"
    assert {"role": "requires", "label": "lists/map@1"} in shown["parents"]
    assert metaloom("search", "add3", "--json").json[0]["why"]
    assert metaloom("verify", "--json").json["problems"] == []
    assert metaloom("lineage", "me/add3", "--json").json["root"] == block["digest"]
    assert metaloom("alias", "me/add3@1", "best", "--json").json["alias"] == "me/add3@best"
    assert any(p["name"] == "lists" for p in metaloom("plugins", "--json").json)


def test_a_page_shows_the_program_its_family_and_a_use(metaloom: Command, add3: str) -> None:
    metaloom("publish", "me/add6", "(lam (me/add3 (me/add3 $0)))", "--tag", "lists")
    page = metaloom("show", "me/add6").out
    assert "def add6(xs):" in page
    assert "return add3(add3(xs))" in page
    assert "me/add3@1" in page
    assert "#lists" in page
    assert "from metaloom import Hub" in page
    assert "me/add6@1" in metaloom("show", "me/add3").out


def test_a_primitive_has_a_page_too(metaloom: Command) -> None:
    page = metaloom("show", "map").out
    assert "lists/map@1" in page
    assert "(a -> b) -> list[a] -> list[b]" in page


def test_the_primitives_are_listed_when_asked_for(metaloom: Command) -> None:
    everything = metaloom("list", "--kind", "primitive", "--limit", "10000", "--json")
    assert everything.err == ""
    names = [b["reference"] for b in everything.json]
    assert "lists/map@1" in names
    assert names == sorted(names)
    assert "--kind primitive lists them" in metaloom("list", "lists").out
    few = metaloom("list", "--kind", "primitive", "--limit", "2", "--json")
    assert [b["reference"] for b in few.json] == names[:2]
    assert few.err == "there are more than these 2; --limit shows more\n"


def test_every_version_of_a_name_is_listed(metaloom: Command, add3: str) -> None:
    metaloom("publish", "me/add3", "(lam (map (add 3) $0))")
    found = metaloom("list", "--versions", "me/add3", "--json").json
    assert [b["reference"] for b in found] == ["me/add3@2", "me/add3@1"]


def test_the_same_program_again_is_the_same_version(metaloom: Command, add3: str) -> None:
    again = metaloom("publish", "me/add3", "(lam (map (lam (add 3 $0)) $0))", "--license", "MIT")
    assert "me/add3@1" in again.out


def test_a_search_by_type_finds_blocks_and_primitives_and_says_why(
    metaloom: Command, add3: str
) -> None:
    found = metaloom("search", "--takes", "list[int]", "--gives", "list[int]", "--json").json
    names = [b["reference"] for b in found]
    assert names[0] == "me/add3@1"
    assert "lists/map@1" in names or "lists/filter@1" in names
    assert all(b["why"] for b in found)


def test_a_search_that_finds_nothing_says_so(metaloom: Command, add3: str) -> None:
    assert "no block fits" in metaloom("search", "zebra").out


def test_lineage_is_drawn_in_both_directions(metaloom: Command, add3: str) -> None:
    metaloom("publish", "me/add6", "(lam (me/add3 (me/add3 $0)))")
    assert "uses me/add3@1" in metaloom("lineage", "me/add6").out
    assert "uses me/add6@1" in metaloom("lineage", "me/add3").out


def test_the_users_of_a_hub_are_shown_page_by_page(
    metaloom: Command, add3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def three(*asked: Any) -> Lineage:
        session, start, direction, depth, _, cursor = asked
        return trace(session, start, direction, depth, 3, cursor)

    monkeypatch.setattr("metaloom_registry.catalogue.registry.trace", three)
    for i in range(5):
        metaloom("publish", f"me/more{i}", f"(lam (map (lam (add {i} $0)) (me/add3 $0)))")
    first = metaloom("lineage", "me/add3")
    assert "me/more1@1" in first.out
    assert "me/more2@1" not in first.out
    assert "... 3 more" in first.out
    cursor = first.err.split()[-1]
    assert first.err == f"3 more; go on with --cursor {cursor}\n"
    second = metaloom("lineage", "me/add3", "--cursor", cursor)
    assert "me/more2@1" in second.out
    assert "came from" not in second.out
    both = metaloom("lineage", "me/add3", "--json").json
    assert both["cursors"] == {"parents": None, "children": cursor}
    assert both["more"] == {"parents": 0, "children": 3}
    assert "3 more beyond these: see `metaloom lineage`" in metaloom("show", "me/add3").out
    assert metaloom("show", "me/add3", "--json").json["more"] == {"parents": 0, "users": 3}
    assert "is not a cursor" in metaloom("lineage", "me/add3", "--cursor", "x").err
    gone = metaloom("tombstone", "me/add3@1", "--why", "no more")
    assert "me/more0@1, me/more1@1 and 3 more" in gone.err


def test_verify_finds_a_flipped_bit(metaloom: Command, add3: str, home: Path) -> None:
    assert metaloom("verify").code == 0
    damaged = max((home / "blobs").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    damaged.chmod(0o644)
    data = bytearray(damaged.read_bytes())
    data[-2] ^= 1
    damaged.write_bytes(bytes(data))
    done = metaloom("verify")
    assert done.code == 1
    assert "damaged me/add3@1: " in done.out
    assert metaloom("verify", "--json").json["problems"][0]["name"] == "me/add3@1"
    assert metaloom("show", "me/add3").code == 1


def test_a_program_is_published_from_a_file(metaloom: Command, tmp_path: Path) -> None:
    text = tmp_path / "evens.sexpr"
    text.write_text("(lam (filter (lam (is_even $0)) $0))\n")
    card = tmp_path / "evens.md"
    card.write_text("Keeps the *even* numbers.\n")
    assert metaloom("publish", "me/evens", text, "--card", card).code == 0
    data = tmp_path / "evens.json"
    data.write_text('["lam", ["lists/filter@1", ["lam", ["lists/is_even@1", "$0"]], "$0"]]')
    done = metaloom("publish", "me/evens", data, "--card", card, "--json")
    assert done.json["reference"] == "me/evens@1"
    assert "Keeps the *even* numbers." in metaloom("show", "me/evens").out


def test_a_card_cannot_steer_the_terminal(metaloom: Command, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("\x1b[2J\x1b]0;owned\x07 [red]not red[/red] [link=http://x]y[/link] \u202e")
    metaloom("publish", "me/odd", "(lam $0)", "--card", card)
    page = metaloom("show", "me/odd").out
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "[red]not red[/red]" in page


def test_a_composition_is_checked_when_it_is_published(metaloom: Command, add3: str) -> None:
    done = metaloom("publish", "me/bad", "(lam (me/add3 (length $0)))")
    assert done.code == 1
    assert "does not fit where" in done.err
    assert len(metaloom("list", "--json").json) == 1


def test_a_page_says_which_version_of_how_many_it_is(metaloom: Command, add3: str) -> None:
    assert "version" not in metaloom("show", "me/add3").out.splitlines()[2]
    metaloom("publish", "me/add3", "(lam (map (add 3) $0))")
    assert "newest of 2 versions" in metaloom("show", "me/add3").out
    assert "2 versions, now me/add3@2" in metaloom("show", "me/add3@1").out
    metaloom("yank", "me/add3@2")
    assert "2 versions, now me/add3@1" in metaloom("show", "me/add3@2").out
    told = metaloom("show", "me/add3@2", "--json").json
    assert (told["versions"], told["current"]) == (2, "me/add3@1")


def test_a_very_long_card_is_cut_on_the_page_alone(metaloom: Command, tmp_path: Path) -> None:
    card = tmp_path / "card.md"
    card.write_text("\n".join(f"line {i}" for i in range(500)))
    metaloom("publish", "me/long", "(lam $0)", "--card", card)
    page = metaloom("show", "me/long").out
    assert "line 59" in page
    assert "line 60" not in page
    assert "more characters; --json has the whole card" in page
    assert metaloom("show", "me/long", "--json").json["card"].endswith("line 499")
