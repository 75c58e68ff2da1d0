"""Keys: read, written, and refused where they are weak, of another kind, or damaged."""

from __future__ import annotations

import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_registry import MissingExtra, ParseError, PublicKey, Refused, SecretKey
from metaloom_registry import keys as module

KEY = SecretKey(bytes(range(32)))

# RFC 8032, section 7.1, test 2.
RFC_SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
RFC_KEY = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
RFC_SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def public_pem(key) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def private_pem(key) -> bytes:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def test_signing_is_that_of_rfc_8032():
    key = SecretKey(bytes.fromhex(RFC_SEED))
    assert key.public.hex == RFC_KEY
    assert key.sign(b"\x72").hex() == RFC_SIGNATURE
    assert key.public.verifies(bytes.fromhex(RFC_SIGNATURE), b"\x72")


@settings(max_examples=20, derandomize=True, deadline=None)
@given(st.binary(min_size=32, max_size=32).filter(any))
def test_a_public_key_prints_and_reads_back(seed):
    key = SecretKey(seed).public
    assert PublicKey.parse(str(key)) == key
    assert PublicKey.from_file(f"{key} alice\n".encode()) == key
    assert PublicKey(key.raw.hex()) == key


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_private_key_is_written_as_pem_and_reads_back(passphrase):
    pem = KEY.to_pem(passphrase)
    assert SecretKey.from_pem(pem, passphrase) == KEY
    assert module.is_encrypted(pem) == (passphrase is not None)


def test_what_openssl_writes_is_read():
    made = ed25519.Ed25519PrivateKey.generate()
    assert SecretKey.from_pem(private_pem(made)).public == PublicKey.from_file(public_pem(made))


def test_a_passphrase_that_is_missing_or_wrong_is_said():
    pem = KEY.to_pem("right")
    with pytest.raises(Refused, match="give its passphrase in METALOOM_PASSPHRASE"):
        SecretKey.from_pem(pem)
    with pytest.raises(ParseError, match="the passphrase is another"):
        SecretKey.from_pem(pem, "wrong")


def test_a_secret_key_is_never_printed():
    assert KEY.seed.hex() not in repr(KEY)
    assert str(KEY.seed) not in repr(KEY)


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(32), bytes(33)], ids=len)
def test_a_seed_of_another_length_or_of_zeros_is_refused(seed):
    with pytest.raises(Refused, match="a secret key is 32 random bytes"):
        SecretKey(seed)


OTHERS = {
    "rsa": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed448": ed448.Ed448PrivateKey.generate,
    "x25519": x25519.X25519PrivateKey.generate,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_key_of_another_algorithm_is_refused(kind):
    key = OTHERS[kind]()
    with pytest.raises(Refused, match="Ed25519 is wanted"):
        PublicKey.from_file(public_pem(key))
    with pytest.raises(Refused, match="Ed25519 is wanted"):
        SecretKey.from_pem(private_pem(key))


def test_a_private_key_is_not_taken_for_a_public_one():
    with pytest.raises(Refused, match=re.escape("give the public one, which ends in .pub")):
        PublicKey.from_file(KEY.to_pem())


@pytest.mark.parametrize(
    "text", ["", "ed25519:", "ed25519:12", "rsa:" + "a" * 64, "ed25519:" + "A" * 64, "é"]
)
def test_other_texts_are_no_public_keys(text):
    with pytest.raises(ParseError, match="is not a public key"):
        PublicKey.parse(text)


def test_files_that_hold_no_key_are_said():
    with pytest.raises(ParseError, match="no public key in PEM"):
        PublicKey.from_file(b"-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n")
    with pytest.raises(ParseError, match="no private key in PEM"):
        SecretKey.from_pem(b"-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n")
    for read in (PublicKey.from_file, SecretKey.from_pem):
        with pytest.raises(ParseError, match="at most 16384"):
            read(b"-" * 20_000)


PRIME = 2**255 - 19
CURVE = -121665 * pow(121666, -1, PRIME) % PRIME


def added(one, other):
    """The sum of two points of edwards25519 (RFC 8032, section 5.1.4)."""
    (x1, y1), (x2, y2) = one, other
    k = CURVE * x1 * x2 * y1 * y2 % PRIME
    x = (x1 * y2 + x2 * y1) * pow(1 + k, -1, PRIME)
    return x % PRIME, (y1 * y2 + x1 * x2) * pow(1 - k, -1, PRIME) % PRIME


def point(y):
    """The point of this y whose x is the root that comes first."""
    square = (y * y - 1) * pow(CURVE * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if (x * x - square) % PRIME:
        x = x * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    assert (x * x - square) % PRIME == 0
    return x, y


def test_the_weak_points_are_those_whose_order_divides_eight():
    assert len(module._SMALL) == 5  # with both signs of x, and none for x = 0: eight points
    for y in module._SMALL:
        found = point(y)
        for _ in range(3):
            found = added(found, found)
        assert found == (0, 1)


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [*sorted(module._SMALL), PRIME, PRIME + 1, 2**255 - 1])
def test_weak_keys_and_second_spellings_are_refused(y, sign):
    with pytest.raises(Refused, match="weak key, for which anybody can sign"):
        PublicKey((y | sign << 255).to_bytes(32, "little").hex())


def test_without_cryptography_keys_are_named_but_not_used(monkeypatch):
    def missing(name):
        raise ImportError(name)

    public = KEY.public
    monkeypatch.setattr(module, "import_module", missing)
    assert PublicKey.parse(str(public)) == public
    with pytest.raises(MissingExtra, match=re.escape("pip install 'metaloom[signatures]'")):
        public.verifies(bytes(64), b"")
