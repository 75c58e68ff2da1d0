"""`metaloom key`, `publish --sign`, `verify --key`, and what `show` says of signatures."""

from __future__ import annotations

import os
import sqlite3

import pytest

from metaloom import Hub
from metaloom_registry import Refused

ADD3 = "(lam (map (lam (add 3 $0)) $0))"


@pytest.fixture
def alice(metaloom) -> str:
    """The public key of alice, who can sign in the library of this test."""
    done = metaloom("key", "new", "alice", "--json")
    assert done.code == 0, done.err
    return done.json["key"]


@pytest.fixture
def signed(metaloom, alice) -> str:
    """A program that alice signed."""
    done = metaloom("publish", "me/add3", ADD3, "--sign")
    assert done.code == 0, done.err
    return "me/add3"


def test_a_new_key_is_a_private_file_and_is_trusted(metaloom, alice, home):
    path = home / "keys" / "alice.key"
    assert path.stat().st_mode & 0o777 == 0o600
    [listed] = metaloom("key", "list", "--json").json["trusted"]
    assert listed == {"name": "alice", "key": alice, "namespaces": [], "mine": True}
    assert metaloom("key", "show", "alice").out.strip() == alice
    assert alice in metaloom("key", "list").out


def test_a_key_is_never_overwritten(metaloom, alice, home):
    before = (home / "keys" / "alice.key").read_bytes()
    done = metaloom("key", "new", "alice")
    assert done.code == 1
    assert "give the new key another name" in done.err
    assert (home / "keys" / "alice.key").read_bytes() == before


@pytest.mark.parametrize("name", ["../alice", "a/b", "Alice", "a b", ""])
def test_a_key_has_a_plain_name(metaloom, home, name):
    done = metaloom("key", "new", name)
    assert done.code == 1
    assert "is no name of a key" in done.err
    assert not list(home.rglob("*.key"))


def test_keys_can_be_kept_elsewhere(metaloom, home, tmp_path, monkeypatch):
    monkeypatch.setenv("METALOOM_KEYS", str(tmp_path / "elsewhere"))
    assert metaloom("key", "new").code == 0
    assert (tmp_path / "elsewhere" / "default.key").is_file()
    assert not (home / "keys").exists()


def test_an_encrypted_key_signs_with_its_passphrase_only(metaloom, home, monkeypatch):
    monkeypatch.setenv("METALOOM_PASSPHRASE", "correct horse")
    assert metaloom("key", "new").code == 0
    assert b"ENCRYPTED" in (home / "keys" / "default.key").read_bytes()
    assert metaloom("publish", "me/add3", ADD3, "--sign").code == 0
    monkeypatch.setenv("METALOOM_PASSPHRASE", "wrong")
    assert "the passphrase is another" in metaloom("publish", "me/b", ADD3, "--sign").err
    monkeypatch.delenv("METALOOM_PASSPHRASE")
    assert "give its passphrase" in metaloom("publish", "me/b", ADD3, "--sign").err


@pytest.mark.skipif(os.name != "posix", reason="modes of files are of POSIX")
def test_a_key_that_others_may_read_is_not_used(metaloom, alice, home):
    (home / "keys" / "alice.key").chmod(0o644)
    done = metaloom("publish", "me/add3", ADD3, "--sign")
    assert done.code == 1
    assert "chmod 600" in done.err


def test_show_and_verify_say_who_signed(metaloom, signed, alice):
    assert 'signed by "alice" (trusted)' in metaloom("show", signed).out
    [signer] = metaloom("show", signed, "--json").json["signers"]
    assert (signer["key"], signer["state"]) == (alice, "trusted")
    assert 'signed by "alice" (trusted)' in metaloom("verify", signed).out
    assert metaloom("verify", signed, "--key", "alice").code == 0
    assert metaloom("verify", signed, "--key", alice).code == 0


def test_show_says_that_nobody_signed(metaloom, add3):
    assert "NOT signed" in metaloom("show", add3).out
    assert "NOT signed" in metaloom("verify", add3).out


def test_a_block_is_verified_with_the_file_of_a_key(metaloom, signed, home):
    assert metaloom("verify", signed, "--key", home / "keys" / "alice.pub").code == 0
    done = metaloom("verify", signed, "--key", home / "keys" / "alice.key")
    assert done.code == 1
    assert "holds a private key" in done.err


def test_another_key_did_not_sign(metaloom, signed):
    assert metaloom("key", "new", "eve").code == 0
    done = metaloom("verify", signed, "--key", "eve")
    assert done.code == 1
    assert "is not signed by ed25519:" in done.err
    assert 'it is signed by "alice"' in done.err


def test_an_unsigned_block_is_not_signed_by_a_key(metaloom, add3, alice):
    done = metaloom("verify", add3, "--key", alice)
    assert done.code == 1
    assert "NOT signed at all" in done.err


def test_all_blocks_have_no_one_key(metaloom, signed, alice):
    done = metaloom("verify", "--key", alice)
    assert done.code == 1
    assert "name the block" in done.err


def test_a_key_that_is_no_longer_trusted_is_unknown(metaloom, signed, alice):
    assert metaloom("key", "untrust", "alice").code == 0
    assert f"signed by an unknown key {alice[8:20]}" in metaloom("show", signed).out
    assert "not trusted" in metaloom("key", "list").out
    assert metaloom("key", "untrust", "alice").code == 1


def test_a_key_is_trusted_for_namespaces(metaloom, signed, alice):
    metaloom("key", "untrust", "alice")
    done = metaloom("key", "trust", alice, "--name", "al", "--namespace", "vision")
    assert done.code == 0, done.err
    assert "not trusted for this namespace" in metaloom("show", signed).out


def test_several_may_sign_a_block_later(metaloom, signed, alice):
    assert metaloom("key", "new", "bob").code == 0
    done = metaloom("key", "sign", signed, "--key", "bob", "--json")
    assert done.code == 0, done.err
    assert len(done.json["signers"]) == 2
    assert "there are several keys" in metaloom("key", "sign", signed).err


def test_publishing_a_signed_block_again_is_the_same_version(metaloom, signed):
    done = metaloom("publish", "me/add3", ADD3, "--sign", "--json")
    assert done.json["reference"] == "me/add3@1"
    assert len(metaloom("show", signed, "--json").json["signers"]) == 1


def test_signing_without_a_key_says_how_to_make_one(metaloom):
    done = metaloom("publish", "me/add3", ADD3, "--sign")
    assert done.code == 1
    assert "metaloom key new" in done.err


@pytest.mark.parametrize("column", ["signature", "signed", "key"])
def test_a_seal_that_was_tampered_with_is_an_error(metaloom, signed, home, column):
    metaloom("key", "new", "eve", "--json")
    eve = metaloom("key", "show", "eve").out.strip().removeprefix("ed25519:")
    value = {"signature": "00" * 64, "signed": 1, "key": eve}[column]
    database = sqlite3.connect(home / "catalogue.db")
    with database:
        database.execute(f"UPDATE seal SET {column} = ?", (value,))
    database.close()
    shown = metaloom("show", signed)
    assert shown.code == 1
    assert "BAD signature" in shown.out
    for command in (("verify",), ("verify", signed)):
        done = metaloom(*command)
        assert done.code == 1
        assert "does not hold for the block" in done.out
    assert metaloom("verify", signed, "--key", "alice").code == 1


def test_a_manifest_that_was_tampered_with_is_damaged(metaloom, signed, home):
    digest = metaloom("show", signed, "--json").json["digest"].removeprefix("sha256:")
    [blob] = [path for path in (home / "blobs").rglob("*") if digest[2:] in str(path)]
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"list[int]", b"list[bit]"))
    done = metaloom("verify", signed, "--key", "alice")
    assert done.code == 1
    assert "damaged" in done.err


def test_a_key_that_is_not_there_is_said(metaloom, add3):
    assert "no public key" in metaloom("verify", add3, "--key", "nobody").err
    assert "no public key" in metaloom("key", "show", "nobody").err


def test_the_list_of_keys_begins_empty(metaloom):
    assert "metaloom key new" in metaloom("key", "list").out


def test_a_trust_list_that_is_too_large_is_refused(home, metaloom, alice):
    (home / "keys" / "trust.json").write_bytes(b" " * (5 << 20))
    with Hub.open(home) as hub, pytest.raises(Refused, match="more than"):
        hub.keys.trust  # noqa: B018 - reading it is the test
