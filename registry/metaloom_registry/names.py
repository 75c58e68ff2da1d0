"""What a block is called: `namespace/name`, and a reference to one version of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

from metaloom_registry.digest import Digest
from metaloom_registry.errors import InvalidName, ParseError

_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)
_MAX_LENGTH = 96

DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{device}{i}" for device in ("com", "lpt") for i in range(10))}
)
"""What some systems take for a device, with any ending: no file has such a name there."""


@dataclass(frozen=True, slots=True, order=True)
class BlockName:
    """`namespace/name`; each part follows the Hugging Face repo-id rule.

    Each part is 1 to 96 of the ASCII letters, digits, `-`, `_`, `.`; it begins and ends with a
    letter or digit, holds no `--` and no `..`, does not end in `.git`, and is none of `DEVICES`,
    such as `con` or `nul.x`.  Names are compared without regard to case (`key`), so that a folder
    on any file system can hold them all.
    """

    namespace: str
    name: str

    def __post_init__(self) -> None:
        for part, what in ((self.namespace, "namespace"), (self.name, "name")):
            _check_part(part, what)

    @classmethod
    def parse(cls, text: str) -> BlockName:
        """Read `namespace/name`. Raises InvalidName."""
        parts = text.split("/")
        if len(parts) != 2:
            raise InvalidName(
                f"{text[:120]!r} is not a block's name; give it as namespace/name, "
                "for example vision/conv4"
            )
        return cls(*parts)

    @property
    def key(self) -> str:
        """The form under which two spellings of one name are equal."""
        return str(self).lower()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


Selector: TypeAlias = int | str | Digest | None


@dataclass(frozen=True, slots=True)
class Reference:
    """Names one block: `ns/name` (newest), `ns/name@3`, `ns/name@champion` or `@sha256:...`.

    `Reference.parse(str(ref)) == ref` for every reference.
    """

    name: BlockName | None
    selector: Selector = None

    def __post_init__(self) -> None:
        if self.name is None and not isinstance(self.selector, Digest):
            raise InvalidName("a reference without a name needs a digest: @sha256:...")
        if isinstance(self.selector, str) and not _ALIAS.fullmatch(self.selector):
            raise InvalidName(
                f"{self.selector[:80]!r} is not an alias; use a lower-case letter followed by "
                "at most 62 lower-case letters, digits or '-'"
            )
        if isinstance(self.selector, int) and self.selector < 1:
            raise InvalidName(f"{self.selector} is not a version; versions count from 1")

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference. Raises InvalidName."""
        head, at, tail = text.partition("@")
        if not at:
            return cls(BlockName.parse(head))
        name = BlockName.parse(head) if head else None
        if tail.startswith("sha256:"):
            try:
                return cls(name, Digest.parse(tail))
            except ParseError as error:
                raise InvalidName(str(error)) from None
        if _VERSION.fullmatch(tail):
            return cls(name, int(tail))
        return cls(name, tail)

    def __str__(self) -> str:
        head = "" if self.name is None else str(self.name)
        return head if self.selector is None else f"{head}@{self.selector}"


def _check_part(part: str, what: str) -> None:
    if len(part) <= _MAX_LENGTH and _PART.fullmatch(part) and "--" not in part and ".." not in part:
        low = part.lower()
        if low.partition(".")[0] in DEVICES:
            raise InvalidName(f"the {what} {part!r} is a device on some systems; choose another")
        if low.endswith(".git"):
            raise InvalidName(
                f"the {what} {part!r} ends in .git, as no repository may; leave it out"
            )
        return
    rule = (
        f"a {what} is 1 to {_MAX_LENGTH} ASCII letters, digits, '-', '_' or '.', "
        "begins and ends with a letter or digit, and holds no '--' or '..'"
    )
    if len(part) > _MAX_LENGTH:
        raise InvalidName(f"the {what} {part[:40]!r}... has {len(part)} characters; {rule}")
    odd = next((c for c in part if not c.isascii()), None)
    named = "" if odd is None else f": {odd!r} is {unicodedata.name(odd, 'no letter')}"
    raise InvalidName(f"{part!r} is not a {what}{named}; {rule}")
