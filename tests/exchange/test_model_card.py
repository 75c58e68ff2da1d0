"""The head and the text of a model card."""

import pytest

from metaloom.exchange.model_card import SPDX, read_card
from metaloom_registry import Manifest, ParseError, parse_type


def test_a_card_without_a_head_is_its_text():
    card = read_card("# Net\n\n---\nnot a head\n---\n")

    assert (card.license, card.tags) == (None, ())
    assert card.text.startswith("# Net")


def test_a_head_gives_licence_and_tags_and_is_left_out_of_the_text():
    card = read_card("---\r\nlicense: MIT\r\ntags:\r\n- Vision\r\n- Few Shot\r\n---\r\n# Net\r\n")

    assert (card.license, card.tags, card.text) == ("MIT", ("vision", "few-shot"), "# Net")


@pytest.mark.parametrize("licence", [*SPDX, "other", "openrail++", "llama3", "Ünknown (1)"])
def test_every_licence_becomes_one_that_a_manifest_takes(licence):
    found = read_card(f"---\nlicense: {licence}\n---\n").license

    assert Manifest("program", parse_type("int"), licence=found).licence == found


def test_a_licence_of_another_name_is_kept_by_that_name():
    card = read_card("---\nlicense: other\nlicense_name: my licence\n---\n")

    assert card.license == "LicenseRef-my-licence"


def test_tags_that_are_none_are_left_out():
    assert read_card('---\ntags: ["ok", "", "§", 3, {"a": 1}]\n---\n').tags == ("ok", "3")
    assert read_card("---\ntags: word\nlicense: [mit]\n---\n").license is None


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("a: &a [x, x]\nb: [*a, *a]", "YAML aliases"),
        ("a: !!python/object/apply:os.system ['true']", "is no YAML"),
        ("a: [", "is no YAML"),
        ("- a", "is a list, not a mapping"),
        ("a: " + "x" * 70_000, "at most 65536"),
        ("a: " + "[" * 5_000 + "]" * 5_000, "is no YAML"),
    ],
)
def test_a_head_that_is_not_plain_is_refused(head, message):
    with pytest.raises(ParseError, match=message):
        read_card(f"---\n{head}\n---\n")
