"""Whom one trusts: a list of public keys, each with a name and the namespaces it may sign for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from metaloom_registry.canonical import dump_canonical, load_strict
from metaloom_registry.errors import AlreadyExists, BadSeal, InvalidName, MissingExtra, Refused
from metaloom_registry.keys import PublicKey
from metaloom_registry.names import BlockName
from metaloom_registry.seals import Seal

FORMAT = "metaloom-trust/1"
MAX_KEYS = 10_000

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Trusted:
    """A key that is trusted, what it is called here, and for which namespaces; none means all."""

    name: str
    key: PublicKey
    namespaces: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_key_name(self.name)
        for namespace in self.namespaces:
            BlockName(namespace, "x")  # raises InvalidName

    def may_sign(self, namespace: str | None) -> bool:
        """Whether it is trusted for a namespace; None is that of a block without a name."""
        if not self.namespaces:
            return True
        mine = {one.lower() for one in self.namespaces}
        return namespace is not None and namespace.lower() in mine


@dataclass(frozen=True, slots=True)
class Standing:
    """What a seal is worth to the owner of a trust list.

    state: "trusted"; "limited" where the key is trusted for other namespaces only; "unknown" where
      it is not listed; "bad" where the signature does not hold; "unchecked" where the package that
      checks it is missing.
    name: what the list calls the key.  problem: why it is bad or unchecked.
    """

    seal: Seal
    state: str
    name: str | None = None
    problem: str = ""

    def __str__(self) -> str:
        key = self.seal.key.short
        who = f'"{self.name}"' if self.name else f"an unknown key {key}…"
        when = f"{self.seal.when:%Y-%m-%d %H:%M} UTC"
        if self.state == "bad":
            return f"BAD signature in the name of {who}"
        if self.state == "unchecked":
            return f"signature by {who} NOT checked ({self.problem})"
        said = {"trusted": " (trusted)", "limited": " (not trusted for this namespace)"}
        return f"signed by {who}{said.get(self.state, '')} at {when}"


@dataclass(frozen=True)
class TrustList:
    """The keys one trusts, in the order of their names; no key and no name stands there twice."""

    keys: tuple[Trusted, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(sorted(self.keys, key=lambda one: one.name)))
        for what, held in (
            ("name", [one.name for one in self.keys]),
            ("key", [str(one.key) for one in self.keys]),
        ):
            for one in held:
                if held.count(one) > 1:
                    raise AlreadyExists(
                        f"the {what} {one} is in the trust list already; "
                        "`metaloom key untrust` takes it out"
                    )

    def find(self, key: PublicKey) -> Trusted | None:
        """What is known of a key."""
        return next((one for one in self.keys if one.key == key), None)

    def named(self, name: str) -> Trusted | None:
        """The key of this name."""
        return next((one for one in self.keys if one.name == name), None)

    def adding(self, one: Trusted) -> TrustList:
        """The list with one key more. Raises AlreadyExists."""
        return TrustList((*self.keys, one))

    def without(self, key: PublicKey) -> TrustList:
        """The list without a key."""
        return TrustList(tuple(one for one in self.keys if one.key != key))

    def standing(self, seal: Seal, manifest: bytes, namespace: str | None) -> Standing:
        """What a seal on a manifest is worth for a block of this namespace."""
        known = self.find(seal.key)
        name = None if known is None else known.name
        try:
            seal.check(manifest)
        except BadSeal as error:
            return Standing(seal, "bad", name, str(error))
        except MissingExtra as error:
            return Standing(seal, "unchecked", name, str(error))
        if known is None:
            return Standing(seal, "unknown")
        return Standing(seal, "trusted" if known.may_sign(namespace) else "limited", name)

    def standings(
        self, seals: Iterable[Seal], manifest: bytes, namespace: str | None
    ) -> tuple[Standing, ...]:
        """What each seal is worth."""
        return tuple(self.standing(seal, manifest, namespace) for seal in seals)

    def to_bytes(self) -> bytes:
        """The list as canonical JSON."""
        return dump_canonical(
            {
                "format": FORMAT,
                "keys": [
                    {
                        "name": one.name,
                        "key": str(one.key),
                        "namespaces": sorted(one.namespaces),
                    }
                    for one in self.keys
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> TrustList:
        """Read what `to_bytes` wrote; a person may have edited it. Raises ParseError or Refused."""
        value = load_strict(data, "the trust list")
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise Refused(f"the trust list is no object of the format {FORMAT!r}")
        listed = value.get("keys")
        if not isinstance(listed, list) or len(listed) > MAX_KEYS:
            raise Refused(f"the trust list's 'keys' are no list of at most {MAX_KEYS}")
        return cls(tuple(_trusted(item, f"keys[{i}]") for i, item in enumerate(listed)))


def check_key_name(name: str) -> str:
    """What a key may be called. Raises InvalidName."""
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name[:80]!r} is no name of a key; use a lower-case letter followed by at most 39 "
            "lower-case letters, digits or '-'"
        )
    return name


def _trusted(item: Any, what: str) -> Trusted:
    if not isinstance(item, dict) or set(item) != {"name", "key", "namespaces"}:
        raise Refused(
            f"the trust list's {what} is not an object with the keys key, name, namespaces"
        )
    namespaces = item["namespaces"]
    texts = isinstance(namespaces, list) and all(isinstance(one, str) for one in namespaces)
    if not texts or not isinstance(item["name"], str) or not isinstance(item["key"], str):
        raise Refused(f"the trust list's {what} has a name, key or namespace that is no text")
    return Trusted(item["name"], PublicKey.parse(item["key"]), frozenset(namespaces))
