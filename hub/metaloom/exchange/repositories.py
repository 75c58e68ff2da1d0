"""Repositories of a server that speaks the Hugging Face Hub's protocol, and their files here."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from metaloom.exchange.extras import optional
from metaloom.exchange.refusals import refusal
from metaloom.home import is_offline, without_password
from metaloom_registry import ParseError, Refused, StorageError

ADDRESS = "hf://"
EXTRA = "huggingface"
PURPOSE = "a repository of the Hugging Face Hub"
MAX_FILES = 10_000
"""Files that are taken from one repository."""
_CACHED = "; METALOOM_OFFLINE=1 takes what is in the cache"
PATIENCE = 10.0
"""Seconds until a server that says nothing is one that cannot be reached."""

_SERVER = re.compile(r"https?://[^\s/@?#]+(/[^\s@?#]*)?")


@dataclass(frozen=True)
class Remote:
    """A server that speaks the Hub's protocol: its address, a token, and where copies are kept.

    None stands for what `huggingface_hub` takes: its own variables, files and servers.  Raises
    ParseError for an address or a token that is none.
    """

    endpoint: str | None = None
    token: str | None = field(default=None, repr=False)
    cache: Path | None = None
    offline: bool = False

    def __post_init__(self) -> None:
        if self.endpoint is not None and not _SERVER.fullmatch(self.endpoint):
            raise ParseError(
                f"{without_password(self.endpoint)[:100]!r} is no server such as "
                "https://huggingface.co; set METALOOM_ENDPOINT again, without a password"
            )
        if self.token is not None and not re.fullmatch(r"[!-~]+", self.token):
            raise ParseError(
                "the token has spaces, line ends or letters that no token has; "
                "set METALOOM_TOKEN again"
            )

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Remote:
        """What METALOOM_ENDPOINT, METALOOM_TOKEN, METALOOM_CACHE and METALOOM_OFFLINE say."""
        cache = environment.get("METALOOM_CACHE")
        return cls(
            environment.get("METALOOM_ENDPOINT", "").strip().rstrip("/") or None,
            environment.get("METALOOM_TOKEN", "").strip() or None,
            None if not cache else Path(cache).expanduser() / "huggingface",
            is_offline(environment),
        )

    @property
    def credentials(self) -> str | bool | None:
        """The token as `huggingface_hub` takes it: its own goes to its own server alone."""
        return False if self.token is None and self.endpoint is not None else self.token

    @property
    def api(self) -> Any:
        """The client of `huggingface_hub`. Raises MissingExtra."""
        hub = optional("huggingface_hub", EXTRA, PURPOSE)
        return hub.HfApi(endpoint=self.endpoint, token=self.credentials)

    def forbidden(self) -> str | None:
        """The variable that forbids to ask the server, if one does. Raises MissingExtra."""
        if self.offline:
            return "METALOOM_OFFLINE"
        constants = optional("huggingface_hub.constants", EXTRA, PURPOSE)
        return "HF_HUB_OFFLINE" if constants.HF_HUB_OFFLINE else None

    def refusal(self, doing: str, error: Exception, unreached: str = "") -> StorageError:
        """An error of the network or the server, with its remedy and without the token."""
        text = refusal(doing, error, unreached)
        return StorageError(text if self.token is None else text.replace(self.token, "***"))


@dataclass(frozen=True, slots=True)
class Repository:
    """`organisation/name` and perhaps a revision: a branch, a tag or a commit."""

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Read `org/name`, `hf://org/name` or either with `@revision`. Raises ParseError."""
        name, at, revision = text.removeprefix(ADDRESS).partition("@")
        if not re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", name, re.ASCII) or (at and not revision):
            raise ParseError(
                f"{text[:100]!r} is no repository such as hf://org/name or hf://org/name@v1"
            )
        return cls(name, revision or None)

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


@dataclass(frozen=True)
class Snapshot:
    """Files of one commit of a repository: what the revision meant when it was asked for.

    folder: in the cache; its name is the commit's.
    sizes: of all the files the commit has, in bytes, None where the server does not say; no
      mapping where the cache alone was asked.
    """

    repository: Repository
    remote: Remote
    folder: Path
    sizes: Mapping[str, int | None] | None

    @classmethod
    def of(cls, repository: Repository, remote: Remote, wanted: Mapping[str, int]) -> Snapshot:
        """The files that match a pattern of `wanted`, which says their largest size in bytes.

        What the server says now is what holds: the cache stands in for it only offline.  Raises
        StorageError where the server cannot be reached or refuses or, offline, the cache lacks
        files, and Refused where a file is larger.
        """
        if remote.forbidden() is not None:
            return cls(repository, remote, _downloaded(repository, remote, wanted), None)
        try:
            info = remote.api.model_info(
                repository.name,
                revision=repository.revision,
                files_metadata=True,
                timeout=PATIENCE,
            )
        except Exception as error:  # many kinds: of the network, of the Hub
            raise remote.refusal(f"{repository} cannot be fetched", error, _CACHED) from error
        sizes = {str(file.rfilename): file.size for file in info.siblings or ()}
        _require_modest(repository, sizes, wanted)
        folder = _downloaded(repository, remote, wanted)
        if folder.name != info.sha:  # the branch moved, or the client fell back on its cache
            folder = _downloaded(Repository(repository.name, info.sha), remote, wanted)
        return cls(repository, remote, folder, sizes)

    def fetch(self, paths: Iterable[str], *, again: bool = False) -> None:
        """Bring more files; `again`, also what is in the cache. Raises StorageError."""
        at = Repository(self.repository.name, self.folder.name)
        _downloaded(at, self.remote, paths, again=again)


def _downloaded(
    repository: Repository, remote: Remote, wanted: Iterable[str], *, again: bool = False
) -> Path:
    """The folder of the files that match, from the server or offline from the cache."""
    hub = optional("huggingface_hub", EXTRA, PURPOSE)
    forbidden = remote.forbidden()
    try:
        return Path(
            hub.snapshot_download(
                repository.name,
                allow_patterns=list(wanted),
                revision=repository.revision,
                cache_dir=remote.cache,
                endpoint=remote.endpoint,
                token=remote.credentials,
                local_files_only=forbidden is not None,
                force_download=again,
            )
        )
    except Exception as error:  # many kinds: of the network, of the Hub, of the cache
        if forbidden is None:
            raise remote.refusal(f"{repository} cannot be fetched", error, _CACHED) from error
        raise StorageError(
            f"{repository} is not in the cache, and {forbidden} forbids to fetch it; "
            "unset it, or pull the block once while there is a connection"
        ) from error


def _require_modest(
    repository: Repository, sizes: Mapping[str, int | None], wanted: Mapping[str, int]
) -> None:
    """Raise Refused where files are more or larger than wanted."""
    found = {
        path: max(most for pattern, most in wanted.items() if fnmatchcase(path, pattern))
        for path in sizes
        if any(fnmatchcase(path, pattern) for pattern in wanted)
    }
    if len(found) > MAX_FILES:
        raise Refused(
            f"{repository} has {len(found)} files to fetch; at most {MAX_FILES} are fetched"
        )
    for path, most in found.items():
        if (sizes[path] or 0) > most:
            raise Refused(
                f"{path[:200]} of {repository} has {sizes[path]} bytes; at most {most} are fetched"
            )
