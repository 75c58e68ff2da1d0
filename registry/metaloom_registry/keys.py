"""Keys of Ed25519 (RFC 8032), by which people say that a block is theirs.

A key is used through the package `cryptography`, which the extra `signatures` brings; naming,
comparing and listing keys needs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from metaloom_registry.errors import MissingExtra, ParseError, Refused

SEED_BYTES = 32
SIGNATURE_BYTES = 64
MAX_FILE_BYTES = 16 * 1024

_TEXT = re.compile(r"ed25519:([0-9a-f]{64})", re.ASCII)
_PRIME = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8})
"""The y of the points whose order divides 8: anybody can sign for a key that is one of them."""


@dataclass(frozen=True, slots=True, order=True)
class PublicKey:
    """The key by which a signature is checked: 32 bytes, written `ed25519:` and 64 digits.

    `PublicKey.parse(str(key)) == key`.  Refused where the bytes are not the one spelling of a
    point, or a point of small order, for which anybody can sign.
    """

    hex: str

    def __post_init__(self) -> None:
        if not _TEXT.fullmatch(f"ed25519:{self.hex}"):
            raise ParseError(
                f"{self.hex[:80]!r} is not a public key; it is 'ed25519:' and 64 lower-case "
                "hexadecimal digits"
            )
        y = int.from_bytes(self.raw, "little") % 2**255
        if y >= _PRIME or y in _SMALL:
            raise Refused(
                f"ed25519:{self.hex} is a weak key, for which anybody can sign; "
                "make one with `metaloom key new`"
            )

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read `ed25519:<64 hexadecimal digits>`. Raises ParseError, or Refused for a weak key."""
        kind, _, digits = text.partition(":")
        return cls(digits if kind == "ed25519" else text)

    @classmethod
    def from_file(cls, data: bytes) -> PublicKey:
        """Read a file that holds a public key as text or PEM. Raises ParseError or Refused."""
        if len(data) > MAX_FILE_BYTES:
            raise ParseError(f"a file of {len(data)} bytes is no key; at most {MAX_FILE_BYTES}")
        if b"PRIVATE KEY" in data:
            raise Refused("the file holds a private key; give the public one, which ends in .pub")
        if not data.startswith(b"-----"):
            text = data.decode("utf-8", "replace").split("\n", 1)[0]
            return cls.parse(text.split(" ", 1)[0].strip())
        primitives = _cryptography("hazmat.primitives.serialization")
        try:
            found = primitives.load_pem_public_key(data)
        except Exception as error:  # what it raises differs by version and by what is wrong
            raise ParseError(f"the file is no public key in PEM: {error}") from None
        return cls(_raw(found, "Ed25519PublicKey").public_bytes_raw().hex())

    @property
    def raw(self) -> bytes:
        """The 32 bytes of RFC 8032, section 5.1.5."""
        return bytes.fromhex(self.hex)

    @property
    def short(self) -> str:
        """The first 12 digits, for people; not an identity."""
        return self.hex[:12]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether a signature of this key on this message holds. Raises MissingExtra."""
        key = _cryptography("hazmat.primitives.asymmetric.ed25519").Ed25519PublicKey
        invalid = _cryptography("exceptions").InvalidSignature
        try:
            key.from_public_bytes(self.raw).verify(signature, message)
        except (invalid, ValueError):
            return False
        return True

    def __str__(self) -> str:
        return f"ed25519:{self.hex}"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """The key by which one signs: 32 random bytes, the seed of RFC 8032. Never printed."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES or not any(self.seed):
            raise Refused(
                f"a secret key is {SEED_BYTES} random bytes; {len(self.seed)} are given, "
                "or they are all zero"
            )

    @property
    def public(self) -> PublicKey:
        """What others check this key's signatures with."""
        return PublicKey(self._key.public_key().public_bytes_raw().hex())

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes; the same each time. Raises MissingExtra."""
        signature: bytes = self._key.sign(message)
        return signature

    def to_pem(self, passphrase: str | None = None) -> bytes:
        """The key as PKCS#8 in PEM, encrypted where there is a passphrase."""
        primitives = _cryptography("hazmat.primitives.serialization")
        hidden = (
            primitives.BestAvailableEncryption(passphrase.encode())
            if passphrase
            else primitives.NoEncryption()
        )
        pem: bytes = self._key.private_bytes(
            primitives.Encoding.PEM, primitives.PrivateFormat.PKCS8, hidden
        )
        return pem

    @classmethod
    def from_pem(cls, data: bytes, passphrase: str | None = None) -> SecretKey:
        """Read what `to_pem` wrote, or openssl. Raises ParseError or Refused."""
        if len(data) > MAX_FILE_BYTES:
            raise ParseError(f"a file of {len(data)} bytes is no key; at most {MAX_FILE_BYTES}")
        primitives = _cryptography("hazmat.primitives.serialization")
        if is_encrypted(data) and not passphrase:
            raise Refused("the key is encrypted; give its passphrase in METALOOM_PASSPHRASE")
        secret = passphrase.encode() if passphrase and is_encrypted(data) else None
        try:
            found = primitives.load_pem_private_key(data, secret)
        except Exception as error:  # what it raises differs by version and by what is wrong
            raise ParseError(
                f"the file is no private key in PEM, or the passphrase is another: {error}"
            ) from None
        return cls(_raw(found, "Ed25519PrivateKey").private_bytes_raw())

    @property
    def _key(self) -> Any:
        kind = _cryptography("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey
        return kind.from_private_bytes(self.seed)


def is_encrypted(pem: bytes) -> bool:
    """Whether a private key in PEM needs a passphrase."""
    return b"ENCRYPTED" in pem


def _raw(found: Any, wanted: str) -> Any:
    """The key, if it is one of Ed25519. Raises Refused, naming what it is."""
    kind = getattr(_cryptography("hazmat.primitives.asymmetric.ed25519"), wanted)
    if not isinstance(found, kind):
        raise Refused(
            f"the key is a {type(found).__name__.strip('_')}, and Ed25519 is wanted; "
            "make one with `metaloom key new`"
        )
    return found


def _cryptography(module: str) -> Any:
    try:
        return import_module(f"cryptography.{module}")
    except ImportError:
        raise MissingExtra(
            "signatures need the package cryptography: `pip install 'metaloom[signatures]'`"
        ) from None
