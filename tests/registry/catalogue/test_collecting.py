"""Garbage collection: what nothing lists goes, whoever publishes meanwhile."""

import os
import threading
from typing import Any, cast

import pytest
from tests.registry.catalogue.conftest import NOW
from tests.registry.catalogue.killing import tries

from metaloom_registry import (
    Digest,
    FolderBlobs,
    MemoryBlobs,
    NotFound,
    Parent,
    Registry,
    StorageError,
)
from metaloom_registry.catalogue import Database, collect

OLD = NOW - 1_000_000


def age(registry, digest, when=OLD):
    os.utime(registry.blobs.path(digest), (when, when))


def test_what_no_block_has_is_removed_once_it_is_old_enough(registry, publish):
    kept = publish("a/x", "int -> int", b"kept")
    old, young = registry.blobs.put(b"old"), registry.blobs.put(b"young")
    for digest in registry.blobs.digests():
        age(registry, digest)
    age(registry, young, NOW - 10)
    dry = collect(registry, grace=60, dry=True)
    assert dry.removed == (old,)
    assert registry.blobs.has(old)
    found = collect(registry, grace=60)
    assert (found.removed, found.spared) == ((old,), 1)
    assert (registry.blobs.has(old), registry.blobs.has(young)) == (False, True)
    assert registry.verify().sound
    assert registry.read(kept.digest, "content") == b"kept"


def test_parents_parts_and_yanked_versions_are_spared(registry, publish, draft):
    first = publish("a/x", "int -> int", b"first")
    publish("a/x", "int -> int", b"second", parents=(Parent(first.digest),))
    publish("a/y", "int -> int", b"whole", parts=[draft("int -> int", b"part")])
    registry.yank("a/x@1")
    for digest in registry.blobs.digests():
        age(registry, digest)
    assert collect(registry, grace=0).removed == ()
    assert registry.verify().sound


def test_a_blob_from_the_future_is_spared_after_the_clock_jumped_back(registry):
    age(registry, registry.blobs.put(b"tomorrow"), NOW + 86_400)
    assert collect(registry, grace=0).removed == ()


def test_nothing_is_removed_while_a_manifest_cannot_be_read(registry, publish):
    block = publish("a/x")
    old = registry.blobs.put(b"old")
    age(registry, old)
    registry.blobs.remove(block.digest)
    with pytest.raises(StorageError, match=r"nothing is removed.*metaloom repair"):
        collect(registry, grace=0)
    assert registry.blobs.has(old)


def test_half_written_files_go_too(registry, publish):
    publish("a/x")
    half = registry.blobs.folder / "tmp" / "half"
    half.write_bytes(b"half")
    os.utime(half, (OLD, OLD))
    assert collect(registry).unfinished == 1
    assert not half.exists()


def test_a_store_that_cannot_remove_is_named(registry):
    class Plain:
        def __getattr__(self, name):
            if name in ("remove", "last_put"):
                raise AttributeError(name)

    plain: Any = Registry(cast(Any, Plain()), registry.database)
    with pytest.raises(StorageError, match="Plain cannot remove blobs"):
        collect(plain)


def test_a_publish_whose_blobs_were_removed_before_it_was_listed_puts_them_again(
    registry, publish, draft
):
    class Racing(MemoryBlobs):
        """Lets a collection run between the blobs of a publish and its transaction."""

        races = 1

        def put(self, data):
            digest = super().put(data)
            self._put[digest] = OLD
            if data.startswith(b"{") and self.races:  # the manifest is put last
                self.races -= 1
                assert len(collect(racing, grace=0).removed) == 2
            return digest

    blobs = Racing()
    racing = Registry(blobs, registry.database, now=lambda: NOW, validate=lambda *_: None)
    made = draft("int -> int", b"raced")
    version = racing.publish("a/raced", made.manifest, made.files)
    assert blobs.races == 0
    assert racing.read(version.digest, "content") == b"raced"


def test_a_publish_need_not_wait_for_the_end_of_a_collection(registry, draft):
    class Collecting(MemoryBlobs):
        """Is swept, of other blobs, between those of each publish and its transaction."""

        puts = 0

        def put(self, data):
            self.puts += 1
            digest = super().put(data)
            if data.startswith(b"{"):
                garbage = super().put(b"garbage %d" % self.puts)
                self._put[garbage] = OLD
                assert collect(publisher, grace=60).removed == (garbage,)
            return digest

    blobs = Collecting(now=lambda: NOW)
    publisher = Registry(blobs, registry.database, now=lambda: NOW, validate=lambda *_: None)
    made = draft("int -> int", b"content")
    assert publisher.publish("a/x", made.manifest, made.files).number == 1
    assert blobs.puts == 2, "each blob once"
    assert publisher.verify().sound


class Broken(MemoryBlobs):
    """Gives up after one removal, as a killed process or a lost network does."""

    def remove(self, digest):
        super().remove(digest)
        raise KeyboardInterrupt


def test_a_publish_whose_blobs_a_broken_collection_removed_puts_them_again(
    registry, publish, draft
):
    put, broken = threading.Event(), threading.Event()

    class Racing(Broken):
        """Lets a publish put its blobs once a collection has begun, and list them once it broke."""

        def put(self, data):
            digest = super().put(data)
            self._put[digest] = OLD
            if data.startswith(b"{"):  # the manifest is put last
                put.set()
                broken.wait(60)
            return digest

        def digests(self):
            publishing.start()
            put.wait(60)
            return super().digests()

    racing = Registry(Racing(), registry.database, now=lambda: NOW, validate=lambda *_: None)
    made = draft("int -> int", b"raced")
    publishing = threading.Thread(
        target=racing.publish, args=("a/raced", made.manifest, made.files)
    )
    with pytest.raises(KeyboardInterrupt):
        collect(racing, grace=0)
    broken.set()
    publishing.join()
    assert racing.read(racing.resolve("a/raced").digest, "content") == b"raced"


def test_what_a_broken_collection_left_is_removed_by_the_next(registry, publish):
    kept = publish("a/x")
    blobs = Broken()
    blobs.held = {d: registry.blobs.get(d) for d in registry.blobs.digests()}
    for i in range(3):
        blobs.put(f"garbage {i}".encode())
    blobs._put = dict.fromkeys(blobs.held, OLD)
    breaking = Registry(blobs, registry.database, now=lambda: NOW)
    with pytest.raises(KeyboardInterrupt):
        collect(breaking, grace=0)
    whole = MemoryBlobs()
    whole.held, whole._put = blobs.held, blobs._put
    again = Registry(whole, registry.database, now=lambda: NOW)
    assert len(collect(again, grace=0).removed) == 2
    assert again.read(kept.digest, "content") == b"1"
    assert collect(again, grace=0).removed == ()


def test_publishing_while_collections_without_grace_run_loses_nothing(registry, publish):
    registry.now = lambda: NOW * 2  # every blob is old at once
    stop = threading.Event()
    removed: list[Digest] = []

    def forever():
        while not stop.is_set():
            removed.extend(collect(registry, grace=0).removed)

    for i in range(200):
        registry.blobs.put(f"garbage {i}".encode())
    thread = threading.Thread(target=forever)
    thread.start()
    try:
        for i in range(15):
            publish(f"a/x{i}", "int -> int", f"content {i}".encode())
            registry.blobs.put(f"more garbage {i}".encode())
    finally:
        stop.set()
        thread.join()
    assert len(removed) >= 200
    assert registry.verify().sound
    assert registry.verify().blocks == 15


KILLED = """
from metaloom_registry.catalogue import collect

folder = Path(sys.argv[1]) / "first"
first = Registry.open(folder, validate=accept)
publish(first, "a/x", b"first")
for i in range(3):
    first.blobs.put(f"garbage {i}".encode())
first.close()
killed_at_every_step(
    copies_of(folder), lambda registry, n: collect(registry, grace=-3600), os, ("unlink", "fsync")
)
"""


def test_a_collection_killed_at_any_step_loses_no_blob_that_is_listed(tmp_path):
    count = tries(KILLED, tmp_path)
    assert count > 5
    for n in range(count):
        registry = Registry.open(tmp_path / f"hub{n}", validate=lambda *_: None)
        assert registry.verify().sound
        collect(registry, grace=-3600)
        assert len(list(registry.blobs.digests())) == 2
        registry.close()


KILLED_ELSEWHERE = """
from metaloom_registry import FolderBlobs
from metaloom_registry.catalogue import Database, collect

url, place = sys.argv[1:]

def opened(n):
    registry = Registry(FolderBlobs(place), Database(url), validate=accept)
    for i in range(2):
        registry.blobs.put(f"garbage {n} {i}".encode())
    return registry

def work(registry, n):
    publish(registry, "a/x", f"garbage {n} 0".encode())
    collect(registry, grace=-3600)

killed_at_every_step(opened, work, os, ("unlink",), statements=False)
"""


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_nor_does_one_killed_on_postgresql(database, tmp_path):
    url, blobs = database(), FolderBlobs(tmp_path / "blobs")
    count = tries(KILLED_ELSEWHERE, url.render_as_string(hide_password=False), blobs.folder)
    assert count > 5
    registry = Registry(blobs, Database(url), validate=lambda *_: None)
    assert registry.verify().sound
    collect(registry, grace=-3600)
    report = registry.verify()
    assert report.sound
    assert report.blocks == len(registry.versions("a/x"))
    assert len(list(blobs.digests())) == report.blocks + report.files
    registry.close()


def test_a_tombstone_lets_the_bytes_go_but_not_those_another_block_has(registry, publish):
    shared = publish("a/x", "int -> int", b"shared")
    publish("a/y", "int -> bool", b"shared")
    alone = publish("a/z", "int -> int", b"alone")
    for version in (shared, alone):
        registry.custody.tombstone(version.reference, "a mistake")
    for digest in registry.blobs.digests():
        age(registry, digest)
    gone = {shared.digest, alone.digest, Digest.of(b"alone")}
    assert set(collect(registry, grace=0).removed) == gone
    assert registry.verify().sound
    with pytest.raises(NotFound, match="taken away for good: a mistake"):
        registry.manifest(alone.digest)
