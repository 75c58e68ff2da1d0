"""Seals: what they hold for, and what they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_registry import (
    AlreadyExists,
    BadSeal,
    Digest,
    InvalidName,
    MissingExtra,
    ParseError,
    PublicKey,
    Refused,
    Seal,
    SecretKey,
    Trusted,
    TrustList,
    dump_canonical,
    load_strict,
    read_seals,
    write_seals,
)
from metaloom_registry import keys as keys_module
from metaloom_registry.seals import message

MANIFEST = b'{"format":"metaloom-block/1"}'
BLOCK = Digest.of(MANIFEST)
ALICE, EVE = SecretKey(b"a" * 32), SecretKey(b"e" * 32)
NOW = 1_700_000_000
SEAL = Seal.make(MANIFEST, ALICE, NOW)
ORDER = 2**252 + 27742317777372353535851937790883648493


def changed(seal: Seal, **fields) -> Seal:
    held: dict[str, Any] = {"key": seal.key, "signed": seal.signed, "signature": seal.signature}
    return Seal(**held | fields)


def test_a_seal_holds_for_the_manifest_it_was_made_for():
    SEAL.check(MANIFEST)
    assert SEAL.when.isoformat() == "2023-11-14T22:13:20+00:00"


def test_what_is_signed_begins_with_the_format_and_the_time():
    assert message(MANIFEST, 258) == b"metaloom-seal/1\n" + bytes(6) + b"\x01\x02" + MANIFEST


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, len(MANIFEST) - 1), st.integers(1, 255))
def test_a_changed_manifest_is_noticed(place, change):
    other = bytearray(MANIFEST)
    other[place] ^= change
    with pytest.raises(BadSeal, match="does not hold for the block"):
        SEAL.check(bytes(other))


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 511))
def test_a_changed_signature_is_noticed(bit):
    other = bytearray.fromhex(SEAL.signature)
    other[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSeal):
        changed(SEAL, signature=other.hex()).check(MANIFEST)


def test_a_changed_time_or_key_is_noticed():
    for other in (changed(SEAL, signed=NOW + 1), changed(SEAL, key=EVE.public)):
        with pytest.raises(BadSeal):
            other.check(MANIFEST)


def test_a_signature_has_one_spelling_only():
    """S + L verifies where a checker does not look at its range: the malleability of RFC 8032."""
    raw = bytes.fromhex(SEAL.signature)
    larger = int.from_bytes(raw[32:], "little") + ORDER
    other = raw[:32] + larger.to_bytes(32, "little")
    with pytest.raises(BadSeal):
        changed(SEAL, signature=other.hex()).check(MANIFEST)


def test_a_signature_of_something_else_by_the_same_key_is_no_seal():
    plain = ALICE.sign(MANIFEST).hex()
    with pytest.raises(BadSeal):
        changed(SEAL, signature=plain).check(MANIFEST)


@pytest.mark.parametrize(
    "signature", ["", "00", SEAL.signature[:-2], SEAL.signature + "00", "x" * 128]
)
def test_a_truncated_signature_is_refused(signature):
    with pytest.raises(Refused, match="128 lower-case hexadecimal digits are wanted"):
        changed(SEAL, signature=signature)


@pytest.mark.parametrize("signed", [-1, 1 << 62, True])
def test_a_time_that_is_none_is_refused(signed):
    with pytest.raises(Refused, match="is no time of a signature"):
        changed(SEAL, signed=signed)


def test_the_file_of_seals_reads_back():
    both = (SEAL, Seal.make(MANIFEST, EVE, NOW))
    data = write_seals(BLOCK, both)
    assert set(read_seals(data, BLOCK)) == set(both)
    assert write_seals(BLOCK, read_seals(data, BLOCK)) == data


def test_the_seals_of_another_block_are_refused():
    with pytest.raises(Refused, match="are of the block"):
        read_seals(write_seals(Digest.of(b"x"), [SEAL]), BLOCK)


def good() -> dict[str, Any]:
    return load_strict(write_seals(BLOCK, [SEAL]))


SPOILED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "not an object": (lambda v: [v], "not an object"),
    "another key": (lambda v: {**v, "more": 1}, "not an object with the keys"),
    "another format": (lambda v: {**v, "format": "pgp"}, "of the format 'pgp'"),
    "no list": (lambda v: {**v, "seals": {}}, "no list of at most 64"),
    "too many": (lambda v: {**v, "seals": v["seals"] * 65}, "no list of at most 64"),
    "twice": (lambda v: {**v, "seals": v["seals"] * 2}, "not in canonical form"),
    "no seal": (lambda v: {**v, "seals": [1]}, r"seals\[0\] is not an object"),
    "no key": (lambda v: {**v, "seals": [{**v["seals"][0], "key": 1}]}, "that is none"),
    "weak key": (
        lambda v: {**v, "seals": [{**v["seals"][0], "key": "ed25519:" + "0" * 64}]},
        "weak key",
    ),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_file_that_holds_no_seals_is_refused(name):
    spoil, reason = SPOILED[name]
    with pytest.raises(Refused, match=reason):
        read_seals(dump_canonical(spoil(good())), BLOCK)


def test_other_bytes_are_no_seals():
    with pytest.raises(ParseError, match="is not JSON"):
        read_seals(b"{", BLOCK)
    with pytest.raises(Refused, match="at most 65536"):
        read_seals(b" " * 70_000, BLOCK)


def test_a_trust_list_reads_back():
    trust = TrustList((Trusted("eve", EVE.public), Trusted("al", ALICE.public, frozenset({"v"}))))
    assert [one.name for one in trust.keys] == ["al", "eve"]
    assert TrustList.parse(trust.to_bytes()) == trust
    assert trust.without(EVE.public).find(EVE.public) is None


@pytest.mark.parametrize(
    ("seal", "namespace", "state", "words"),
    [
        (SEAL, "vision", "trusted", 'signed by "alice" (trusted) at 2023-11-14 22:13 UTC'),
        (SEAL, "VISION", "trusted", 'signed by "alice" (trusted)'),
        (SEAL, "me", "limited", 'signed by "alice" (not trusted for this namespace)'),
        (SEAL, None, "limited", "not trusted for this namespace"),
        (Seal.make(MANIFEST, EVE, NOW), "vision", "unknown", "signed by an unknown key"),
        (changed(SEAL, signed=1), "vision", "bad", 'BAD signature in the name of "alice"'),
    ],
)
def test_a_seal_is_worth_what_the_trust_list_says(seal, namespace, state, words):
    trust = TrustList((Trusted("alice", ALICE.public, frozenset({"vision"})),))
    standing = trust.standing(seal, MANIFEST, namespace)
    assert standing.state == state
    assert words in str(standing)


def test_a_key_without_namespaces_may_sign_for_all():
    trust = TrustList((Trusted("alice", ALICE.public),))
    assert trust.standing(SEAL, MANIFEST, None).state == "trusted"


def test_without_the_package_a_seal_is_shown_as_unchecked(monkeypatch):
    def missing(name):
        raise MissingExtra("it is missing")

    monkeypatch.setattr(keys_module, "_cryptography", missing)
    standing = TrustList().standing(SEAL, MANIFEST, None)
    assert standing.state == "unchecked"
    assert "NOT checked (it is missing)" in str(standing)


def test_a_name_or_key_stands_in_the_trust_list_once():
    one = TrustList((Trusted("alice", ALICE.public),))
    for other in (Trusted("alice", EVE.public), Trusted("bob", ALICE.public)):
        with pytest.raises(AlreadyExists, match="is in the trust list already"):
            one.adding(other)


def test_names_and_namespaces_of_trusted_keys_have_their_rules():
    with pytest.raises(InvalidName, match="is no name of a key"):
        Trusted("Al ice", ALICE.public)
    with pytest.raises(InvalidName, match="namespace"):
        Trusted("alice", ALICE.public, frozenset({"../x"}))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"{", ParseError),
        (b"[]", Refused),
        (b'{"format":"metaloom-trust/1","keys":1}', Refused),
        (b'{"format":"metaloom-trust/1","keys":[{}]}', Refused),
        (b'{"format":"metaloom-trust/1","keys":[{"key":1,"name":"a","namespaces":[]}]}', Refused),
    ],
)
def test_a_trust_list_that_is_none_is_refused(data, error):
    with pytest.raises(error):
        TrustList.parse(data)


def test_a_public_key_is_short_for_people():
    assert PublicKey(ALICE.public.hex).short == ALICE.public.hex[:12]
