"""`metaloom search` and `metaloom fits`: tables and JSON."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


def test_what_fits_between_is_a_table_with_types(metaloom) -> None:
    shown = metaloom("fits", "lists/reverse", "--before", "lists/sum", "--limit", "3").out
    assert shown.split()[:4] == ["name", "kind", "type", "why"]
    assert "takes list[a]" in shown


def test_what_fits_is_json_as_well(metaloom, add3: str) -> None:
    found = metaloom("fits", "lists/reverse", "--kind", "program", "--json").json
    assert [block["reference"] for block in found] == ["me/add3@1"]
    assert found[0]["why"] == ["takes list[int]", "is a program"]


def test_a_search_says_what_was_measured_and_where_it_goes_on(metaloom, add3: str) -> None:
    metaloom("publish", "me/add4", "(lam (map (lam (add 4 $0)) $0))")
    first = metaloom("search", "--takes", "list[int]", "--kind", "program", "--limit", "1")
    assert "me/add4@1" in first.out
    cursor = first.err.partition("--cursor ")[2].split()[0]
    args = ("search", "--takes", "list[int]", "--kind", "program", "--limit", "1")
    assert "me/add3@1" in metaloom(*args, "--cursor", cursor).out


def test_a_search_reads_no_bytes_of_what_it_finds(metaloom, add3: str, home: Path) -> None:
    shutil.rmtree(home / "blobs")
    found = metaloom("search", "add3")
    assert found.code == 0, found.err
    assert "me/add3@1" in found.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fits",), "name a block, as in `metaloom fits vision/conv4`"),
        (("fits", "me/none"), "there is no block me/none"),
        (("search", "--like", "me/add3"), "no fingerprint was measured of"),
        (("search", "x", "--cursor", "x"), "is not a cursor"),
        (("search", "x" * 10_000), "a query of 10000 characters is too long"),
    ],
)
def test_what_cannot_be_found_is_said_in_a_line(metaloom, add3: str, arguments, said) -> None:
    done = metaloom(*arguments)
    assert done.code == 1
    assert said in done.err


def test_what_was_mistyped_is_named(metaloom, add3):
    metaloom("publish", "me/evens", "(lam (filter is_even $0))", "--tag", "parity")
    for word, meant in (("evns", "evens"), ("paritty", "parity"), ("predict_ad", "")):
        said = metaloom("search", word).out
        assert (f"did you mean '{meant}'?" in said) == bool(meant), said
    assert "did you mean me/evens?" in metaloom("show", "evens").err
    assert "did you mean lists/map" in metaloom("show", "mapp").err
    assert "'me' is a namespace, not a block; `metaloom list me`" in metaloom("show", "me").err
    assert "give it as namespace/name" in metaloom("show", "nothing-like-it").err


def test_where_nothing_is_found_what_was_asked_for_is_to_be_widened(metaloom, add3):
    said = metaloom("search", "--tag", "none", "--takes", "image[9,9,9]", "--kind", "graph").out
    assert said == "no block fits; try a wider type such as vec[n] or no --tag or no --kind\n"
    assert metaloom("search", "zebra", "--json").json == []


def test_a_narrow_table_breaks_no_names_and_has_no_empty_columns(metaloom, add3, monkeypatch):
    monkeypatch.setattr("metaloom.cli.output.PIPED_WIDTH", 50)
    page = metaloom("search", "--takes", "list[int]", "--kind", "program").out
    assert page.splitlines()[1].startswith("me/add3@1 ")
    assert "measured" not in page
    assert "used by" not in page
