"""The name of some bytes: their SHA-256."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from metaloom_registry.errors import ParseError

_PATTERN = re.compile(r"sha256:([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The SHA-256 of some bytes, as 64 lower-case hexadecimal digits.

    `Digest.parse(str(digest)) == digest` for every digest.
    """

    hex: str

    @classmethod
    def of(cls, data: bytes) -> Digest:
        return cls(hashlib.sha256(data).hexdigest())

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:<64 hexadecimal digits>`. Raises ParseError on anything else."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ParseError(
                f"{text[:100]!r} is not a digest; "
                "a digest is 'sha256:' and 64 lower-case hexadecimal digits"
            )
        return cls(match.group(1))

    def __str__(self) -> str:
        return f"sha256:{self.hex}"

    @property
    def short(self) -> str:
        """The first 12 digits, for people; not an identity."""
        return self.hex[:12]
