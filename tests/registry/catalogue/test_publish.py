"""Publishing: versions, names, parents, and nothing half done."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import event

from metaloom_registry import (
    BlockName,
    Digest,
    InvalidName,
    Manifest,
    NotFound,
    Parent,
    Reference,
    Refused,
    Registry,
    RunRecord,
    parse_type,
)
from metaloom_registry.storage import MemoryBlobs


def names_of(registry: Registry) -> list[str]:
    return [str(version) for version in registry.names().items]


def test_a_block_is_published_as_version_one(registry, publish):
    version = publish("vision/conv4", "image[1,28,28] -> vec[64]", b"weights", licence="MIT")
    assert version.name == BlockName("vision", "conv4")
    assert version.number == 1
    assert version.kind == "graph"
    assert version.type == parse_type("image[1,28,28] -> vec[64]")
    assert version.licence == "MIT"
    assert version.size == 7
    assert version.created == datetime.fromtimestamp(1_700_000_000, UTC)
    assert version.reference == Reference.parse("vision/conv4@1")
    assert version.exactly == Reference(None, version.digest)
    assert registry.read(version.digest, "content") == b"weights"


def test_new_bytes_under_a_name_are_its_next_version(publish):
    assert publish("vision/conv4", "int", b"1").number == 1
    assert publish("vision/conv4", "int", b"2").number == 2


def test_the_same_bytes_under_a_name_are_the_same_version(registry, publish):
    first = publish("vision/conv4", "int", b"1")
    publish("vision/conv4", "int", b"2")
    assert publish("vision/conv4", "int", b"1") == first
    assert len(registry.versions("vision/conv4")) == 2
    assert registry.outbox.waiting() == 2


def test_the_same_block_under_two_names_is_one_block_with_two_versions(registry, publish):
    one, other = publish("a/x"), publish("b/y")
    assert one.digest == other.digest
    assert (str(one), str(other)) == ("a/x@1", "b/y@1")
    assert registry.verify().blocks == 1


def test_a_name_that_differs_only_in_case_is_refused_with_the_one_there_is(registry, publish):
    publish("vision/conv4")
    with pytest.raises(InvalidName, match=r"vision/Conv4 .*case from vision/conv4.*use that"):
        publish("vision/Conv4", "int", b"2")
    with pytest.raises(InvalidName, match=r"namespace VISION .*case from vision,.*use that"):
        publish("VISION/other", "int", b"2")
    assert names_of(registry) == ["vision/conv4@1"]


@pytest.mark.parametrize(
    "name", ["../x", "", "x", "a/b/c", "a/" + "b" * 300, "a/b\n", "a/.b", "a/b--c", "é/x", "a/b@1"]
)
def test_an_invalid_name_is_refused_and_nothing_is_kept(registry, publish, name):
    with pytest.raises(InvalidName):
        publish(name)
    assert names_of(registry) == []
    assert list(registry.blobs.digests()) == []


def test_a_parent_has_to_be_there(registry, publish):
    with pytest.raises(NotFound, match=r"the parent sha256:.*publish or pull it first"):
        publish("me/child", parents=(Parent(Digest.of(b"nowhere"), "uses"),))
    assert names_of(registry) == []


def test_a_run_is_no_parent_of_a_manifest(registry, publish):
    run = registry.record_run(RunRecord("solve", 1.0, 2.0))
    with pytest.raises(NotFound, match="the parent"):
        publish("me/child", parents=(Parent(run),))


def test_the_run_that_made_a_block_has_to_be_recorded(registry, publish):
    with pytest.raises(NotFound, match=r"the run sha256:.*record it"):
        publish("me/solution", run=Digest.of(b"no run"))


def test_parts_are_published_with_what_uses_them_all_at_once(registry, publish, draft):
    base = publish("vision/conv4", "image[1,8,8] -> vec[2]", b"base")
    part = draft(
        "image[1,8,8] -> vec[2]", b"adapted", parents=(Parent(base.digest, "adapted-from"),)
    )
    whole = publish(
        "me/solution", "int", b"term", parents=(Parent(part.manifest.digest),), parts=(part,)
    )
    found = registry.resolve(Reference(None, part.manifest.digest))
    assert found.name is None
    assert found.number is None
    assert str(found) == f"@{part.manifest.digest}"
    assert [node.label for node in registry.lineage(whole.digest).nodes] == [
        "me/solution@1", f"@{part.manifest.digest.short}", "vision/conv4@1"
    ]  # fmt: skip


def test_parts_have_to_come_before_what_they_are_parts_of(registry, publish, draft):
    part = draft("int", b"part")
    parent = draft("int", b"other", parents=(Parent(part.manifest.digest),))
    with pytest.raises(NotFound):
        publish("me/solution", parts=(parent, part))
    assert names_of(registry) == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "lists the file 'content', which is not given"),
        ({"content": b"1", "more": b""}, "'more' is given, but the manifest does not list it"),
        ({"content": b"2"}, r"'content' has 1 bytes of digest sha256:.*promises 1 of"),
    ],
)
def test_files_that_are_not_the_manifests_are_refused(registry, draft, files, message):
    with pytest.raises(Refused, match=message):
        registry.publish("me/x", draft("int", b"1").manifest, files)
    assert names_of(registry) == []


def test_what_validation_refuses_is_not_kept(registry, draft):
    def refuse(manifest, files):
        raise Refused("op 'exec/1' is not in the table")

    strict = Registry(registry.blobs, registry.database, validate=refuse)
    made = draft()
    with pytest.raises(Refused, match="exec/1"):
        strict.publish("me/x", made.manifest, made.files)
    assert names_of(registry) == []
    assert list(registry.blobs.digests()) == []


class Stopped(MemoryBlobs):
    """A store in which someone presses Ctrl-C while the `n`-th blob is written."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.left = n

    def put(self, data: bytes) -> Digest:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().put(data)


@pytest.mark.parametrize("blob", [1, 2])
def test_ctrl_c_while_blobs_are_written_leaves_nothing_listed(registry, draft, blob):
    stopped = Registry(Stopped(blob), registry.database, validate=lambda *_: None)
    made = draft()
    with pytest.raises(KeyboardInterrupt):
        stopped.publish("me/x", made.manifest, made.files)
    assert names_of(registry) == []
    assert registry.outbox.waiting() == 0


@pytest.mark.parametrize("table", ["block", "version", "document", "outbox"])
def test_ctrl_c_in_the_transaction_leaves_the_old_state(registry, publish, table):
    publish("me/x", "int", b"1", card="old")

    def stop(connection, cursor, statement, *_):
        if statement.startswith((f"INSERT INTO {table}", f"UPDATE {table}")):
            raise KeyboardInterrupt

    event.listen(registry.database.engine, "before_cursor_execute", stop)
    with pytest.raises(KeyboardInterrupt):
        publish("me/x", "int", b"2", card="new")
    event.remove(registry.database.engine, "before_cursor_execute", stop)
    assert names_of(registry) == ["me/x@1"]
    assert registry.outbox.waiting() == 1
    assert publish("me/x", "int", b"2").number == 2


def test_a_publish_tells_the_mirrors(registry, publish):
    parent = publish("a/x")
    run = registry.record_run(RunRecord("solve", 1.0, 2.0))
    version = publish("me/s", "int", b"2", parents=(Parent(parent.digest, "uses"),), run=run)
    first, second = registry.outbox.pending(10)
    assert first.payload["reference"] == "a/x@1"
    assert second.kind == "publish"
    assert second.payload == {
        "reference": "me/s@1",
        "digest": str(version.digest),
        "kind": "graph",
        "signature": "int",
        "parents": [{"digest": str(parent.digest), "role": "uses"}],
        "parts": [],
        "solve": run.hex,
    }


def test_a_block_counts_how_many_blocks_came_from_it(registry, publish):
    parent = publish("a/x")
    for content in (b"2", b"3"):
        publish("me/s", "int", content, parents=(Parent(parent.digest, "uses"),))
    publish("me/s", "int", b"3", parents=(Parent(parent.digest, "uses"),))
    registry.mark_used([parent.digest])
    assert registry.resolve("a/x").uses == 3


def test_a_manifest_is_read_back_as_it_was(registry, publish, draft):
    made = draft("int -> int", b"1", card="# Hello", tags=("a", "b"), facts={"x": [1, 2.5]})
    version = registry.publish("a/x", made.manifest, made.files)
    assert registry.manifest(version.digest) == made.manifest
    assert version.facts == registry.search("hello").items[0].version.facts == made.manifest.facts
    assert registry.files(version.digest) == made.files
    assert Manifest.parse(registry.blobs.get(version.digest)) == made.manifest
