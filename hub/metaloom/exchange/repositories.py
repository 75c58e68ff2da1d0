"""Repositories of a server that speaks the Hugging Face Hub's protocol, and their files here."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaloom.exchange.extras import optional
from metaloom.home import is_offline
from metaloom_registry import ParseError, StorageError

ADDRESS = "hf://"
EXTRA = "huggingface"
PURPOSE = "a repository of the Hugging Face Hub"


@dataclass(frozen=True)
class Remote:
    """A server that speaks the Hub's protocol: its address, a token, and where copies are kept.

    None stands for what `huggingface_hub` takes: its own variables, files and servers.
    """

    endpoint: str | None = None
    token: str | None = None
    cache: Path | None = None
    offline: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Remote:
        """What METALOOM_ENDPOINT, METALOOM_TOKEN, METALOOM_CACHE and METALOOM_OFFLINE say."""
        cache = environment.get("METALOOM_CACHE")
        return cls(
            environment.get("METALOOM_ENDPOINT") or None,
            environment.get("METALOOM_TOKEN") or None,
            None if not cache else Path(cache).expanduser() / "huggingface",
            is_offline(environment),
        )


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


def snapshot(repository: Repository, remote: Remote, wanted: Sequence[str] | None = None) -> Path:
    """The files of one commit of a repository: what the revision means when it is asked.

    `wanted` are patterns of the files, all without.  Raises StorageError.
    """
    hub = optional("huggingface_hub", EXTRA, PURPOSE)
    try:
        return Path(
            hub.snapshot_download(
                repository.name,
                allow_patterns=None if wanted is None else list(wanted),
                revision=repository.revision,
                cache_dir=remote.cache,
                endpoint=remote.endpoint,
                token=remote.token,
                local_files_only=remote.offline,
            )
        )
    except Exception as error:  # many kinds: of the network, of the Hub, of the cache
        if remote.offline:
            raise StorageError(
                f"{repository.name} is not in the cache, and METALOOM_OFFLINE forbids to fetch it; "
                "unset it, or pull the block once while there is a connection"
            ) from error
        raise StorageError(
            f"{repository.name} cannot be fetched: {said(error)}; check the name, the connection "
            "(HF_HUB_OFFLINE forbids one) and METALOOM_TOKEN, and pull again: what arrived is kept"
        ) from error


def said(error: Exception) -> str:
    """The first line of an error of the network or the server."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
