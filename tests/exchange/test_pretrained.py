"""Blocks pushed to and pulled from a server that speaks the Hub's protocol, by the real client."""

from __future__ import annotations

from typing import Any

import pytest
import torch

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra is not installed")

from tests.exchange.hub_server import TOKEN  # noqa: E402

from metaloom.exchange import Remote, from_pretrained, push_to_hub, save_pretrained  # noqa: E402
from metaloom.exchange.model_card import (  # noqa: E402
    hub_licence,
    pipeline,
    read_card,
    write_card,
)
from metaloom.exchange.repositories import Repository  # noqa: E402
from metaloom_registry import (  # noqa: E402
    AlreadyExists,
    Corrupt,
    Digest,
    MetaloomError,
    ParseError,
    StorageError,
    parse_type,
)


def test_a_block_that_was_pushed_is_pulled_as_the_same_block(block, other, server, remote, images):
    address = push_to_hub(block, "org/small", remote=remote)
    assert address.startswith(f"{server.url}/org/small/commit/")
    copy: Any = from_pretrained(other, "org/small", remote=remote)
    assert copy.digest == block.digest
    assert str(copy.reference) == "org/small@1"
    assert torch.equal(copy.load().eval()(images), block.load().eval()(images))
    assert "PUT" in [one.method for one in server.requests], "tensors go through LFS"
    card = server.repositories["org/small"].files()["README.md"].decode()
    assert 'from_pretrained("org/small")' in card, "the card says how to get it"


def test_a_program_brings_its_ancestors(doubling, other, remote):
    push_to_hub(doubling, "org/add6", remote=remote)
    copy = from_pretrained(other, "hf://org/add6@main", "me/mine", remote=remote)
    assert copy.digest == doubling.digest
    assert other.run("me/mine", [1, 2]) == (7, 8)


def test_a_second_push_replaces_the_files_and_keeps_the_old_commit(
    block, doubling, other, server, remote
):
    first = push_to_hub(block, "org/x", remote=remote).rpartition("/")[2]
    push_to_hub(doubling, "org/x", remote=remote)
    assert "graph.json" not in server.repositories["org/x"].files()
    assert from_pretrained(other, "org/x", "me/new", remote=remote).digest == doubling.digest
    old = from_pretrained(other, f"org/x@{first}", "me/old", remote=remote)
    assert old.digest == block.digest


def test_the_card_is_one_that_the_hub_reads(block, tmp_path):
    folder = save_pretrained(block, tmp_path / "saved")
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    assert card.data.license == "mit"
    assert card.data.library_name == "metaloom"
    assert card.data.pipeline_tag == "image-classification"
    assert card.data.to_dict()["metaloom"] == {
        "digest": str(block.digest),
        "kind": "graph",
        "signature": "image[1,12,12] -> logits[5]",
        "reference": "me/small@1",
    }
    assert "Small." in card.text
    with pytest.raises(AlreadyExists):
        save_pretrained(block, folder)


def test_what_was_saved_is_read_from_the_folder(block, other, tmp_path):
    folder = block.save_pretrained(tmp_path / "saved")
    assert other.from_pretrained(folder, "me/copy").digest == block.digest
    with pytest.raises(ParseError, match="has no name of its own"):
        other.from_pretrained(folder)


def test_offline_the_cache_serves_and_nothing_is_asked(block, other, server, remote):
    push_to_hub(block, "org/small", remote=remote)
    from_pretrained(other, "org/small", remote=remote)
    server.requests.clear()
    offline = Remote(server.url, TOKEN, remote.cache, offline=True)
    assert from_pretrained(other, "org/small", "me/again", remote=offline).digest == block.digest
    with pytest.raises(StorageError, match=r"org/other is not in the cache.*METALOOM_OFFLINE"):
        from_pretrained(other, "org/other", remote=offline)
    with pytest.raises(StorageError, match="METALOOM_OFFLINE forbids it"):
        push_to_hub(block, "org/small", remote=offline)
    assert server.requests == []


def test_a_remote_that_serves_other_bytes_than_asked_is_caught(block, other, server, remote):
    push_to_hub(block, "org/small", remote=remote)
    server.serve = lambda path, data: (
        data[:-1] + bytes([data[-1] ^ 1]) if path.endswith(".safetensors") else data
    )
    with pytest.raises(Corrupt, match="is not what the manifest promises"):
        from_pretrained(other, "org/small", remote=remote)
    assert other.list() == []


def test_another_block_than_the_one_asked_for_is_caught(block, doubling, other, server, remote):
    push_to_hub(doubling, "org/x", remote=remote)
    with pytest.raises(Corrupt, match=f"{block.digest} was asked for, and {doubling.digest}"):
        from_pretrained(other, "org/x", digest=block.digest, remote=remote)
    files = server.repositories["org/x"].files()
    card = files["README.md"].decode().replace(doubling.digest.hex, Digest.of(b"x").hex)
    server.repositories["org/x"].commit({**files, "README.md": card.encode()})
    with pytest.raises(Corrupt, match="the card says that the block is"):
        from_pretrained(other, "org/x", remote=remote)


def test_a_network_lost_in_the_middle_of_a_pull_leaves_nothing_and_a_second_pull_goes_on(
    block, other, server, remote
):
    push_to_hub(block, "org/small", remote=remote)
    server.serve = lambda path, data: None if path.endswith(".safetensors") else data
    with pytest.raises(StorageError, match=r"org/small.* cannot be fetched.*do it again"):
        from_pretrained(other, "org/small", remote=remote)
    assert other.list() == []
    server.serve = lambda path, data: data
    assert from_pretrained(other, "org/small", remote=remote).digest == block.digest


def test_a_branch_that_moves_during_a_download_gives_one_commit_or_the_other(
    block, doubling, other, server, remote
):
    push_to_hub(block, "org/x", remote=remote)
    push_to_hub(doubling, "org/x2", remote=remote)
    new = server.repositories["org/x2"].files()

    def move(path: str, data: bytes) -> bytes:
        if path == "manifest.json":
            server.serve = lambda path, data: data
            server.repositories["org/x"].commit(new)
        return data

    server.serve = move
    assert from_pretrained(other, "org/x", "me/during", remote=remote).digest == block.digest
    assert from_pretrained(other, "org/x", "me/after", remote=remote).digest == doubling.digest


def test_who_may_not_write_and_what_is_not_there_are_named(block, other, server, remote):
    stranger = Remote(server.url, "hf_wrong", remote.cache)
    with pytest.raises(StorageError, match=r"cannot be pushed to org/x.*METALOOM_TOKEN"):
        push_to_hub(block, "org/x", remote=stranger)
    with pytest.raises(StorageError, match=r"org/none cannot be fetched"):
        from_pretrained(other, "org/none", remote=remote)


@pytest.mark.parametrize("text", ["", "x", "a/b/c", "hf://", "a b/c", "a/b@", "../a/b"])
def test_what_is_no_repository_is_refused(text):
    with pytest.raises(ParseError, match="is no repository such as"):
        Repository.parse(text)


def test_the_variables_are_read(tmp_path):
    said = {
        "METALOOM_ENDPOINT": "http://here",
        "METALOOM_TOKEN": "t",
        "METALOOM_CACHE": str(tmp_path),
        "METALOOM_OFFLINE": "1",
    }
    assert Remote.of(said) == Remote("http://here", "t", tmp_path / "huggingface", True)
    assert Remote.of({}) == Remote()
    assert not Remote.of({"METALOOM_OFFLINE": "0"}).offline


HOSTILE = "--- \n!!python/object/apply:os.system ['x']\n: [\n--- <script>alert(1)</script>"


def test_a_hostile_value_stays_a_value_of_the_head():
    card = write_card({"tags": [HOSTILE], "metaloom": {"reference": HOSTILE}}, HOSTILE)
    read = read_card(card)
    assert read.metaloom == {"reference": HOSTILE}
    assert read.text == HOSTILE


@pytest.mark.parametrize(
    "head",
    [
        "metaloom: !!python/object/apply:os.system ['touch hacked']",
        "a: &a [x, x]\nb: [*a, *a]",
        "metaloom: {digest: " + "[" * 5000,
        "x" * 100_000,
        "- a list",
    ],
)
def test_a_hostile_head_of_a_pulled_card_is_an_error(block, other, tmp_path, monkeypatch, head):
    monkeypatch.chdir(tmp_path)
    folder = save_pretrained(block, tmp_path / "saved")
    (folder / "README.md").write_text(f"---\n{head}\n---\n")
    with pytest.raises(MetaloomError, match=r"README\.md"):
        from_pretrained(other, folder, "me/x")
    assert not (tmp_path / "hacked").exists()
    assert other.list() == []


def test_the_licence_is_said_as_the_hub_says_it():
    assert hub_licence("MIT") == {"license": "mit"}
    assert hub_licence("BSD-3-Clause") == {"license": "bsd-3-clause"}
    other = hub_licence("(MIT OR Apache-2.0) AND LicenseRef-Mine")
    assert other == {"license": "other", "license_name": "mit-or-apache-2.0-and-licenseref-mine"}


@pytest.mark.parametrize(
    ("signature", "word"),
    [
        ("image[1,12,12] -> logits[5]", "image-classification"),
        ("image[3,n,n] -> vec[64]", "image-feature-extraction"),
        ("vec[8] -> logits[5]", None),
        ("image[1,12,12] -> image[1,12,12] -> vec[3]", None),
        ("list[image[1,12,12]] -> int", None),
    ],
)
def test_the_card_names_the_task_where_the_hub_has_a_word_for_it(signature, word):
    head: dict[str, Any] = {} if word is None else {"pipeline_tag": word}
    assert pipeline(parse_type(signature)) == head
