"""What every `BlobStore` has to do, and what one from which blobs can be removed, as tests.

class TestS3(BlobStoreSuite):
    @pytest.fixture
    def store(self): return ...                       # an empty store

    def damage(self, store, digest, data): ...        # put other bytes behind its back
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from metaloom_registry.digest import Digest
from metaloom_registry.errors import Corrupt, NotFound
from metaloom_registry.storage.store import BlobStore, Collectable

CLOCK_STEP = 1.0
"""Seconds by which a store's times may be rounded: those of S3 are whole."""

MEBIBYTE = bytes(range(256)) * 4096


class BlobStoreSuite:
    """Subclass it, with a fixture `store` that gives an empty store, and `damage`."""

    @pytest.fixture
    def store(self) -> BlobStore:
        raise NotImplementedError("give a fixture `store` that returns an empty store")

    def damage(self, store: BlobStore, digest: Digest, data: bytes) -> None:
        """Replace the bytes of a blob behind the store's back."""
        raise NotImplementedError("replace the bytes kept under the digest by these")

    @pytest.mark.parametrize("data", [b"", b"\0", b"words", MEBIBYTE])
    def test_what_is_put_is_got_under_its_digest(self, store: BlobStore, data: bytes) -> None:
        digest = store.put(data)
        assert digest == Digest.of(data)
        assert store.get(digest) == data
        assert store.has(digest)

    def test_putting_the_same_bytes_twice_keeps_them_once(self, store: BlobStore) -> None:
        first, second = store.put(b"same"), store.put(b"same")
        assert first == second
        assert list(store.digests()) == [first]

    def test_bytes_that_were_never_put_are_not_found(self, store: BlobStore) -> None:
        digest = Digest.of(b"never put")
        assert not store.has(digest)
        with pytest.raises(NotFound, match=str(digest)):
            store.get(digest)

    def test_the_digests_are_those_of_all_that_was_put(self, store: BlobStore) -> None:
        assert list(store.digests()) == []
        put = {store.put(bytes([i])) for i in range(20)}
        assert set(store.digests()) == put

    @pytest.mark.parametrize("change", ["flipped", "truncated", "emptied", "lengthened"])
    def test_damaged_bytes_are_an_error_that_names_both_digests(
        self, store: BlobStore, change: str
    ) -> None:
        good = b"the weights of a network"
        digest = store.put(good)
        bad = {
            "flipped": bytes([good[0] ^ 1]) + good[1:],
            "truncated": good[:-1],
            "emptied": b"",
            "lengthened": good + b"\0",
        }[change]
        self.damage(store, digest, bad)
        with pytest.raises(Corrupt) as error:
            store.get(digest)
        assert str(digest) in str(error.value)
        assert str(Digest.of(bad)) in str(error.value)

    def test_putting_the_bytes_again_makes_damage_good(self, store: BlobStore) -> None:
        digest = store.put(b"precious")
        self.damage(store, digest, b"rotten")
        assert store.put(b"precious") == digest
        assert store.get(digest) == b"precious"

    def test_many_threads_may_put_and_get_at_once(self, store: BlobStore) -> None:
        blobs = [bytes([i % 8]) * 10_000 for i in range(64)]
        with ThreadPoolExecutor(8) as threads:
            digests = list(threads.map(store.put, blobs))
            assert list(threads.map(store.get, digests)) == blobs
        assert len(list(store.digests())) == 8


class CollectableSuite(BlobStoreSuite):
    """What a `Collectable` store has to do besides; subclass it as a `BlobStoreSuite`."""

    @pytest.fixture
    def store(self) -> Collectable:
        raise NotImplementedError("give a fixture `store` that returns an empty store")

    def test_what_is_removed_is_gone_and_the_rest_stays(self, store: Collectable) -> None:
        gone, stays = store.put(b"gone"), store.put(b"stays")
        store.remove(gone)
        assert not store.has(gone)
        assert list(store.digests()) == [stays]
        with pytest.raises(NotFound, match=str(gone)):
            store.get(gone)
        assert store.get(stays) == b"stays"

    def test_removing_what_is_not_there_is_no_error(self, store: Collectable) -> None:
        store.remove(Digest.of(b"never put"))

    def test_what_was_removed_can_be_put_again(self, store: Collectable) -> None:
        digest = store.put(b"again")
        store.remove(digest)
        assert store.get(store.put(b"again")) == b"again"

    def test_a_store_says_when_bytes_were_last_put(self, store: Collectable) -> None:
        before = time.time()
        digest = store.put(b"words")
        assert before - CLOCK_STEP <= store.last_put(digest) <= time.time() + CLOCK_STEP
        with pytest.raises(NotFound, match="holds no blob"):
            store.last_put(Digest.of(b"never put"))
