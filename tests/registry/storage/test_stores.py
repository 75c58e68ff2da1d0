"""The stores that ship, against the suite that ships."""

import errno
import os
import stat
import uuid

import pytest

from metaloom_registry import Digest, MissingExtra, StorageError
from metaloom_registry.storage import FolderBlobs, FsspecBlobs, MemoryBlobs
from metaloom_registry.testing import CollectableSuite


class TestMemoryBlobs(CollectableSuite):
    @pytest.fixture
    def store(self):
        return MemoryBlobs()

    def damage(self, store, digest, data):
        store.held[digest] = data


class TestFolderBlobs(CollectableSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return FolderBlobs(tmp_path / "not there yet" / "blobs")

    def damage(self, store, digest, data):
        path = store.path(digest)
        path.chmod(0o644)
        path.write_bytes(data)


class TestFsspecBlobs(CollectableSuite):
    @pytest.fixture
    def store(self):
        return FsspecBlobs(f"memory://{uuid.uuid4().hex}")

    def damage(self, store, digest, data):
        store.files.pipe_file(store.path(digest), data)


def test_a_blob_is_a_read_only_file_named_by_its_digest(tmp_path):
    digest = FolderBlobs(tmp_path).put(b"words")
    file = tmp_path / "sha256" / digest.hex[:2] / digest.hex[2:]
    assert file.read_bytes() == b"words"
    assert stat.S_IMODE(file.stat().st_mode) == 0o444


def test_a_blob_that_is_there_is_not_written_again(tmp_path):
    store = FolderBlobs(tmp_path)
    before = store.path(store.put(b"words")).stat()
    os.utime(store.path(Digest.of(b"words")), (1, 1))
    store.put(b"words")
    after = store.path(Digest.of(b"words")).stat()
    assert after.st_ino == before.st_ino
    assert after.st_mtime > 1, "a collection of old blobs must see that it was just put"


def test_nothing_is_left_where_a_write_fails(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    store = FolderBlobs(tmp_path)
    store.put(b"first")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device.*has room"):
        store.put(b"second")
    assert not store.has(Digest.of(b"second"))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_store_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"Not a directory.*writable"):
        FolderBlobs(tmp_path / "file").put(b"words")


def test_a_file_that_is_no_blob_is_not_listed(tmp_path):
    store = FolderBlobs(tmp_path)
    digest = store.put(b"words")
    (store.path(digest).parent / "notes.txt").write_text("mine")
    assert list(store.digests()) == [digest]


def test_what_only_looks_like_a_blob_is_not_listed(tmp_path):
    folder = FolderBlobs(tmp_path)
    remote = FsspecBlobs(f"memory://{uuid.uuid4().hex}")
    for store in (folder, remote):
        kept = store.put(b"words")
        for name in ("old/" + "0" * 62, "zz/" + "0" * 62, "ab/" + "x" * 62, "AB/" + "0" * 62):
            if store is folder:
                (tmp_path / "sha256" / name).parent.mkdir(exist_ok=True)
                (tmp_path / "sha256" / name).write_text("not ours")
            else:
                remote.files.pipe_file(f"{remote.root}/sha256/{name}", b"not ours")
        assert list(store.digests()) == [kept]


def test_a_store_that_cannot_be_listed_says_why(tmp_path, monkeypatch):
    store = FolderBlobs(tmp_path)
    store.put(b"words")

    def refused(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("pathlib.Path.iterdir", refused)
    with pytest.raises(StorageError, match=r"cannot list .*sha256: Permission denied; check"):
        list(store.digests())


def test_a_half_written_file_that_is_not_ours_to_remove_is_left(tmp_path, monkeypatch):
    store = FolderBlobs(tmp_path)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "theirs").write_bytes(b"half")
    os.utime(tmp_path / "tmp" / "theirs", (1, 1))

    def refused(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.unlink", refused)
        assert store.remove_unfinished(0) == 0
    assert store.remove_unfinished(0) == 1


def test_a_url_of_this_machine_is_for_a_folder_store(tmp_path):
    with pytest.raises(StorageError, match="FolderBlobs"):
        FsspecBlobs(f"file://{tmp_path}")


def test_a_missing_package_of_a_url_names_the_extra(monkeypatch):
    def missing(url, **options):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("metaloom_registry.storage.fsspec_store.url_to_fs", missing)
    with pytest.raises(MissingExtra, match=r"metaloom\[s3\]"):
        FsspecBlobs("s3://bucket")


def test_an_unknown_protocol_is_refused():
    with pytest.raises(StorageError, match="not the URL of a store"):
        FsspecBlobs("gopher-2://x")
