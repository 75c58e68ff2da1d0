"""A check-up of an installation and its library: what is well, what is not, and what to do."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from metaloom.exchange.repositories import Remote
from metaloom.home import BLOBS, CATALOGUE, cache_folder, is_offline, without_password
from metaloom_registry import Digest, MetaloomError, discover
from metaloom_registry.plugins import GROUPS
from metaloom_registry.storage import CachedBlobs

if TYPE_CHECKING:
    from metaloom.hub import Hub

State: TypeAlias = Literal["ok", "note", "bad"]

PYTHON = (3, 11)
ROOM = 1 << 30
PATIENCE = 3.0
"""Seconds that a server has to answer."""

SAMPLE = 200
"""Blocks whose bytes are read: the newest; `metaloom verify` reads all."""

EXTRAS = {
    "datasets": "datasets",
    "demo": "jinja2",
    "fast": "numba",
    "huggingface": "huggingface_hub",
    "images": "PIL",
    "mlflow": "mlflow",
    "onnx": "onnx",
    "postgres": "psycopg",
    "s3": "s3fs",
    "signatures": "cryptography",
    "tuning": "optuna",
}
"""The extras by a package that each brings."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `bad` keeps something from working, `note` is a choice."""

    what: str
    state: State
    said: str
    remedy: str = ""


def check_installation(
    open_hub: Callable[[], Hub], now: Callable[[], float] = time.time
) -> list[Finding]:
    """Look at Python, torch, extras and plugins, then at the library, if it can be opened."""
    findings = [*_python(), *_packages(), *_plugins(), *_environment()]
    try:
        hub = open_hub()
    except MetaloomError as error:
        return [*findings, _bad("library", error)]
    with hub:
        try:
            findings += _library(hub, now())
        except MetaloomError as error:
            findings.append(_bad("library", error))
    return findings


def _bad(what: str, error: MetaloomError | str) -> Finding:
    """A finding of an error, whose message ends with the remedy."""
    said, _, remedy = str(error).rpartition("; ")
    if not said:
        said, remedy = remedy, "give another folder with --home or METALOOM_HOME"
    return Finding(what, "bad", said, remedy)


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        yield Finding("Python", "bad", found, f"install Python {wanted} or newer")
    else:
        yield Finding("Python", "ok", found)
    try:
        import torch  # noqa: PLC0415 - a torch that does not load is one of the findings
    except Exception as error:
        said = f"torch does not load: {type(error).__name__}: {str(error)[:200]}"
        yield Finding("torch", "bad", said, "run `pip install --force-reinstall torch`")
    else:
        device = "with CUDA" if torch.cuda.is_available() else "CPU only"
        yield Finding("torch", "ok", f"{torch.__version__}, {device}")


def _packages() -> Iterator[Finding]:
    missing = [extra for extra, package in EXTRAS.items() if find_spec(package) is None]
    there = [extra for extra in EXTRAS if extra not in missing]
    yield Finding("extras", "ok", f"installed: {', '.join(there) or 'none'}")
    if missing:
        install = f"`pip install 'metaloom[{','.join(missing)}]'` brings them"
        yield Finding("extras", "note", f"not installed: {', '.join(missing)}", install)
    try:
        yield Finding("metaloom", "ok", version("metaloom"))
    except PackageNotFoundError:
        yield Finding("metaloom", "bad", "it is not installed", "run `pip install metaloom`")


def _plugins() -> Iterator[Finding]:
    broken = [
        outcome for group in GROUPS for outcome in discover(group).outcomes() if outcome.error
    ]
    for outcome in broken:
        plugin = outcome.plugin
        said = f"{plugin.name} of {plugin.distribution} does not load: {outcome.error}"
        yield Finding("plugins", "bad", said, f"upgrade or remove {plugin.distribution}")
    if not broken:
        yield Finding("plugins", "ok", "all load")


def _environment() -> Iterator[Finding]:
    if is_offline():
        yield Finding("network", "note", "METALOOM_OFFLINE forbids it", "unset it to pull and push")
    elif os.environ.get("METALOOM_TOKEN") and find_spec("huggingface_hub") is not None:
        yield _token()


def _token() -> Finding:
    """Whether the server of `push` and `pull` knows the token."""
    try:
        remote = Remote.of()
    except MetaloomError as error:
        return _bad("token", error)
    server = remote.endpoint or "the Hugging Face Hub"
    if forbidding := remote.forbidden():
        return Finding("token", "note", f"{forbidding} forbids to ask {server}", "unset it")
    try:
        known = remote.api.whoami()
    except Exception as error:  # of several libraries below
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403):
            fix = "set METALOOM_TOKEN to one that is valid, or unset it"
            return Finding("token", "bad", f"{server} does not know METALOOM_TOKEN", fix)
        said = f"{server} does not answer: {type(error).__name__}: {str(error)[:200]}"
        fix = "check the connection and METALOOM_ENDPOINT, or set METALOOM_OFFLINE=1"
        return Finding("token", "note", said, fix)
    return Finding("token", "ok", f"{server} knows it as {known.get('name')}")


def _library(hub: Hub, now: float) -> Iterator[Finding]:
    database = hub.registry.database
    yield Finding("library", "ok", f"{hub.home}: {database.dialect} at schema {database.schema}")
    yield from _room(hub.home)
    if (hub.home / BLOBS.file).is_file() or os.environ.get("METALOOM_CACHE"):
        yield from _cache(cache_folder(hub.home))
    yield from _keys(hub)
    damage = database.damage()
    if damage is not None:
        yield _bad("catalogue", damage)
        return
    yield Finding("catalogue", "ok", "nothing is damaged")
    try:
        yield from _blobs(hub)
    except MetaloomError as error:
        yield _bad("blobs", error)
    [*newest] = hub.registry.newest(1)
    ahead = newest[0].created.timestamp() - now if newest else 0.0
    if ahead > 1:
        said = f"the newest block is from {ahead:,.0f} seconds in the future"
        yield Finding("clock", "bad", said, "set the clock of this machine, or of the other")
    else:
        yield Finding("clock", "ok", "no block is from the future")
    yield _mirror(hub)


def _room(home: Path) -> Iterator[Finding]:
    if not os.access(home, os.W_OK):
        fix = f"run `chmod u+w {home}`, or give another folder with --home or METALOOM_HOME"
        yield Finding("folder", "bad", f"{home} is not writable", fix)
    free = shutil.disk_usage(home).free
    if free < ROOM:
        said = f"{free >> 20} MiB are free under {home}"
        yield Finding("disk", "bad", said, "make room; `metaloom gc` removes what nothing needs")
    else:
        yield Finding("disk", "ok", f"{free >> 30} GiB free")


def _keys(hub: Hub) -> Iterator[Finding]:
    for name in hub.keys.names:
        path = hub.keys.folder / f"{name}.key"
        if os.name == "posix" and path.stat().st_mode & 0o077:
            said = f"others may read the key {path}, which signs nothing until it is your own"
            yield Finding("keys", "bad", said, f"run `chmod 600 {path}`")


def _cache(folder: Path) -> Iterator[Finding]:
    """Whether copies of what is remote can be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        fix = "set METALOOM_CACHE to a folder that is writable, or unset it"
        yield Finding("cache", "bad", f"{folder} is not writable", fix)


def _blobs(hub: Hub) -> Iterator[Finding]:
    """Whether the store can be reached and holds what the catalogue lists. Raises StorageError."""
    if isinstance(hub.registry.blobs, CachedBlobs) and not is_offline():
        hub.registry.blobs.remote.has(Digest.of(b""))
    blobs: Any = hub.registry.blobs
    if not hub.registry.names(limit=1).items and next(iter(blobs.digests()), None) is not None:
        said = "the store holds blobs, and the catalogue lists no block"
        fix = f"restore {CATALOGUE.inside} from a copy, before `metaloom gc` removes the blobs"
        yield Finding("blobs", "note", said, fix)
        return
    read = 0
    for block in hub.registry.newest(SAMPLE):
        report = hub.registry.verify(block.exactly)
        for problem in report.problems:
            fix = "`metaloom verify` lists all, `metaloom repair --from STORE` restores them"
            yield Finding("blobs", "bad", f"{block}: {problem.message}", fix)
            return
        read += report.files
    said = f"{read} files of the newest blocks are as published" if read else "no block yet"
    yield Finding("blobs", "ok", said)


def _mirror(hub: Hub) -> Finding:
    if hub.sender.uri is None:
        return Finding("MLflow", "note", "the mirror is off", "unset METALOOM_MLFLOW_URI")
    waiting, server = hub.registry.outbox.waiting(), without_password(hub.sender.uri)
    if not is_offline() and not _answers(hub.sender.uri):
        said = f"{server} does not answer; {waiting} messages wait for it, and nothing else does"
        fix = "start it, or set METALOOM_MLFLOW_URI to another, or to `off`"
        return Finding("MLflow", "note", said, fix)
    if waiting and find_spec("mlflow") is None:
        said = f"{waiting} messages wait, and mlflow is not installed"
        return Finding("MLflow", "note", said, "run `pip install 'metaloom[mlflow]'`")
    if waiting:
        said = f"{waiting} messages wait for {server}"
        return Finding("MLflow", "note", said, "`metaloom lineage --sync` sends them")
    return Finding("MLflow", "ok", f"all is sent to {server}")


def _answers(uri: str) -> bool:
    """Whether a server listens at an address; of what is no server's address it is so."""
    address = urlsplit(uri)
    if address.scheme not in ("http", "https") or address.hostname is None:
        return True
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), timeout=PATIENCE).close()
    except (OSError, ValueError):
        return False
    return True
