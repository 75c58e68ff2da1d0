"""Copies of remote blobs: checked, limited, and all there is offline."""

import errno
import os

import pytest

from metaloom_registry import Corrupt, Digest, NotFound, StorageError
from metaloom_registry.storage import CachedBlobs, FolderBlobs, MemoryBlobs, open_blobs
from metaloom_registry.testing import CollectableSuite


class CountedBlobs(MemoryBlobs):
    """Notes what is read, and serves what it was told to."""

    def __init__(self):
        super().__init__()
        self.reads = []
        self.lies = {}
        self.broken = False

    def get(self, digest):
        self.reads.append(digest)
        if self.broken:
            raise StorageError("the connection was lost in the middle of a blob")
        return self.lies.get(digest) or super().get(digest)


@pytest.fixture
def remote():
    return CountedBlobs()


class TestCachedBlobs(CollectableSuite):
    @pytest.fixture
    def store(self, remote, tmp_path):
        return CachedBlobs(remote, tmp_path)

    def damage(self, store, digest, data):
        store.remote.held[digest] = data
        store.copies.remove(digest)


def test_a_blob_is_read_over_the_network_once(remote, tmp_path):
    digest = remote.put(b"words")
    store = CachedBlobs(remote, tmp_path)
    assert [store.get(digest), store.get(digest)] == [b"words"] * 2
    assert CachedBlobs(remote, tmp_path).get(digest) == b"words"
    assert remote.reads == [digest]


def test_a_damaged_copy_is_fetched_again(remote, tmp_path):
    digest = remote.put(b"words")
    store = CachedBlobs(remote, tmp_path)
    store.get(digest)
    copy = store.copies.path(digest)
    copy.chmod(0o644)
    copy.write_bytes(b"worms")
    assert store.get(digest) == b"words"
    assert copy.read_bytes() == b"words"


def test_a_remote_that_serves_other_bytes_than_asked_is_caught_and_nothing_is_kept(
    remote, tmp_path
):
    digest = remote.put(b"words")
    remote.lies[digest] = b"swords"
    store = CachedBlobs(remote, tmp_path)
    with pytest.raises(
        Corrupt, match=f"what the remote serves as {digest}.*{Digest.of(b'swords')}"
    ):
        store.get(digest)
    assert not store.copies.has(digest)
    remote.lies.clear()
    assert store.get(digest) == b"words"


def test_a_lost_connection_leaves_nothing_behind_and_the_next_read_goes_on(remote, tmp_path):
    digest = remote.put(b"words")
    store = CachedBlobs(remote, tmp_path)
    remote.broken = True
    with pytest.raises(StorageError, match="connection was lost"):
        store.get(digest)
    assert list(store.copies.digests()) == []
    remote.broken = False
    assert store.get(digest) == b"words"


def test_offline_there_are_the_copies_and_nothing_is_asked(remote, tmp_path):
    here, there = remote.put(b"here"), remote.put(b"there")
    CachedBlobs(remote, tmp_path).get(here)
    remote.reads.clear()
    store = CachedBlobs(remote, tmp_path, offline=True)
    assert store.get(here) == b"here"
    assert (store.has(here), store.has(there)) == (True, False)
    assert list(store.digests()) == [here]
    with pytest.raises(StorageError, match=f"{there}, of which there is no copy.*METALOOM_OFFLINE"):
        store.get(there)
    with pytest.raises(StorageError, match="METALOOM_OFFLINE"):
        store.put(b"new")
    assert remote.reads == []


def test_beyond_the_limit_the_copies_go_that_were_used_longest_ago(remote, tmp_path):
    store = CachedBlobs(remote, tmp_path, limit=3_500)
    digests = [remote.put(bytes([i]) * 1000) for i in range(5)]
    for age, digest in enumerate(digests[:3]):
        store.get(digest)
        os.utime(store.copies.path(digest), (age, age))
    store.get(digests[0])  # used again: now the youngest
    store.get(digests[3])
    assert set(store.copies.digests()) == {digests[0], digests[2], digests[3]}
    assert CachedBlobs(remote, tmp_path, limit=3_500).get(digests[1]) == b"\1" * 1000


def test_the_limit_counts_what_another_process_left(remote, tmp_path):
    digests = [remote.put(bytes([i]) * 1000) for i in range(6)]
    for digest in digests[:3]:
        CachedBlobs(remote, tmp_path, limit=3_500).get(digest)
    CachedBlobs(remote, tmp_path, limit=3_500).get(digests[3])
    assert len(list(FolderBlobs(tmp_path).digests())) == 3


def test_processes_that_share_a_folder_keep_the_limit_together(remote, tmp_path):
    stores = [CachedBlobs(remote, tmp_path, limit=10_000) for _ in range(3)]
    for i in range(8):
        for number, store in enumerate(stores):
            store.get(remote.put(bytes([i, number]) * 500))
    kept = sum(len(stores[0].copies.get(digest)) for digest in stores[0].copies.digests())
    assert 8_000 <= kept <= 13_000, "each may be a tenth beyond it"


def test_a_blob_larger_than_the_limit_is_read_and_not_kept(remote, tmp_path):
    digest = remote.put(b"x" * 1000)
    store = CachedBlobs(remote, tmp_path, limit=999)
    assert len(store.get(digest)) == 1000
    assert list(store.copies.digests()) == []


def test_a_full_disk_under_the_copies_is_no_error_of_reading(remote, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    digest = remote.put(b"words")
    monkeypatch.setattr(os, "fsync", full)
    store = CachedBlobs(remote, tmp_path)
    assert store.get(digest) == b"words"
    assert list(store.copies.digests()) == []


def in_the_way(store, digest):
    """Something at the place of a copy that can be neither read nor removed, whoever asks."""
    place = store.copies.path(digest)
    place.unlink(missing_ok=True)
    place.mkdir(parents=True)


def test_a_copy_that_cannot_be_read_is_fetched_anew_and_offline_is_an_error(remote, tmp_path):
    digest = remote.put(b"words")
    store = CachedBlobs(remote, tmp_path)
    in_the_way(store, digest)
    assert store.get(digest) == b"words"
    with pytest.raises(StorageError, match=f"cannot read {store.copies.path(digest)}"):
        CachedBlobs(remote, tmp_path, offline=True).get(digest)


def test_a_copy_that_cannot_be_removed_does_not_stop_an_eviction(remote, tmp_path):
    store = CachedBlobs(remote, tmp_path, limit=6_000)
    digests = [remote.put(bytes([i]) * 1000) for i in range(8)]
    in_the_way(store, digests[0])
    os.utime(store.copies.path(digests[0]), (0, 0))
    for age, digest in enumerate(digests[1:], 1):
        assert len(store.get(digest)) == 1000
        os.utime(store.copies.path(digest), (age, age))
    assert digests[0] in set(store.copies.digests())
    assert digests[7] in set(store.copies.digests())
    assert digests[1] not in set(store.copies.digests())


def test_what_killed_readers_left_half_written_is_removed_before_long(remote, tmp_path):
    store = CachedBlobs(remote, tmp_path)
    (tmp_path / "tmp").mkdir()
    old, young = tmp_path / "tmp" / "old", tmp_path / "tmp" / "young"
    for file in (old, young):
        file.write_bytes(b"wor")
    os.utime(old, (1, 1))
    assert store.get(remote.put(b"words")) == b"words"
    assert (old.exists(), young.exists()) == (False, True), "the young one may be being written"


def test_a_copy_that_is_evicted_while_it_is_read_is_fetched_anew(remote, tmp_path, monkeypatch):
    digest = remote.put(b"words")
    store = CachedBlobs(remote, tmp_path)
    store.get(digest)
    marked = os.utime

    def evicted(path):
        os.unlink(path)
        marked(path)

    monkeypatch.setattr(os, "utime", evicted)
    assert store.get(digest) == b"words"
    monkeypatch.undo()
    assert not store.copies.has(digest)
    assert store.get(digest) == b"words"
    assert store.copies.has(digest)


def test_what_the_remote_has_not_is_not_found(remote, tmp_path):
    with pytest.raises(NotFound):
        CachedBlobs(remote, tmp_path).get(Digest.of(b"never put"))


def test_an_address_is_a_folder_or_a_url_with_copies(tmp_path):
    assert isinstance(open_blobs(tmp_path / "blobs", tmp_path), FolderBlobs)
    one = open_blobs("memory://one", tmp_path / "cache")
    two = open_blobs("memory://two", tmp_path / "cache")
    assert isinstance(one, CachedBlobs)
    assert isinstance(two, CachedBlobs)
    assert one.copies.folder != two.copies.folder
