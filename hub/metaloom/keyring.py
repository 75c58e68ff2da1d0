"""The keys of a person: those they sign with, and those they trust, in files of their library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from metaloom_registry import (
    AlreadyExists,
    NotFound,
    PublicKey,
    Refused,
    SecretKey,
    StorageError,
    Trusted,
    TrustList,
)
from metaloom_registry.keys import MAX_FILE_BYTES
from metaloom_registry.trust import check_key_name

KEYS_FOLDER = "keys"
TRUST_FILE = "trust.json"
FOLDER_VARIABLE = "METALOOM_KEYS"
PASSPHRASE_VARIABLE = "METALOOM_PASSPHRASE"
MAX_TRUST_BYTES = 4 * 1024 * 1024


class Keyring:
    """Keys in a folder: NAME.key, the private one, of mode 0600, NAME.pub, and the trust list."""

    def __init__(self, folder: Path, passphrase: str | None = None) -> None:
        """`passphrase` opens keys that are encrypted."""
        self.folder = folder
        self.passphrase = passphrase

    @classmethod
    def of(cls, home: Path, environment: Mapping[str, str] = os.environ) -> Keyring:
        """The keys of a library: METALOOM_KEYS, or `keys` in its folder."""
        given = environment.get(FOLDER_VARIABLE)
        folder = Path(given).expanduser().absolute() if given else home / KEYS_FOLDER
        return cls(folder, environment.get(PASSPHRASE_VARIABLE) or None)

    def create(self, name: str, seed: bytes) -> SecretKey:
        """Keep a new key, and trust it. Raises AlreadyExists where the name is taken.

        seed: 32 random bytes, such as `secrets.token_bytes(32)`.
        """
        key = SecretKey(seed)
        check_key_name(name)
        if self._path(name, "key").exists():
            raise AlreadyExists(
                f"{self._path(name, 'key')} is there already; give the new key another name"
            )
        trust = self.trust.adding(Trusted(name, key.public))
        self._write(self._path(name, "key"), key.to_pem(self.passphrase), 0o600, new=True)
        self._write(self._path(name, "pub"), f"{key.public} {name}\n".encode(), 0o644)
        self._write(self.folder / TRUST_FILE, trust.to_bytes(), 0o644)
        return key

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the keys one can sign with."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.key")))

    def secret(self, name: str | None = None) -> SecretKey:
        """The key to sign with; without a name the only one, or the one called `default`.

        Raises NotFound, or Refused where others may read its file or the passphrase is wrong.
        """
        name = name or self._usual()
        path = self._path(check_key_name(name), "key")
        if not path.is_file():
            there = f"there are {', '.join(self.names)}" if self.names else "there is none"
            raise NotFound(f"there is no key {name} to sign with; {there}: `metaloom key new`")
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise Refused(f"others may read {path}; keep it to yourself: `chmod 600 {path}`")
        return SecretKey.from_pem(_read(path, MAX_FILE_BYTES), self.passphrase)

    def among(self, keys: Iterable[PublicKey]) -> str | None:
        """The name of the first key one can sign with that is among these; None without any."""
        wanted = set(keys)
        return next((mine for mine in self.names if self.public(mine) in wanted), None)

    def public(self, given: str) -> PublicKey:
        """The key that a text, a name or the path of a file means.

        Raises NotFound, ParseError or Refused.
        """
        if given.startswith("ed25519:"):
            return PublicKey.parse(given)
        known = self.trust.named(given)
        if known is not None:
            return known.key
        for path in (self._path(given, "pub") if "/" not in given else None, Path(given)):
            if path is not None and path.is_file():
                return PublicKey.from_file(_read(path, MAX_FILE_BYTES))
        raise NotFound(
            f"{given[:80]!r} is no public key: neither ed25519:..., nor a file, nor the name of a "
            "key that is trusted here; `metaloom key list` shows them, `metaloom key new` makes one"
        )

    @property
    def trust(self) -> TrustList:
        """The keys that are trusted."""
        path = self.folder / TRUST_FILE
        return TrustList.parse(_read(path, MAX_TRUST_BYTES)) if path.is_file() else TrustList()

    def add_trusted(self, name: str, key: PublicKey, namespaces: Iterable[str] = ()) -> Trusted:
        """Trust a key, for some namespaces or for all. Raises AlreadyExists or InvalidName."""
        one = Trusted(name, key, frozenset(namespaces))
        self._write(self.folder / TRUST_FILE, self.trust.adding(one).to_bytes(), 0o644)
        return one

    def remove_trusted(self, given: str) -> Trusted:
        """Trust a key no longer. Raises NotFound."""
        trust = self.trust
        known = trust.named(given)
        if known is None and given.startswith("ed25519:"):
            known = trust.find(PublicKey.parse(given))
        if known is None:
            raise NotFound(f"{given[:80]!r} is not trusted here; `metaloom key list` shows what is")
        self._write(self.folder / TRUST_FILE, trust.without(known.key).to_bytes(), 0o644)
        return known

    def _usual(self) -> str:
        names = self.names
        if len(names) == 1:
            return names[0]
        if "default" in names or not names:
            return "default"
        raise NotFound(f"there are several keys; say which to sign with: {', '.join(names)}")

    def _path(self, name: str, ending: str) -> Path:
        return self.folder / f"{name}.{ending}"

    def _write(self, path: Path, data: bytes, mode: int, *, new: bool = False) -> None:
        """Put a file in its place whole; a new one must not be there yet."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            written = path if new else path.with_name(f".{path.name}.{os.getpid()}")
            kind = os.O_CREAT | os.O_WRONLY | (os.O_EXCL if new else os.O_TRUNC)
            with os.fdopen(os.open(written, kind, mode), "wb") as file:
                file.write(data)
            if not new:
                written.replace(path)
        except FileExistsError:
            raise AlreadyExists(f"{path} is there already") from None
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error.strerror}") from None


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > most:
        raise Refused(f"{path} has more than {most} bytes; it is not what it should be")
    return data
