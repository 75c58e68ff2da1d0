"""Bad input and bad luck: each ends in an error that says what to do, and harms nothing."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from metaloom_registry import InvalidName, NotFound, ParseError, Registry, StorageError, parse_type
from metaloom_registry.catalogue import Database

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def found(page) -> list[str]:
    return [str(hit.version.name) for hit in page.items]


def test_a_newer_schema_is_refused_and_left_as_it_is(registry, publish):
    publish("a/x")
    change = text("UPDATE alembic_version SET version_num = '9999'")
    registry.database.write(lambda session: session.connection().execute(change))
    registry.close()
    with pytest.raises(StorageError, match=r"schema 9999, which is newer .*pip install --upgrade"):
        Database(registry.database.url)
    with registry.database.engine.connect() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
        )
        assert connection.execute(text("SELECT count(*) FROM version")).scalar() == 1


READER = """
import os, sys, tempfile
from pathlib import Path
from typing import Any
from metaloom_registry import Manifest, MetaloomError, Reference, Registry, parse_type
folder = Path(sys.argv[1])
if os.getuid() == 0:  # whom nothing is read-only for; what is imported later may be root's alone
    with tempfile.TemporaryDirectory() as other:
        registry = Registry.open(other, validate=lambda *_: None)
        facts = {"fingerprint": {"probe": "p", "inputs": [], "values": [0.0] * 128}}
        registry.publish("a/x", Manifest("graph", parse_type("int"), facts=facts), {})
        registry.finder.search(like=Reference.parse("a/x"))
        registry.close()
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
registry = Registry.open(folder, validate=lambda *_: None)
print(registry.resolve("a/x").number, len(registry.search("words").items))
near = registry.finder.search(like=Reference.parse("a/x"))
print([str(hit.version.name) for hit in near.items])
try:
    registry.publish("a/x", registry.manifest(registry.resolve("b/y").digest), {"content": b"y"})
except MetaloomError as error:
    print(type(error).__name__, error)
"""


def point(*values: float) -> dict:
    """Facts with a fingerprint that begins with these values."""
    numbers = [*values, *[0.0] * (128 - len(values))]
    return {"fingerprint": {"probe": "p", "inputs": [], "values": numbers}}


@sqlite_only
def test_a_read_only_folder_can_be_searched_and_refuses_a_publish(registry, publish, tmp_path):
    publish("a/x", "int -> int", b"x", card="words", facts=point(1))
    publish("b/y", "int -> int", b"y", facts=point(2))
    registry.close()
    with tempfile.TemporaryDirectory() as top:  # pytest's own folders are its user's alone
        home = Path(top) / "hub"
        shutil.copytree(tmp_path / "hub", home)
        for folder, _, files in os.walk(top, topdown=False):
            for name in files:
                os.chmod(os.path.join(folder, name), 0o444)
            os.chmod(folder, 0o555)
        command = [sys.executable, "-c", READER, str(home)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        for folder, _, _ in os.walk(top):
            os.chmod(folder, 0o755)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["1 1", "['b/y']"], done.stderr
    assert lines[2].startswith("StorageError cannot write ")
    assert "writable" in lines[2]


@sqlite_only
def test_a_full_disk_under_the_database_keeps_the_old_state(registry, publish):
    publish("a/x", "int -> int", b"1", card="first")
    with registry.database.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar()
    registry.database.engine.dispose()

    def full(connection, _):
        connection.execute(f"PRAGMA max_page_count = {pages}")

    from sqlalchemy import event

    event.listen(registry.database.engine, "connect", full)
    with pytest.raises(StorageError, match=r"cannot write .*is full; make room on the disk"):
        publish("a/x", "int -> int", b"2", card="second " * 20_000)
    assert registry.resolve("a/x").number == 1
    assert found(registry.search("first")) == ["a/x"]
    event.remove(registry.database.engine, "connect", full)
    registry.database.engine.dispose()
    assert publish("a/x", "int -> int", b"2", card="second " * 20_000).number == 2


def test_a_full_disk_under_the_store_keeps_the_old_state(registry, publish, monkeypatch):
    publish("a/x", "int -> int", b"1")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"No space left on device; .*the disk has room"):
            publish("a/x", "int -> int", b"2")
    assert [version.number for version in registry.versions("a/x")] == [1]
    assert registry.verify().sound
    assert publish("a/x", "int -> int", b"2").number == 2


@sqlite_only
def test_a_full_disk_under_the_neighbours_is_nobodys_harm(registry, publish, monkeypatch):
    for i in range(3):
        publish(f"a/x{i}", "int -> int", bytes([i]), facts=point(i))
    like = registry.resolve("a/x0").reference

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        assert found(registry.finder.search(like=like)) == ["a/x1", "a/x2"]
    publish("a/x3", "int -> int", b"3", facts=point(0.25))
    assert found(registry.finder.search(like=like)) == ["a/x3", "a/x1", "a/x2"]


def test_a_clock_that_jumps_back_changes_no_order(new_registry, draft):
    times = iter([2e9, 1e9, 1.5e9, 1e6, 1e6, 1e6, 1e6, 1e6])
    registry = new_registry(now=lambda: next(times), validate=lambda *_: None)
    for content in (b"1", b"2", b"3"):
        made = draft("int -> int", content, card="word")
        registry.publish("a/x", made.manifest, made.files)
    listed = registry.versions("a/x")
    assert [version.number for version in listed] == [3, 2, 1]
    assert [version.created.year for version in listed] == [2017, 2001, 2033]
    assert registry.resolve("a/x").number == 3
    registry.set_alias("a/x@1", "champion")
    registry.set_alias("a/x@2", "champion")
    assert [move.number for move in registry.alias_history("a/x")] == [1, 2]
    assert [m.payload["reference"] for m in registry.outbox.pending(9)] == [
        "a/x@1", "a/x@2", "a/x@3"
    ]  # fmt: skip


@pytest.mark.parametrize("letters", ["x" * 10_000, "word " * 2_000, "é" * 10_000, "\0" * 10_000])
def test_a_query_of_ten_thousand_characters_is_refused(registry, letters):
    with pytest.raises(ParseError, match=r"a query of 10000 characters is too long; at most 1000"):
        registry.search(letters)


def test_a_query_with_a_zero_in_it_is_plain_text(registry, publish):
    publish("a/x", "int", b"1", card="two words")
    assert found(registry.search("two\0words")) == ["a/x"]


def test_a_cursor_of_another_query_or_of_none_is_refused(registry, publish):
    for i in range(4):
        publish(f"a/x{i}", "int -> int", bytes([i]), card="word", facts=point(i))
    find = registry.finder.search
    one, other = (registry.resolve(f"a/x{i}").reference for i in (0, 1))
    queries: list[dict[str, Any]] = [
        {"text": "word"},
        {"text": "words"},
        {"text": "word", "kind": "graph"},
        {"text": "word", "tags": ("t",)},
        {"type": parse_type("int -> int")},
        {"after": parse_type("a -> int")},
        {"before": parse_type("int -> a")},
        {"like": one},
        {"like": other},
        {"like": one, "text": "word"},
    ]
    cursors = [find(**query, limit=1).cursor for query in queries]
    for query in queries:
        for of, cursor in zip(queries, cursors, strict=True):
            if cursor is None:
                continue
            if of == query:
                assert len(find(**query, limit=1, cursor=cursor).items) == 1
            else:
                with pytest.raises(ParseError, match="the cursor is of another query; begin this"):
                    find(**query, limit=1, cursor=cursor)
    assert sum(cursor is not None for cursor in cursors) >= 8


@pytest.mark.parametrize("cursor", ["", "x", "e30", "é", "W10", "A" * 10_000, "\0"])
def test_what_is_no_cursor_is_refused(registry, cursor):
    with pytest.raises(ParseError, match="is not a cursor; give the one of the page before"):
        registry.finder.search("word", cursor=cursor)


@pytest.mark.parametrize(
    "place", [[1e999, 0, 0], ["a", 0, 0], [0, 1 << 70, 0], [0, 0], None, [[], 0, 0]]
)
def test_a_forged_place_in_a_cursor_is_refused(registry, place):
    import base64
    import json

    from metaloom_registry.catalogue.search.finding import Query

    forged = json.dumps({"query": Query("word").mark, "place": place}).encode()
    with pytest.raises(ParseError, match="is not a cursor"):
        registry.finder.search("word", cursor=base64.urlsafe_b64encode(forged).decode())


def test_a_name_that_differs_only_in_case_is_not_found_but_named(registry, publish):
    publish("vision/conv4")
    with pytest.raises(InvalidName, match=r"Vision .*case from vision, which is taken"):
        publish("Vision/other")
    with pytest.raises(NotFound, match="there is no block vision/CONV4; did you mean vision/conv4"):
        registry.resolve("vision/CONV4")


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_a_name_in_any_unicode_form_is_refused(registry, publish, form):
    name = unicodedata.normalize(form, "a/café")
    with pytest.raises(InvalidName, match="ASCII letters"):
        publish(name)
    assert registry.names().items == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a/con", "is a device on some systems"),
        ("NUL.x/b", "is a device on some systems"),
        ("a/x.git", "ends in .git"),
        ("a/х", "'х' is CYRILLIC SMALL LETTER HA"),
    ],
)
def test_a_name_that_no_folder_or_repository_can_have_is_refused(publish, name, said):
    with pytest.raises(InvalidName) as error:
        publish(name)
    assert said in str(error.value)


@pytest.mark.parametrize("name", ["a/ｘ", "a/х", "а/x", "a/ⅹ", "a/x\u200b"])
def test_a_name_that_only_looks_like_one_is_refused(registry, publish, name):
    publish("a/x")
    with pytest.raises(InvalidName, match="ASCII letters"):
        publish(name)
    with pytest.raises(InvalidName, match="ASCII letters"):
        registry.resolve(name)


def test_words_are_found_in_any_unicode_form(registry, publish):
    publish("a/x", "int", b"1", card=unicodedata.normalize("NFD", "Café prédit"))
    publish("a/y", "int", b"2", card=unicodedata.normalize("NFC", "Café prédit"))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        query = unicodedata.normalize(form, "CAFÉ prédit")
        assert sorted(found(registry.search(query))) == ["a/x", "a/y"]


def test_a_folder_opened_with_a_wrong_home_is_named(tmp_path):
    (tmp_path / "catalogue.db").mkdir()
    with pytest.raises(StorageError, match=r"catalogue\.db"):
        Registry.open(tmp_path)
