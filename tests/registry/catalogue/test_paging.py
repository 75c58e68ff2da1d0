"""Pages of a search by words: the same hits whatever their length, also while others publish."""

from __future__ import annotations

from typing import Any

import pytest

from metaloom_registry import ParseError


def pages(registry, text, limit, between=lambda: None, **query):
    """The names on all pages of a search; `between` is done after each."""
    found, cursor = [], None
    while True:
        page = registry.finder.search(text, limit=limit, cursor=cursor, **query)
        found += [str(hit.version.name) for hit in page.items]
        if (cursor := page.cursor) is None:
            return found
        between()


@pytest.fixture
def words(publish, monkeypatch):
    """Names that hold a word in every way; of each way so many are looked at first."""
    monkeypatch.setattr("metaloom_registry.catalogue.search.words.CANDIDATES", 4)
    ways: dict[str, dict[str, Any]] = {
        "conv": {},
        "conv-small": {},
        "big-conv": {},
        "convolve": {},
        "my-convs": {},
        "tagged": {"tags": ("conv",)},
        "begun": {"tags": ("convolved",)},
        "whole": {"card": "a conv"},
        "beginning": {"card": "a convolution"},
    }
    for turn in range(3):
        for number, (name, fields) in enumerate(ways.items()):
            made = f"lab{turn}/{name}" if turn else f"lab/{name}"
            publish(made, "int -> int", bytes([turn, number]), **fields)
        publish(f"lab{turn}/other", "int -> int", bytes([turn, 99]), card="nothing")


@pytest.mark.parametrize("query", [{}, {"kind": "graph"}])
def test_the_hits_are_the_same_whatever_the_length_of_a_page(registry, words, query):
    whole = pages(registry, "conv", 100, **query)
    assert len(whole) == len(set(whole)) == 27
    for limit in (1, 2, 3, 5, 8, 13, 26):
        assert pages(registry, "conv", limit, **query) == whole


def test_what_is_called_so_comes_first_then_what_begins_so(registry, words):
    found = [name.partition("/")[2] for name in pages(registry, "conv", 4)]
    assert found[:3] == ["conv"] * 3
    assert {"conv-small", "convolve"} <= set(found[3:9])
    assert pages(registry, "lab conv", 3)[0] == "lab/conv"
    assert pages(registry, "Conv small", 3)[0].endswith("/conv-small")
    letter = [name.partition("/")[2] for name in pages(registry, "c", 5)]
    assert sorted(letter) == sorted(["conv", "conv-small", "convolve"] * 3)


def test_what_is_published_between_two_pages_moves_no_hit(registry, publish, words):
    whole = pages(registry, "conv", 100)
    numbers = iter(range(100, 200))

    def more():
        number = next(numbers)
        publish(f"new/conv-{number}", "int -> int", bytes([7, number]), card="conv", tags=("conv",))

    assert pages(registry, "conv", 2, more) == whole
    assert "new/conv-100" in pages(registry, "conv", 100)


@pytest.mark.parametrize("head", ["x.", "-1.", "\u00b2.", "1234567890.", "."])
def test_a_cursor_whose_beginning_was_changed_is_refused(registry, words, head):
    cursor = registry.search("conv", limit=1).cursor.partition(".")[2]
    with pytest.raises(ParseError, match="is not a cursor"):
        registry.search("conv", limit=1, cursor=head + cursor)
