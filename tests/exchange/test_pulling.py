"""What a server of the Hub's protocol may do to a pull or a push, and what is told of it."""

from __future__ import annotations

import logging
import traceback
from dataclasses import replace
from typing import Any

import pytest

huggingface_hub = pytest.importorskip("huggingface_hub", reason="the extra is not installed")

from tests.exchange.hub_server import READER, TOKEN, Hub  # noqa: E402

from metaloom import Block  # noqa: E402
from metaloom.exchange import Remote, from_pretrained, push_to_hub, save_pretrained  # noqa: E402
from metaloom_registry import (  # noqa: E402
    Corrupt,
    Digest,
    Manifest,
    MetaloomError,
    NotFound,
    ParseError,
    Refused,
    StorageError,
    parse_type,
)

NAME = "org/small"
WEIGHTS = "weights.safetensors"


@pytest.fixture
def pushed(block: Block, server: Hub, remote: Remote) -> Any:
    """The repository of a block; the server has forgotten that it was asked."""
    push_to_hub(block, NAME, remote=remote)
    server.requests.clear()
    return server.repositories[NAME]


def flipped(path: str, data: bytes) -> bytes:
    """The bytes of a file of tensors with one bit changed."""
    return data[:-1] + bytes([data[-1] ^ 1]) if path.endswith(WEIGHTS) else data


def test_damaged_bytes_in_the_cache_are_fetched_again(block, other, server, remote, pushed):
    server.serve = flipped
    with pytest.raises(Corrupt, match="is not what the manifest promises"):
        from_pretrained(other, NAME, remote=remote)
    offline = replace(remote, offline=True)
    with pytest.raises(Corrupt, match="is not what the manifest promises"):
        from_pretrained(other, NAME, remote=offline)
    server.serve = lambda path, data: data
    assert from_pretrained(other, NAME, remote=remote).digest == block.digest
    assert from_pretrained(other, NAME, remote=offline).digest == block.digest


def test_a_damaged_manifest_in_the_cache_is_fetched_again(block, other, server, remote, pushed):
    server.serve = lambda path, data: data[:-1] if path == "manifest.json" else data
    with pytest.raises(MetaloomError):
        from_pretrained(other, NAME, remote=remote)
    server.serve = lambda path, data: data
    assert from_pretrained(other, NAME, remote=remote).digest == block.digest


def test_what_the_server_does_not_say_is_not_taken_from_the_cache(
    block, doubling, other, server, remote, pushed
):
    from_pretrained(other, NAME, remote=remote)
    push_to_hub(doubling, NAME, remote=remote)
    server.refuse = lambda method, path: 503
    with pytest.raises(StorageError, match=r"trouble \(503\).*METALOOM_OFFLINE=1 takes what is in"):
        from_pretrained(other, NAME, "me/stale", remote=remote)
    offline = replace(remote, offline=True)
    assert from_pretrained(other, NAME, "me/old", remote=offline).digest == block.digest
    calls = iter([None])  # the second answer of the client's own look is lost
    server.refuse = lambda method, path: next(calls, 403) if "/api/" in path else None
    with pytest.raises(StorageError, match="may not do this"):
        from_pretrained(other, NAME, "me/stale", remote=remote)


def test_huggingfaces_own_variable_takes_the_cache_too(
    block, other, server, remote, pushed, monkeypatch
):
    from_pretrained(other, NAME, remote=remote)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    server.requests.clear()
    assert from_pretrained(other, NAME, "me/again", remote=remote).digest == block.digest
    with pytest.raises(StorageError, match=r"org/x is not in the cache, and HF_HUB_OFFLINE"):
        from_pretrained(other, "org/x", remote=remote)
    with pytest.raises(StorageError, match="cannot push to org/x: HF_HUB_OFFLINE forbids it"):
        push_to_hub(block, "org/x", remote=remote)
    assert server.requests == []


def test_only_the_files_of_the_block_are_fetched(block, other, server, remote, pushed):
    beside = {"pytorch_model.bin": b"a pickle", "ancestors/x.pkl": b"another", "sub/README.md": b""}
    pushed.commit({**pushed.files(), **beside})
    assert from_pretrained(other, NAME, remote=remote).digest == block.digest
    assert not [one for one in server.asked if any(path in one for path in beside)]


def test_a_large_file_where_a_small_one_belongs_is_not_fetched(other, server, remote, pushed):
    for name, size in (("manifest.json", 9 << 20), ("README.md", 2 << 20)):
        pushed.commit({**pushed.files(), name: b"-" * size})
        with pytest.raises(Refused, match=rf"{name} of org/small has {size} bytes; at most"):
            from_pretrained(other, NAME, remote=remote)
    assert not any("resolve" in one for one in server.asked)


def test_tensors_of_another_size_than_listed_are_not_fetched(other, server, remote, pushed):
    pushed.commit({**pushed.files(), WEIGHTS: b"-" * 1_000_000})
    with pytest.raises(Corrupt, match=r"1000000 bytes of weights.safetensors, and its manifest"):
        from_pretrained(other, NAME, remote=remote)
    assert not any(WEIGHTS in one for one in server.asked)


def test_another_block_than_wanted_is_known_before_its_tensors_come(other, server, remote, pushed):
    with pytest.raises(Corrupt, match="was asked for"):
        from_pretrained(other, NAME, digest=Digest.of(b"x"), remote=remote)
    assert not any(WEIGHTS in one for one in server.asked)


def test_a_folder_is_compared_to_the_digest_that_is_wanted(block, other, tmp_path):
    folder = save_pretrained(block, tmp_path / "saved")
    with pytest.raises(Corrupt, match="was asked for"):
        from_pretrained(other, folder, "me/x", digest=Digest.of(b"x"))
    assert from_pretrained(other, folder, "me/x", digest=block.digest).digest == block.digest


def test_a_repository_without_a_block_is_told_from_one_that_is_damaged(
    other, server, remote, pushed
):
    pushed.commit({"config.json": b"{}", "model.safetensors": b""})
    with pytest.raises(NotFound, match=r"holds no block; .*metaloom import NAME hf://org/small"):
        from_pretrained(other, NAME, remote=remote)
    pushed.commit({})
    with pytest.raises(NotFound, match="holds no block"):
        from_pretrained(other, NAME, remote=remote)


def test_a_connection_that_breaks_once_goes_on_where_it_was(
    block, other, server, remote, pushed, monkeypatch
):
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 2)
    calls = iter([None])
    server.serve = lambda path, data: next(calls, data) if path.endswith(WEIGHTS) else data
    assert from_pretrained(other, NAME, remote=remote).digest == block.digest
    size = len(pushed.files()[WEIGHTS])
    assert [one.range for one in server.requests if one.range] == [f"bytes={size // 2}-"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"does not know the token; set METALOOM_TOKEN"),
        (403, "the token may not do this; set METALOOM_TOKEN"),
        (429, "was asked too often; wait 7 s and do it again"),
        (500, r"in trouble \(500\); do it again later"),
        (504, r"in trouble \(504\); do it again later"),
        (418, "check the connection and METALOOM_ENDPOINT"),
    ],
)
def test_each_refusal_has_its_remedy(block, other, server, remote, pushed, status, said):
    server.refuse = lambda method, path: status
    with pytest.raises(StorageError, match=rf"org/small cannot be fetched: .*{said}"):
        from_pretrained(other, NAME, remote=remote)
    with pytest.raises(StorageError, match=rf"me/small@1 cannot be pushed to org/small: .*{said}"):
        push_to_hub(block, NAME, remote=remote)


def test_what_is_private_gated_or_gone_is_told(block, other, server, remote, pushed):
    with pytest.raises(StorageError, match=r"org/small@v9 cannot.*no such revision; name a branch"):
        from_pretrained(other, f"{NAME}@v9", remote=remote)
    pushed.private = True
    stranger = replace(remote, token=None)
    with pytest.raises(StorageError, match="no such repository, or it is private"):
        from_pretrained(other, NAME, remote=stranger)
    reader = replace(remote, token=READER)
    assert from_pretrained(other, NAME, remote=reader).digest == block.digest
    with pytest.raises(StorageError, match="the token may not do this"):
        push_to_hub(block, NAME, remote=reader)
    pushed.gated = True
    gated = replace(reader, cache=remote.cache / "gated")
    with pytest.raises(StorageError, match=r"it is gated.* ask on its page for access"):
        from_pretrained(other, NAME, remote=gated)


def test_a_renamed_repository_is_found_and_pushed_to(block, other, server, remote, pushed):
    server.repositories["new/tiny"] = server.repositories.pop(NAME)
    server.renamed = {NAME: "new/tiny"}
    assert from_pretrained(other, NAME, remote=remote).digest == block.digest
    assert "/new/tiny/commit/" in push_to_hub(block, NAME, remote=remote)


def test_a_branch_that_is_missing_is_made_by_a_push(block, doubling, other, server, remote, pushed):
    push_to_hub(doubling, f"{NAME}@next", remote=remote)
    found = {at: from_pretrained(other, f"{NAME}@{at}", remote=remote) for at in ("main", "next")}
    assert {at: one.digest for at, one in found.items()} == {
        "main": block.digest,
        "next": doubling.digest,
    }
    pushed.refs["v1"] = pushed.refs["main"]
    assert from_pretrained(other, f"{NAME}@v1", remote=remote).digest == block.digest


def test_a_new_repository_may_be_private(block, other, server, remote):
    push_to_hub(block, NAME, remote=remote, private=True)
    assert server.repositories[NAME].private
    with pytest.raises(StorageError, match="private"):
        from_pretrained(other, NAME, remote=replace(remote, token=None))


def test_who_may_write_but_make_no_repository_pushes_to_one_that_is_there(
    block, server, remote, pushed
):
    server.refuse = lambda method, path: 403 if path == "/api/repos/create" else None
    assert "/commit/" in push_to_hub(block, NAME, remote=remote)
    with pytest.raises(StorageError, match="the token may not do this"):
        push_to_hub(block, "org/new", remote=remote)


def test_the_token_is_sent_to_its_server_alone(block, other, server_and_host, tmp_path):
    server = server_and_host
    remote = Remote(server.url, TOKEN, tmp_path / "cache")
    push_to_hub(block, NAME, remote=remote)
    server.repositories[NAME].private = True
    assert from_pretrained(other, NAME, remote=remote).digest == block.digest
    assert {one.token for one in server.requests} == {TOKEN}
    assert [one.method for one in server.other.requests] == ["PUT", "GET"]
    assert {one.token for one in server.other.requests} == {None}


def test_huggingfaces_own_token_is_not_sent_to_another_server(
    other, server, remote, pushed, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_hub")
    from_pretrained(other, NAME, remote=replace(remote, token=None))
    assert {one.token for one in server.requests} == {None}
    assert Remote(None, None).credentials is None, "to the Hub itself it is"


def test_the_token_is_never_shown(block, other, server, remote, pushed, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    secret = "hf_wrong_and_secret"
    wrong = replace(remote, token=secret)
    shown = [repr(wrong)]
    for attempt in (
        lambda: from_pretrained(other, NAME, remote=wrong),
        lambda: push_to_hub(block, NAME, remote=wrong),
        lambda: Remote.of({"METALOOM_TOKEN": f"{secret}\n{secret}"}),
        lambda: Remote.of({"METALOOM_TOKEN": f"{secret}…"}),
    ):
        with pytest.raises(MetaloomError) as caught:
            attempt()
        shown.append(str(caught.value))
        shown += traceback.format_exception(caught.value)
    shown += [caplog.text, *capfd.readouterr()]
    assert not [text for text in shown if secret in text]


def test_the_variables_may_end_in_a_space_or_a_slash(tmp_path):
    said = {"METALOOM_ENDPOINT": " http://here/ ", "METALOOM_TOKEN": f"{TOKEN}\n"}
    assert Remote.of(said) == Remote("http://here", TOKEN)


@pytest.mark.parametrize("address", ["here:80", "ftp://here", "http://", "/srv", "http://a b"])
def test_what_is_no_server_is_refused(address):
    with pytest.raises(ParseError, match=r"is no server such as https://.*METALOOM_ENDPOINT"):
        Remote.of({"METALOOM_ENDPOINT": address})


def test_a_password_in_the_address_of_a_server_would_be_logged_and_is_refused():
    with pytest.raises(ParseError, match=r"'http://joe:\*\*\*@here'.*without a password"):
        Remote.of({"METALOOM_ENDPOINT": "http://joe:secret@here"})


def test_a_cache_that_cannot_be_written_is_named(other, server, remote, pushed, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"METALOOM_CACHE .*is a folder that you may write to"):
        from_pretrained(other, NAME, remote=replace(remote, cache=tmp_path / "file" / "cache"))


def test_a_folder_that_cannot_be_written_is_named(block, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"saved cannot be written: .*choose another path"):
        save_pretrained(block, tmp_path / "file" / "saved")


def test_a_block_with_a_file_where_the_card_is_written_is_refused(other, tmp_path):
    files = {"term.json": b'["lam","$0"]', "README.md": b"mine"}
    manifest = Manifest.of("program", parse_type("int -> int"), files)
    version = other.registry.publish(other.require_free("me/own"), manifest, files)
    with pytest.raises(Refused, match=r"has a file README.md of its own"):
        save_pretrained(other[version.reference], tmp_path / "saved")
    assert not (tmp_path / "saved").exists()
