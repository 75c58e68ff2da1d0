"""The commands of "Share a registry" that need servers, run as they stand against servers here."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from tests.exchange.conftest import server as server
from tests.exchange.hub_server import TOKEN
from tests.hub.test_remote_blobs import address as address
from tests.registry.catalogue.conftest import database as database
from tests.registry.catalogue.conftest import postgres_server as postgres_server
from tests.registry.storage.conftest import s3 as s3

from metaloom_registry import Digest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "share-a-registry.md").read_text(encoding="utf-8")
READS = re.compile(r"METALOOM_[A-Z]+(?:_[A-Z]+)*")
SMALL = "(lam (map (lam (add 3 $0)) $0))"


def commands(holding: str) -> list[tuple[str, list[str]]]:
    """Who runs what in the block of text with a word: before `$ metaloom`, and after it."""
    [block] = [b for b in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) if holding in b]
    lines = [line.partition("$ metaloom ") for line in block.splitlines()]
    return [(who, shlex.split(rest)) for who, said, rest in lines if said]


def test_the_block_that_is_pushed_there_is_pulled_there(metaloom, server, monkeypatch, tmp_path):
    monkeypatch.setenv("METALOOM_ENDPOINT", server.url)
    monkeypatch.setenv("METALOOM_TOKEN", TOKEN)
    monkeypatch.setenv("METALOOM_CACHE", str(tmp_path / "cache"))
    [digest] = [metaloom("publish", "me/small", SMALL, "--json").json["digest"]]
    [(_, push), (_, pull)] = commands("hf://")
    assert f"me/small@1 is at {server.url}/org/small/commit/" in metaloom(*push).out
    done = metaloom(*(digest if word == "sha256:..." else word for word in pull))
    assert done.out.split() == ["you/small@1", ":", "list[int]", "->", "list[int]", digest]
    other = metaloom(*pull[:-1], str(Digest.of(b"another")))
    assert f"and {digest} was served" in other.err


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_alice_and_bob_share_what_the_page_says(metaloom, address, database, monkeypatch, tmp_path):
    url = database("template1").set(drivername="postgresql").render_as_string(hide_password=False)
    places = {
        "s3://our-bucket/metaloom": address,
        "postgresql://lab@db.example/metaloom": url,
    }
    printed = []
    for who, command in commands("alice$"):
        monkeypatch.setenv("METALOOM_CACHE", str(tmp_path / f"{who}-cache"))
        words = [places.get(word, word) for word in command]
        done = metaloom(*words, "--home", str(tmp_path / who))
        assert done.code == 0, (who, command, done.err)
        printed.append(done.out)
    _, _, _, searched, ran, _, lineage = printed
    assert "lab/plus3@1" in searched
    assert ran.strip() == "[4, 5]"
    assert "uses bob/plus6@1" in lineage


def test_the_table_of_variables_lists_those_that_are_read_and_no_others():
    read: set[str] = set()
    for package in ("hub", "registry", "metalearn", "plugins", "demo"):
        for path in (ROOT / package).rglob("*.py"):
            read.update(READS.findall(path.read_text(encoding="utf-8")))
    listed = re.findall(r"^\| `(METALOOM_[A-Z_]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(read)
