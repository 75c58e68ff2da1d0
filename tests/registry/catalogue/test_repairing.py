"""Repair: what was damaged comes back from a store that has it."""

import errno
import os
import subprocess
import sys

import pytest

from metaloom_registry import Digest, FolderBlobs, MemoryBlobs, NotFound, StorageError
from metaloom_registry.catalogue import collect, repair
from metaloom_registry.storage import CachedBlobs

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def damage(registry, digest, data):
    path = registry.blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(data)


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@sqlite_only
@pytest.mark.parametrize("bit", [0, 7, 39, 63])
def test_any_flipped_bit_is_found_and_restored(registry, publish, bit):
    version = publish("a/x", "int -> int", b"8 bytes!")
    copy = MemoryBlobs()
    for digest in registry.blobs.digests():
        copy.put(registry.blobs.get(digest))
    content = Digest.of(b"8 bytes!")
    damage(registry, content, flip(b"8 bytes!", bit))
    [problem] = registry.verify().problems
    assert problem.block == version.digest
    assert "is damaged" in problem.message
    assert repair(registry, copy).restored == (content,)
    assert registry.verify().sound


def test_a_lost_manifest_and_what_it_lists_are_restored(registry, publish):
    version = publish("a/x", "int -> int", b"content")
    copy = MemoryBlobs()
    for digest in registry.blobs.digests():
        copy.put(registry.blobs.get(digest))
    for digest in list(registry.blobs.digests()):
        registry.blobs.remove(digest)
    found = repair(registry, copy)
    assert found.restored == (version.digest, Digest.of(b"content"))
    assert found.problems == ()
    assert registry.verify().sound


@sqlite_only
def test_what_the_other_store_has_not_or_has_damaged_stays_a_problem(registry, publish):
    publish("a/x", "int -> int", b"content")
    lost = Digest.of(b"content")
    registry.blobs.remove(lost)
    other = MemoryBlobs()
    [problem] = repair(registry, other).problems
    assert f"{lost} cannot be restored" in problem.message
    other.held[lost] = b"contents"
    [problem] = repair(registry, other).problems
    assert "is damaged" in problem.message
    assert not registry.blobs.has(lost)


@pytest.mark.parametrize("harm", ["flipped", "lost"])
def test_what_a_remote_damaged_is_found_and_restored_past_the_copies_here(
    registry, publish, tmp_path, harm
):
    remote = MemoryBlobs()
    registry.blobs = CachedBlobs(remote, tmp_path / "copies")
    version = publish("a/x", "int -> int", b"8 bytes!")
    whole, lost = dict(remote.held), Digest.of(b"8 bytes!")
    if harm == "lost":
        remote.remove(lost)
    else:
        remote.held[lost] = flip(b"8 bytes!", 5)
    assert registry.blobs.get(lost) == b"8 bytes!", "there is a copy on this machine"
    [problem] = registry.verify().problems
    assert problem.block == version.digest
    other = MemoryBlobs()
    other.held = whole
    assert repair(registry, other).restored == (lost,)
    assert remote.get(lost) == b"8 bytes!"
    assert registry.verify().sound


@sqlite_only
def test_offline_the_copies_are_verified(registry, publish, tmp_path):
    remote = MemoryBlobs()
    registry.blobs = CachedBlobs(remote, tmp_path / "copies")
    publish("a/x", "int -> int", b"content")
    remote.held.clear()
    registry.blobs = CachedBlobs(remote, tmp_path / "copies", offline=True)
    assert registry.verify().sound


def test_a_block_that_is_taken_away_while_all_is_verified_is_no_problem(registry, publish):
    gone = publish("a/x", "int -> int", b"gone")
    publish("a/y", "int -> int", b"stays")
    digests = list(registry.digests())
    registry.custody.tombstone(gone.reference, "a mistake")
    assert len(collect(registry, grace=-1e10).removed) == 2
    registry.digests = lambda: digests
    assert registry.verify().sound
    with pytest.raises(NotFound, match="taken away for good: a mistake"):
        registry.verify(gone.reference)


class FullBlobs(MemoryBlobs):
    """A store whose disk is full after some puts."""

    def __init__(self, room):
        super().__init__()
        self.room = room

    def put(self, data):
        if self.room == 0:
            raise StorageError(f"cannot write: {os.strerror(errno.ENOSPC)}; check that it has room")
        self.room -= 1
        return super().put(data)


@pytest.mark.parametrize("room", [0, 1])
def test_a_disk_that_is_full_at_any_blob_leaves_the_old_state(registry, publish, draft, room):
    publish("a/x", "int -> int", b"first")
    registry.blobs = FullBlobs(room)
    made = draft("int -> int", b"second")
    with pytest.raises(StorageError, match=r"No space left.*has room"):
        registry.publish("a/x", made.manifest, made.files)
    assert [version.number for version in registry.versions("a/x")] == [1]
    registry.blobs.room = 5
    assert registry.publish("a/x", made.manifest, made.files).number == 2


MOUNTED = """
import os, sys
from metaloom_registry import Manifest, MetaloomError, Registry, parse_type
registry = Registry.open(sys.argv[1], validate=lambda *_: None)
published = 0
try:
    for i in range(100):
        files = {"content": os.urandom(200_000)}
        registry.publish("a/x", Manifest.of("graph", parse_type("int -> int"), files), files)
        published += 1
except MetaloomError as error:
    print(error)
print(published, len(registry.versions("a/x")), registry.verify().sound)
"""


def mounted(script, *arguments):
    """Run a shell script where it may mount file systems, or skip."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("file systems can not be mounted here")
    command = ["unshare", "-rm", "sh", "-euc", script, "sh", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    if "mount:" in done.stderr:
        pytest.skip(f"file systems can not be mounted here: {done.stderr}")
    return done


def test_a_disk_that_fills_up_keeps_all_that_was_published(tmp_path):
    script = 'mount -t tmpfs -o size=3m tmpfs "$1"; "$2" -c "$3" "$1/hub"'
    done = mounted(script, tmp_path, sys.executable, MOUNTED)
    said, state = done.stdout.splitlines()
    assert "No space left on device" in said or "make room" in said, done.stderr
    published, listed, sound = state.split()
    assert published == listed
    assert int(published) >= 5
    assert sound == "True"


@sqlite_only
def test_a_folder_on_a_disk_mounted_read_only_says_so(registry, publish, tmp_path):
    publish("a/x")
    registry.close()
    script = (
        'mount --bind "$1" "$1"; mount -o remount,bind,ro "$1"; '
        '"$2" -m metaloom list --home "$1" 2>&1 || true; '
        '"$2" -m metaloom publish me/x "(lam \\$0)" --home "$1" 2>&1 || true'
    )
    done = mounted(script, tmp_path / "hub", sys.executable)
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("error: "), lines
    assert "writable" in lines[-1]
    assert "Traceback" not in done.stdout


def test_a_put_of_what_is_there_is_no_error_on_a_disk_mounted_read_only(tmp_path, monkeypatch):
    store = FolderBlobs(tmp_path)
    digest = store.put(b"words")

    def read_only(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", read_only)
    assert store.put(b"words") == digest
