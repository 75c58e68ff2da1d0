"""A seal: a key's signature of a manifest, with the time at which it says it was made.

The word signature is taken, by types.  A seal stands beside the manifest and changes no identity;
a block may have several.  What is signed is

    "metaloom-seal/1" LF, the time in seconds since 1970 as 8 bytes, big-endian, the manifest

so that no signature made for anything else is a seal, and no seal is a signature of anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.digest import Digest
from metaloom_registry.errors import BadSeal, MetaloomError, Refused
from metaloom_registry.keys import SIGNATURE_BYTES, PublicKey, SecretKey

FORMAT = "metaloom-seal/1"
MAX_SEALS = 64
MAX_BYTES = 64 * 1024
LAST_TIME = 253_402_300_799
"""The last second of the year 9999."""

_HEX = re.compile(rf"[0-9a-f]{{{2 * SIGNATURE_BYTES}}}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Seal:
    """The signature, as 128 hexadecimal digits, that a key gave a manifest.

    `signed` is the time the signer gave, in whole seconds since 1970.  Raises Refused where the
    signature has another length or the time is none.
    """

    key: PublicKey
    signed: int
    signature: str

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.signature):
            raise Refused(
                f"the signature {self.signature[:40]!r} has {len(self.signature)} characters; "
                f"{2 * SIGNATURE_BYTES} lower-case hexadecimal digits are wanted"
            )
        if isinstance(self.signed, bool) or not 0 <= self.signed <= LAST_TIME:
            raise Refused(f"{str(self.signed)[:40]} is no time of a signature in seconds")

    @classmethod
    def make(cls, manifest: bytes, key: SecretKey, signed: int) -> Seal:
        """Sign the canonical bytes of a manifest at a time. Raises MissingExtra."""
        return cls(key.public, signed, key.sign(message(manifest, signed)).hex())

    @property
    def when(self) -> datetime:
        """The time the signer gave, in UTC."""
        return datetime.fromtimestamp(self.signed, UTC)

    def check(self, manifest: bytes) -> None:
        """Raise BadSeal unless the key signed these very bytes at this time; or MissingExtra."""
        if not self.key.verifies(bytes.fromhex(self.signature), message(manifest, self.signed)):
            raise BadSeal(
                f"the signature by {self.key} does not hold for the block {Digest.of(manifest)}: "
                "the block, the time or the signature was changed, or another key made it; "
                "do not use the block as that signer's"
            )


def message(manifest: bytes, signed: int) -> bytes:
    """The bytes that are signed."""
    return FORMAT.encode() + b"\n" + signed.to_bytes(8, "big") + manifest


def write_seals(block: Digest, seals: Iterable[Seal]) -> bytes:
    """The file `manifest.json.sig`: the seals of a block as canonical JSON."""
    return dump_canonical(
        {
            "format": FORMAT,
            "block": str(block),
            "seals": [
                {"key": str(seal.key), "signed": seal.signed, "signature": seal.signature}
                for seal in sorted(set(seals))
            ],
        }
    )


def read_seals(data: bytes, block: Digest) -> tuple[Seal, ...]:
    """Read what `write_seals` wrote, from a stranger; whether they hold is not looked at.

    Raises ParseError or Refused, naming the part, where it is no such file or of another block.
    """
    if len(data) > MAX_BYTES:
        raise Refused(f"a file of {len(data)} bytes holds no seals; at most {MAX_BYTES}")
    value = load_strict(data, "the seals")
    if not isinstance(value, dict) or set(value) != {"format", "block", "seals"}:
        raise Refused("the seals are not an object with the keys block, format, seals")
    if value["format"] != FORMAT:
        raise Refused(f"the seals are of the format {str(value['format'])[:60]!r}, not {FORMAT!r}")
    if value["block"] != str(block):
        raise Refused(f"the seals are of the block {str(value['block'])[:80]}, not of {block}")
    listed = value["seals"]
    if not isinstance(listed, list) or len(listed) > MAX_SEALS:
        raise Refused(f"the seals are no list of at most {MAX_SEALS}")
    seals = tuple(_seal(item, f"seals[{i}]") for i, item in enumerate(listed))
    if write_seals(block, seals) != data:
        raise Refused("the seals are not in canonical form; write them with write_seals")
    return seals


def _seal(item: Any, what: str) -> Seal:
    if not isinstance(item, dict) or set(item) != {"key", "signed", "signature"}:
        raise Refused(f"{what} is not an object with the keys key, signature, signed")
    key, signed, signature = item["key"], item["signed"], item["signature"]
    if not isinstance(key, str) or not isinstance(signature, str) or not isinstance(signed, int):
        raise Refused(f"{what} has a key, time or signature that is none")
    try:
        return Seal(PublicKey.parse(key), signed, signature)
    except MetaloomError as error:
        raise Refused(f"{what}: {error}") from None
