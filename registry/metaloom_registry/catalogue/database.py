"""The database under the catalogue: opened, brought to the newest schema, read and written.

SQLite runs in write-ahead mode: readers never wait, writers wait for each other.  A transaction
that writes begins with `BEGIN IMMEDIATE`, so what it read first cannot change before it commits.  A
file that this user cannot write is read as it is.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from metaloom_registry.catalogue.migrations import HEAD, REVISIONS
from metaloom_registry.errors import MissingExtra, StorageError

T = TypeVar("T")
BUSY_SECONDS = 60.0
"""How long a writer of SQLite waits for the others."""

BUSY_PAUSE = 0.005
"""Seconds between two attempts at what SQLite does not wait for itself."""

MIGRATION_LOCK = 0x6D6C6F6F6D
"""The advisory lock under which PostgreSQL is migrated by one process at a time."""

ATTEMPTS = 8
"""How often a transaction is tried that another one got in the way of."""


class Database:
    """A catalogue's database, at the newest schema."""

    def __init__(self, url: str | URL) -> None:
        """Open the database at a SQLAlchemy URL and migrate it where that is needed.

        Raises StorageError where it cannot be opened, or where a newer Metaloom wrote it, and
        MissingExtra where PostgreSQL is wanted and its driver is not installed.
        """
        self.url = database_url(url)
        self.engine = _engine(self.url)
        self._writer = self.engine.execution_options(writes=True)
        with self._explained("open"):
            self._migrate()

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @property
    def schema(self) -> str:
        """The revision of the tables: the newest this Metaloom knows, once it is open."""
        return HEAD

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._explained("read"), Session(self.engine) as session:
            yield session

    @contextmanager
    def asking(self) -> Iterator[Connection]:
        """The same for what reads rows and needs no objects, which is quicker."""
        with self._explained("read"), self.engine.connect() as connection:
            yield connection

    def write(self, change: Callable[[Session], T]) -> T:
        """Run a change as one transaction: all of it takes place or nothing.

        `change` is called again where another transaction got in its way, so it must do nothing
        but read and write the session it is given.
        """
        with self._explained("write"):
            for attempt in range(ATTEMPTS):
                try:
                    with Session(self._writer, expire_on_commit=False) as session:
                        found = change(session)
                        session.commit()
                        return found
                except (IntegrityError, OperationalError) as error:
                    if attempt + 1 == ATTEMPTS or not _in_the_way(error):
                        raise
        raise AssertionError("unreachable")

    def _migrate(self) -> None:
        with self.engine.connect() as connection:
            if _revision(connection) == HEAD:
                return
        with self._writer.connect() as connection, connection.begin():
            if self.dialect == "postgresql":  # SQLite's writers wait for each other anyway
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            revision = _revision(connection)  # again: another process may have been first
            if revision == HEAD:
                return
            if revision is not None and revision not in REVISIONS:
                raise StorageError(
                    f"{self._where} has the schema {revision}, which is newer than this "
                    f"Metaloom's, {HEAD}; upgrade with `pip install --upgrade metaloom`"
                )
            _upgrade(connection)

    @property
    def _where(self) -> str:
        return f"the catalogue {self.url.database or self.url.render_as_string()}"

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Say what a failing database means."""
        try:
            yield
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0] if error.orig else type(error).__name__
            raise StorageError(
                f"cannot {doing} {self._where}: {reason}; {_remedy(reason)}"
            ) from error


def sqlite_url(path: str) -> URL:
    """The URL of a SQLite file."""
    return URL.create("sqlite", database=path)


def database_url(given: str | URL) -> URL:
    """The URL of a database, its driver named. Raises StorageError where it is none of ours."""
    try:
        url = make_url(given)
    except ArgumentError:
        raise StorageError(
            "what is given as the database of a catalogue is no URL; "
            "write it as postgresql://user@host/name"
        ) from None
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise StorageError(
            f"a catalogue is in SQLite or in PostgreSQL, not in {backend[:40]!r}; "
            "write its URL as postgresql://user@host/name"
        )
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        try:
            return create_engine(url, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"a catalogue in PostgreSQL needs {error.name}; "
                "run `pip install 'metaloom[postgres]'`"
            ) from None
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}}
    if _read_only(url):
        options["poolclass"] = NullPool  # each transaction looks anew whether somebody writes
    engine = create_engine(url, **options)
    event.listen(engine, "do_connect", _address)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _read_only(url: URL) -> bool:
    """Whether a SQLite file stands in a folder that this user cannot write."""
    path = Path(url.database or "")
    return path.is_file() and not os.access(path.parent, os.W_OK)


def _address(_: object, __: object, arguments: list[Any], options: dict[str, Any]) -> None:
    """Of a file that nobody has open in a folder that cannot be written, tell SQLite so.

    It would otherwise make a file beside it, which is how readers and writers take turns.
    """
    path = arguments[0]
    if _read_only(sqlite_url(path)) and not Path(f"{path}-wal").exists():
        arguments[0] = f"{Path(path).absolute().as_uri()}?immutable=1"
        options["uri"] = True


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    _log_ahead(cursor)
    cursor.close()


def _log_ahead(cursor: Any) -> None:
    """Set the journal to WAL, which a database remembers.

    SQLite does not wait for its busy timeout here: where two processes open a new file at once,
    the change of the one is refused at once while the other makes it or writes already.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(BUSY_PAUSE)


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection) -> str | None:
    """The schema of the database; None where it is empty."""
    if connection.dialect.name == "sqlite":
        query = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
        present = connection.execute(text(query)).first() is not None
    else:
        present = inspect(connection).has_table("alembic_version")
    if not present:
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection) -> None:
    # Alembic is imported where there is something to migrate, which is seldom.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    with as_file(files("metaloom_registry.catalogue") / "migrations") as scripts:
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _in_the_way(error: DBAPIError) -> bool:
    """Whether trying again may help: two inserted one key, or the database chose a victim."""
    if isinstance(error, IntegrityError):
        return True
    reason = str(error.orig).lower()
    return any(word in reason for word in ("deadlock", "serialize", "is locked"))


def _remedy(reason: str) -> str:
    reason = reason.lower()
    if "readonly" in reason or "read-only" in reason:
        return "make the file and its folder writable"
    if "unable to open" in reason:
        return "check that the folder exists and is writable"
    if "not a database" in reason or "malformed" in reason:
        return "the file is damaged; restore it from a copy"
    if "full" in reason:
        return "make room on the disk"
    if "locked" in reason:
        return "another process keeps it locked; end that process and try again"
    return "check that the database can be reached and is whole"
