"""Reading: bytes are verified every time, and verification finds what is wrong."""

import pytest

from metaloom_registry import Corrupt, Digest, NotFound, Parent


def damage(registry, digest: Digest, change) -> None:
    path = registry.blobs.path(digest)
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(change(data))


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


CHANGES = [flipped, lambda data: data[: len(data) // 2], lambda data: b""]


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_file_is_never_given_out(registry, publish, change):
    version = publish("a/x", "int", b"weights " * 1000)
    file = registry.manifest(version.digest).files["content"]
    assert registry.read(version.digest, "content")
    damage(registry, file.digest, change)
    with pytest.raises(Corrupt) as error:
        registry.read(version.digest, "content")
    for part in (str(version.digest), "'content'", str(file.digest), "publish the block again"):
        assert part in str(error.value)


@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_manifest_is_never_given_out(registry, publish, change):
    version = publish("a/x")
    damage(registry, version.digest, change)
    with pytest.raises(Corrupt, match=rf"the block {version.digest}, manifest"):
        registry.manifest(version.digest)


def test_a_missing_file_of_a_listed_block_is_corrupt(registry, publish):
    version = publish("a/x")
    registry.blobs.path(registry.manifest(version.digest).files["content"].digest).unlink()
    with pytest.raises(Corrupt, match=r"holds no blob.*although it is listed"):
        registry.read(version.digest, "content")


def test_a_file_the_block_does_not_have_is_not_found(registry, publish):
    version = publish("a/x")
    with pytest.raises(NotFound, match=r"has no file '../../etc/passwd'; it has content"):
        registry.read(version.digest, "../../etc/passwd")


def test_publishing_again_makes_damage_good(registry, publish):
    version = publish("a/x")
    damage(registry, registry.manifest(version.digest).files["content"].digest, flipped)
    assert publish("a/x") == version
    assert registry.verify("a/x").sound


def test_verification_counts_what_it_read(registry, publish):
    parent = publish("a/x", "int", b"123")
    child = publish("a/y", "int", b"45", parents=(Parent(parent.digest),))
    report = registry.verify()
    manifests = sum(len(registry.blobs.get(v.digest)) for v in (parent, child))
    assert (report.blocks, report.files, report.size) == (2, 2, manifests + 5)
    assert report.sound


def test_verification_names_each_damaged_block_and_goes_on(registry, publish):
    versions = [publish("a/x", "int", bytes([i])) for i in range(4)]
    registry.manifest(versions[1].digest)
    damage(registry, versions[1].digest, flipped)
    damage(registry, registry.manifest(versions[2].digest).files["content"].digest, flipped)
    report = registry.verify()
    assert report.blocks == 4
    assert [problem.block for problem in report.problems] == [
        versions[1].digest, versions[2].digest
    ]  # fmt: skip
    assert "manifest" in report.problems[0].message
    assert "file 'content'" in report.problems[1].message


def test_one_block_can_be_verified_alone(registry, publish):
    publish("a/x", "int", b"1")
    damage(registry, publish("a/y", "int", b"2").digest, flipped)
    assert registry.verify("a/x").sound
    assert not registry.verify("a/y").sound


def test_a_remembered_block_that_was_taken_away_says_so(registry, publish):
    block = publish("a/x", "int -> int", b"gone")
    assert registry.read(block.digest, "content") == b"gone"
    registry.custody.tombstone(block.reference, "a mistake")
    for digest in list(registry.blobs.digests()):
        registry.blobs.remove(digest)
    with pytest.raises(NotFound, match="taken away for good: a mistake"):
        registry.read(block.digest, "content")
