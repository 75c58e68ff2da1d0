"""A PostgreSQL server of one's own, in a temporary folder, from the binaries that are installed.

It listens on a socket in its folder and on no network, lets in whoever can reach that folder, and
is gone afterwards.  PostgreSQL refuses to run as root; for root it runs as another user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL

from metaloom_registry.errors import StorageError

DEBIAN = Path("/usr/lib/postgresql")
USERS = ("postgres", "nobody")
SECONDS = 60
"""How long the server may take to start."""


def postgres_binaries() -> Path | None:
    """The folder that has `initdb` and `postgres`, the newest of Debian's or that on the path."""
    found = [d / "bin" for d in DEBIAN.glob("*") if d.name.isdecimal()]
    for folder in sorted(found, key=lambda bin_: int(bin_.parent.name), reverse=True):
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    named = shutil.which("initdb")
    return None if named is None else Path(named).resolve().parent


@contextmanager
def postgres() -> Iterator[URL]:
    """The URL of an empty database on a server that runs meanwhile.

    Raises StorageError, with what the server said, where it cannot be started.
    """
    bin_ = postgres_binaries()
    if bin_ is None:
        raise StorageError(
            "no PostgreSQL is installed here; on Debian `apt-get install postgresql` brings it"
        )
    with tempfile.TemporaryDirectory(prefix="metaloom-postgres-") as name:
        folder = Path(name)
        user = _user()
        owner = pwd.getpwuid(os.getuid()) if user is None else pwd.getpwnam(user)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        data = folder / "data"
        settings = ("--auth=trust", "--username=metaloom", "--encoding=UTF8", "--no-sync")
        _run([bin_ / "initdb", "-D", data, "--locale=C.UTF-8", *settings], owner)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=50"
        control: tuple[str | Path, ...] = (bin_ / "pg_ctl", "-D", data, "-w")
        start = ("-t", str(SECONDS), "-l", folder / "log", "-o", options, "start")
        try:
            _run([*control, *start], owner)
            yield URL.create(
                "postgresql+psycopg",
                username="metaloom",
                database="postgres",
                query={"host": str(folder)},
            )
        finally:
            if (data / "postmaster.pid").exists():
                _run([*control, "-m", "immediate", "stop"], owner)


def _user() -> str | None:
    """Whom the server runs as where this is root."""
    if os.getuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    for user in USERS:
        if user in known:
            return user
    raise StorageError(f"PostgreSQL does not run as root, and there is no user {USERS[0]}; add it")


def _run(command: Sequence[str | Path], owner: pwd.struct_passwd) -> None:
    """Run one of PostgreSQL's programs as its owner, with nothing of this process's environment."""
    root = os.getuid() == 0
    done = subprocess.run(
        list(map(str, command)),
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        user=owner.pw_uid if root else None,
        group=owner.pw_gid if root else None,
        extra_groups=[] if root else None,
    )
    if done.returncode:
        said = " ".join(done.stdout.split())[-600:]
        raise StorageError(f"{Path(command[0]).name} failed: {said}")
