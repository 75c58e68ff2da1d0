"""A block as a folder or archive, taken to another library or loaded by itself."""

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from metaloom.exchange import import_block, load_program, portable_of
from metaloom_registry import (
    AlreadyExists,
    Corrupt,
    NotFound,
    Refused,
    Seal,
    SecretKey,
    Term,
    TypeMismatch,
    load_block,
    read_portable,
    write_portable,
)


@pytest.fixture(params=["folder", "archive.zip"])
def written(request, block, tmp_path) -> Path:
    return block.export(tmp_path / "out" / request.param)


def test_a_block_is_read_back_as_it_was_written(written, block):
    found = read_portable(written)

    assert found.digest == block.digest
    assert found.files == block.hub.registry.files(block.digest)
    assert found == portable_of(block)


def test_a_block_loads_without_a_library_and_computes_the_same(written, net, images):
    loaded: Any = load_block(written)

    assert torch.equal(loaded(images), net(images))


def test_a_block_keeps_its_identity_in_another_library(written, block, other):
    found = import_block(other, "you/theirs", written)

    assert found.digest == block.digest
    assert str(found.reference) == "you/theirs@1"
    assert (found.license, found.card) == ("MIT", "Small.")
    assert other.verify().sound


def test_a_program_brings_what_it_uses(doubling, other, tmp_path):
    found = import_block(other, "you/add6", doubling.export(tmp_path / "add6"))

    assert found.digest == doubling.digest
    assert other.run("you/add6", [1, 2]) == (7, 8)
    assert other.verify().sound


def test_a_program_runs_out_of_its_folder(doubling, tmp_path):
    folder = doubling.export(tmp_path / "add6.zip")

    assert isinstance(load_block(folder), Term)
    assert load_program(folder).predict([1, 2]) == (7, 8)


def test_a_trained_block_is_no_program(block, tmp_path):
    with pytest.raises(Refused, match=r"holds a graph; metaloom_registry.load_block loads it"):
        load_program(block.export(tmp_path / "net"))


def test_ancestors_come_in_the_order_of_their_making(hub, block, net, other, tmp_path):
    child = hub.publish(
        "me/child", net, "image[1,12,12] -> logits[5]", parents=[(block, "adapted-from")]
    )
    last = hub.publish("me/last", net, "image[1,12,12] -> vec[5]", parents=[block, child])

    portable = read_portable(last.export(tmp_path / "last"))

    assert [one.digest for one in portable.ancestors] == [block.digest, child.digest]
    assert import_block(other, "you/last", tmp_path / "last").digest == last.digest


def test_equal_blocks_give_equal_archives(block, tmp_path):
    first, second = block.export(tmp_path / "a.zip"), block.export(tmp_path / "b.zip")

    assert first.read_bytes() == second.read_bytes()


def test_what_is_there_is_not_replaced(block, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes").write_text("mine")

    with pytest.raises(AlreadyExists, match="kept is there already; choose another path"):
        block.export(tmp_path / "kept")
    with pytest.raises(AlreadyExists, match="kept is there already"):
        write_portable(portable_of(block), tmp_path / "kept")

    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["notes"]


def test_a_failed_export_leaves_nothing_behind(block, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise Refused("no")

    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(os, "replace", fail)
    for path in ("folder", "file.zip"):
        with pytest.raises(Refused):
            write_portable(portable_of(block), out / path)

    assert list(out.iterdir()) == []


def test_an_empty_folder_may_be_written_into(block, tmp_path):
    (tmp_path / "empty").mkdir()

    assert read_portable(block.export(tmp_path / "empty")).digest == block.digest


def test_a_folder_without_a_manifest_is_no_block(tmp_path):
    with pytest.raises(NotFound, match=r"has no manifest.json, so it is no block"):
        load_block(tmp_path)
    with pytest.raises(NotFound, match="there is no folder or archive"):
        load_block(tmp_path / "none")


def test_changed_bytes_are_found(block, tmp_path):
    folder = block.export(tmp_path / "net")
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")

    with pytest.raises(Corrupt, match=r"weights.safetensors is not what the manifest promises"):
        load_block(folder)


@pytest.mark.parametrize("change", [b"", b"more"])
def test_files_of_another_length_are_found(block, tmp_path, change):
    folder = block.export(tmp_path / "net")
    graph = folder / "graph.json"
    graph.write_bytes(graph.read_bytes() + change if change else b"")

    with pytest.raises(Corrupt, match="copy the block again"):
        load_block(folder)


def test_a_missing_file_is_named(block, tmp_path):
    folder = block.export(tmp_path / "net")
    (folder / "graph.json").unlink()

    with pytest.raises(NotFound, match=r"graph.json is missing, which the manifest lists"):
        load_block(folder)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(block, tmp_path):
    folder = block.export(tmp_path / "net")
    (folder / "graph.json").unlink()
    os.mkfifo(folder / "graph.json")

    with pytest.raises(NotFound, match=r"graph.json is missing"):
        load_block(folder)


def test_a_manifest_that_breaks_a_rule_is_refused(block, tmp_path):
    folder = block.export(tmp_path / "net")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["../../evil"] = next(iter(manifest["files"].values()))
    (folder / "manifest.json").write_text(json.dumps(manifest))

    with pytest.raises(Refused, match="is not a path"):
        load_block(folder)


def test_another_block_in_the_place_of_an_ancestor_is_found(doubling, block, tmp_path):
    folder = doubling.export(tmp_path / "add6")
    [ancestor] = (folder / "ancestors").iterdir()
    for path in ancestor.iterdir():
        path.unlink()
    for path in block.export(tmp_path / "net").iterdir():
        path.rename(ancestor / path.name)

    with pytest.raises(Corrupt, match="which is not what it is called"):
        read_portable(folder)


def test_a_missing_ancestor_is_named_where_it_is_needed(doubling, other, tmp_path):
    folder = doubling.export(tmp_path / "add6")
    [ancestor] = (folder / "ancestors").iterdir()
    ancestor.rename(tmp_path / "elsewhere")

    with pytest.raises(NotFound, match="which is not in the folder; export the program again"):
        load_program(folder)
    with pytest.raises(NotFound, match="is not in this registry"):
        import_block(other, "you/add6", folder)


def test_an_archive_that_unpacks_to_more_than_it_shows_is_refused(block, tmp_path):
    folder = block.export(tmp_path / "net")
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)

    with pytest.raises(Refused, match="is compressed or encrypted"):
        load_block(tmp_path / "bomb.zip")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nonsense", b"\x80\x04pickle"])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.zip").write_bytes(content)

    with pytest.raises(Refused, match="is no zip archive"):
        load_block(tmp_path / "a.zip")


def test_a_truncated_archive_is_found(block, tmp_path):
    path = block.export(tmp_path / "a.zip")
    data = path.read_bytes()
    where = data.index(b"weights.safetensors") + 40
    path.write_bytes(data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :])

    with pytest.raises(Corrupt, match="copy the archive again"):
        load_block(path)


def test_a_primitive_is_not_exported(hub, tmp_path):
    with pytest.raises(Refused, match="its code is a plugin's"):
        hub["lists/map"].export(tmp_path / "map")


def test_a_published_block_takes_no_other_type_or_card(written, other):
    with pytest.raises(TypeMismatch, match="is a published block, whose type"):
        import_block(other, "you/theirs", written, "vec[3] -> vec[3]")
    with pytest.raises(TypeMismatch, match="leave them out"):
        import_block(other, "you/theirs", written, license="MIT")


def test_a_signature_of_the_block_travels_with_it(hub, other, tmp_path):
    block = hub.publish("me/signed", "(lam (add 1 $0))")
    seal = Seal.make(block.manifest.to_bytes(), SecretKey(bytes(range(32))), 1_700_000_000)
    hub.registry.add_seals(block.digest, [seal])

    found = import_block(other, "you/signed", block.export(tmp_path / "signed"))

    assert other.registry.seals(found.digest) == (seal,)


def test_an_alias_that_moves_during_a_download_gives_the_block_it_meant(hub, other, tmp_path):
    first = hub.publish("me/moved", "(lam (cons 1 $0))")
    second = hub.publish("me/moved", "(lam (cons 2 $0))")
    hub.alias("me/moved@1", "champion")
    block, blobs = hub["me/moved@champion"], hub.registry.blobs

    class Moving:
        """Moves the alias when the first byte is read."""

        def get(self, digest):
            hub.registry.blobs = blobs
            hub.alias("me/moved@2", "champion")
            return blobs.get(digest)

    hub.registry.blobs = Moving()
    block.export(tmp_path / "moved")
    hub.registry.blobs = blobs
    assert import_block(other, "me/x", tmp_path / "moved").digest == first.digest
    assert hub["me/moved@champion"].digest == second.digest
