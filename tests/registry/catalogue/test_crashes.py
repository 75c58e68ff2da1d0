"""Many processes and killed ones: the old state or the new one, and nothing lost."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import URL
from tests.registry.catalogue.killing import start, tries
from tests.registry.storage.conftest import bucket as bucket
from tests.registry.storage.conftest import s3 as s3

from metaloom_registry import FolderBlobs, Manifest, Registry, parse_type
from metaloom_registry.catalogue import Database
from metaloom_registry.catalogue.schema.database import sqlite_url

PUBLISHER = """
folder, number = Path(sys.argv[1]), int(sys.argv[2])
(folder / f"ready{number}").touch()
while len(list(folder.glob("ready*"))) < 3:
    time.sleep(0.001)
registry = Registry.open(folder / "hub", validate=accept)
for i in range(5):
    own = publish(registry, "team/shared", f"{number} {i}".encode(), card=f"by {number}")
    publish(registry, "team/same", f"{i}".encode())
    publish(registry, f"team{i}/p{number}", b"x", parents=(Parent(own.digest),))
"""

KILLED = """
folder = Path(sys.argv[1]) / "first"
first = Registry.open(folder, validate=accept)
publish(first, "a/x", b"first", card="first")
first.close()
killed_at_every_step(
    copies_of(folder),
    lambda registry, n: publish(registry, "a/x", b"second", card="second"),
    os,
    ("fsync", "replace", "mkdir", "open"),
)
"""

ELSEWHERE = """
from metaloom_registry import FolderBlobs
from metaloom_registry.catalogue import Database
from metaloom_registry.storage import FsspecBlobs

url, place, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
kind = FsspecBlobs if options else FolderBlobs
killed_at_every_step(
    lambda n: Registry(kind(place, **options), Database(url), validate=accept),
    lambda registry, n: publish(registry, f"a/x{n}", b"%d" % n, card="after"),
    kind,
    ("put",),
    statements=not options,
)
"""


def test_three_processes_on_one_new_folder_lose_nothing(tmp_path: Path):
    running = [start(PUBLISHER, tmp_path, number) for number in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    registry = Registry.open(tmp_path / "hub")
    shared = registry.versions("team/shared")
    assert [version.number for version in shared] == list(range(15, 0, -1))
    contents = {registry.read(version.digest, "content").decode() for version in shared}
    assert contents == {f"{number} {i}" for number in range(3) for i in range(5)}
    assert len(registry.versions("team/same")) == 5
    assert len(registry.names("team", limit=1000).items) == 2 + 15
    assert all(version.uses == 1 for version in shared)
    assert registry.outbox.waiting() == 15 + 5 + 15
    assert registry.verify().sound


def test_publishers_of_one_name_at_once_get_every_number_once(registry, draft):
    publishers = [
        Registry(registry.blobs, Database(registry.database.url), validate=lambda *_: None)
        for _ in range(3)
    ]
    together = Barrier(len(publishers))

    def publish(number: int) -> list[int]:
        numbers: list[int] = []
        for i in range(4):
            together.wait(60)  # each name is new to all of them
            for name in (f"team/x{i}", "team/shared"):
                made = draft("int -> int", f"{name} {number} {i}".encode())
                version = publishers[number].publish(name, made.manifest, made.files)
                numbers.append(version.number or 0)
        return numbers

    with ThreadPoolExecutor(len(publishers)) as pool:
        given = list(pool.map(publish, range(len(publishers))))
    for i in range(4):
        assert sorted(numbers[2 * i] for numbers in given) == [1, 2, 3]
    shared = sorted(number for numbers in given for number in numbers[1::2])
    assert shared == list(range(1, 13))
    assert len(registry.versions("team/shared")) == 12
    assert registry.verify().sound
    for publisher in publishers:
        publisher.close()


def test_a_new_catalogue_that_another_process_begins_to_write_is_waited_for(tmp_path: Path):
    other = sqlite3.connect(tmp_path / "catalogue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # SQLite refuses the change to WAL at once in this state
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(Registry.open, tmp_path)
        with pytest.raises(TimeoutError):
            opened.result(timeout=0.3)
        other.close()
        assert opened.result(timeout=60).names("", limit=1).items == ()


def test_a_publish_killed_at_any_step_leaves_the_old_or_the_new_state(tmp_path: Path):
    count = tries(KILLED, tmp_path)
    assert count > 20, "the publish has many steps"
    after = [_state_after(tmp_path / f"hub{n}") for n in range(count)]
    assert after == sorted(after), "once the new state is there it stays"
    assert after[0] == 1
    assert after[-1] == 2


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_so_does_one_killed_on_postgresql(database, tmp_path: Path):
    blobs = FolderBlobs(tmp_path / "blobs")
    _check_killed_elsewhere(database(), blobs, str(blobs.folder), {}, 15)


def test_so_does_one_killed_whose_blobs_are_in_s3(tmp_path: Path, bucket, s3):
    blobs = bucket()
    _check_killed_elsewhere(sqlite_url(str(tmp_path / "hub.db")), blobs, blobs.url, s3, 4)


def _check_killed_elsewhere(url: URL, blobs, place: str, options: dict, least: int) -> None:
    """Publishes of a name each, killed one step later each, into one database and store."""
    registry = Registry(blobs, Database(url), validate=lambda *_: None)

    def publish(name: str, content: bytes, card: str) -> int | None:
        files = {"content": content}
        manifest = Manifest.of("graph", parse_type("int -> int"), files, card=card)
        return registry.publish(name, manifest, files).number

    publish("a/first", b"first", "before")
    shown = url.render_as_string(hide_password=False)
    count = tries(ELSEWHERE, shown, place, json.dumps(options))
    assert count >= least
    there = {str(version.name) for version in registry.names("a/x", limit=1000).items}
    after = [f"a/x{n}" in there for n in range(count)]
    assert after == sorted(after), "once the new state is reached it stays"
    assert (after[0], after[-1]) == (False, True)
    assert len(registry.search("after", limit=1000).items) == len(there)
    assert registry.outbox.waiting() == 1 + len(there)
    assert registry.verify().sound
    for n in range(count):
        assert publish(f"a/x{n}", b"%d" % n, "after") == 1, "and it can be published as before"
    assert registry.verify().sound
    registry.close()


def _state_after(folder: Path) -> int:
    """The version that stands after a crash, once it is certain that all is sound."""
    registry = Registry.open(folder, validate=lambda *_: None)
    number = registry.resolve("a/x").number
    assert number in (1, 2)
    assert len(registry.versions("a/x")) == number == registry.outbox.waiting()
    words = "first" if number == 1 else "second"
    assert [hit.version.number for hit in registry.search(words).items] == [number]
    assert registry.verify().sound
    manifest = registry.manifest(registry.resolve("a/x@1").digest)
    again = registry.publish("a/x", manifest, {"content": b"first"})
    assert again.number == 1, "and it can be published to as before"
    registry.close()
    return number


@pytest.mark.parametrize("left_over", ["tmp/half", "sha256/ab"])
def test_what_a_killed_process_left_in_the_store_is_in_nobodys_way(registry, publish, left_over):
    path = registry.blobs.folder / left_over
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if left_over.endswith("ab") else path.write_bytes(b"half a blob")
    publish("a/x")
    assert registry.verify().sound
