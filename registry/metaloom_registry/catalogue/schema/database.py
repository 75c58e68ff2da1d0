"""The database under the catalogue: opened, brought to the newest schema, read and written.

SQLite runs in write-ahead mode: readers never wait, writers wait for each other.  A transaction
that writes begins with `BEGIN IMMEDIATE`, so what it read first cannot change before it commits.  A
file that this user cannot write is read as it is.

In PostgreSQL what reads is `REPEATABLE READ`, one state as in SQLite, and what writes is `READ
COMMITTED` and locks the rows that it changes by what it read of them.
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
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.pool import NullPool
from sqlmodel import Session

from metaloom_registry.catalogue.schema.revisions import HEAD, REVISIONS
from metaloom_registry.errors import MissingExtra, ParseError, StorageError

T = TypeVar("T")
BUSY_SECONDS = 60.0
"""How long a writer waits for the others."""

BUSY_TURN = 0.5
"""Seconds after which a writer of SQLite that waits looks whether it was interrupted."""

BUSY_PAUSE = 0.005
"""Seconds between two attempts at what SQLite does not wait for itself."""

DAMAGED = (
    "the file is damaged; restore it from a copy, and remove the -wal and -shm files "
    "that stand beside the damaged one"
)
MIGRATION_LOCK = 0x6D6C6F6F6D
"""The advisory lock under which PostgreSQL is migrated by one process at a time."""

ATTEMPTS = 8
"""How often a transaction is tried that another one got in the way of."""

PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10}
"""Seconds until a server of PostgreSQL that does not answer counts as lost, unless its URL says."""

_SERIALIZATION_FAILURE, _DEADLOCK, _LOCK_TIMEOUT = "40001", "40P01", "55P03"
_REMEDIES = {
    "25006": "give the address of the server that can be written, not of a copy of it",
    "42501": "let the owner of the database grant it to this user",
    "53100": "make room on the disk of the server",
    "53300": "end processes that have it open, or raise `max_connections` of the server",
}
"""What to do, by the code of an error of PostgreSQL: its words are in the server's language."""


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
        self._reader = _reader(self.engine)
        with self._explained("open"):
            self._migrate()
        if self.dialect == "sqlite":
            _stay_with(self.engine, Path(self.url.database or ""))

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.engine.dialect.name

    @property
    def schema(self) -> str:
        """The revision of the tables: the newest this Metaloom knows, once it is open."""
        return HEAD

    def damage(self) -> str | None:
        """What is wrong with the file of a SQLite database, if anything; it is read as a whole.

        PostgreSQL looks after its own files.
        """
        if self.dialect != "sqlite":
            return None
        with self.asking() as connection:
            found = str(connection.execute(text("PRAGMA quick_check(1)")).scalar())
        return None if found == "ok" else f"{self._where}: {found}; {DAMAGED}"

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that sees one state of the database and changes nothing."""
        with self._explained("read"), Session(self._reader) as session:
            yield session

    @contextmanager
    def asking(self) -> Iterator[Connection]:
        """The same for what reads rows and needs no objects, which is quicker."""
        with self._explained("read"), self._reader.connect() as connection:
            yield connection

    def write(self, change: Callable[[Session], T]) -> T:
        """Run a change as one transaction: all of it takes place or nothing.

        `change` is called again where another transaction got in its way, so it must do nothing
        but read and write the session it is given.
        """
        until = time.monotonic() + BUSY_SECONDS
        with self._explained("write"):
            for attempt in range(ATTEMPTS):
                try:
                    with Session(self._writer, expire_on_commit=False) as session:
                        found = change(session)
                        session.commit()
                        return found
                except (IntegrityError, OperationalError) as error:
                    late = attempt + 1 == ATTEMPTS or time.monotonic() > until
                    if late or not _in_the_way(error):
                        raise
        raise AssertionError("unreachable")

    def _migrate(self) -> None:
        with self.engine.connect() as connection:
            if _revision(connection) == HEAD:
                return
        with self._writer.connect() as connection, connection.begin():
            if self.dialect == "postgresql":  # SQLite's writers wait for each other anyway
                connection.execute(text("SET LOCAL lock_timeout = 0"))  # it may take minutes
                connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
                connection.execute(text(f"SET LOCAL lock_timeout = '{BUSY_SECONDS:.0f}s'"))
            revision = _revision(connection)  # again: another process may have been first
            if revision == HEAD:
                return
            self._require_unicode(connection)
            if revision is not None and revision not in REVISIONS:
                raise StorageError(
                    f"{self._where} has the schema {revision}, which is newer than this "
                    f"Metaloom's, {HEAD}; upgrade with `pip install --upgrade metaloom`"
                )
            _upgrade(connection)

    def _require_unicode(self, connection: Connection) -> None:
        if self.dialect != "postgresql":
            return
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
        if str(encoding) != "UTF8":
            raise StorageError(
                f"{self._where} keeps texts in {encoding}, which not all names and cards can be "
                "written in; make another with `createdb --encoding=UTF8 --template=template0`"
            )

    @property
    def _where(self) -> str:
        return f"the catalogue {self.url.database or self.url.render_as_string()}"

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Say what a failing database means, or what it is given and does not hold."""
        try:
            yield
        except (DataError, OverflowError, UnicodeEncodeError) as error:
            reason = str(getattr(error, "orig", error)).splitlines()[0]
            raise ParseError(
                f"cannot {doing} {self._where} with what was given: {reason}; "
                "give texts that are shorter and without NUL, and numbers that are smaller"
            ) from error
        except DBAPIError as error:
            reason = str(error.orig).splitlines()[0] if error.orig else type(error).__name__
            raise StorageError(
                f"cannot {doing} {self._where}: {reason}; {_remedy(_code(error), reason)}"
            ) from error
        except NoConnectionLeft as error:
            raise StorageError(
                f"cannot {doing} {self._where}: as many threads of this process as may at once "
                "keep it busy; ask with fewer, or again later"
            ) from error
        except UnicodeDecodeError as error:  # what SQLite says of damage may itself be damaged
            raise StorageError(f"cannot {doing} {self._where}: {error}; {DAMAGED}") from error


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
            patience = {name: value for name, value in PATIENCE.items() if name not in url.query}
            spoken = {"client_encoding": "utf8", **patience}
            engine = create_engine(url, pool_pre_ping=True, connect_args=spoken)
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"a catalogue in PostgreSQL needs {error.name}; "
                "run `pip install 'metaloom[postgres]'`"
            ) from None
        event.listen(engine, "connect", _begin_session)
        return engine
    options: dict[str, Any] = {"connect_args": {"timeout": BUSY_SECONDS}}
    if _read_only(url):
        options["poolclass"] = NullPool  # each transaction looks anew whether somebody writes
    engine = create_engine(url, **options)
    event.listen(engine, "do_connect", _address)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _reader(engine: Engine) -> Engine:
    """The engine for what reads: each transaction sees one state."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ")


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


def _stay_with(engine: Engine, path: Path) -> None:
    """Let an engine use no other file than the one that is at a path now.

    What is written into a file that was moved away or removed is lost to all who look at the path.
    """

    def identity() -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def require_same(*_: object) -> None:
        if identity() != opened:
            raise StorageError(
                f"the catalogue {path} was moved, replaced or removed while it was open; "
                "open the library again, where it is now"
            )

    opened = identity()
    event.listen(engine, "do_connect", require_same)
    event.listen(engine, "checkout", require_same)


def _begin_session(connection: Any, _: object) -> None:
    """Let a statement in PostgreSQL wait for others as long as a writer of SQLite does.

    And let it be answered from the indexes, which all that is asked here has: where blocks are
    many, whole tables would be read in parallel, and code be compiled, for what is soon looked up.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"SET lock_timeout = {1000 * BUSY_SECONDS:.0f}; SET random_page_cost = 1.1; "
            "SET max_parallel_workers_per_gather = 0; SET jit = off"
        )
    connection.commit()


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
    if not connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql("BEGIN")
        return
    until = time.monotonic() + BUSY_SECONDS
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * BUSY_TURN:.0f}")
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                return
            except OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > until:
                    raise
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * BUSY_SECONDS:.0f}")


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
    return _code(error) in (_SERIALIZATION_FAILURE, _DEADLOCK) or "is locked" in str(error.orig)


def _code(error: DBAPIError) -> str:
    """The code of an error of PostgreSQL; empty where it has none."""
    return getattr(error.orig, "sqlstate", None) or ""


def _remedy(code: str, reason: str) -> str:
    """What to do about an error of a code, if it has one, that says this."""
    if code in _REMEDIES:
        return _REMEDIES[code]
    reason = reason.lower()
    if "readonly" in reason or "read-only" in reason:
        return "make the file and its folder writable"
    if "unable to open" in reason:
        return "check that the folder exists and is writable"
    if any(word in reason for word in ("not a database", "malformed", "vtable")):
        return DAMAGED
    if "disk i/o" in reason:
        return "check that its disk works and has room"
    if "full" in reason:
        return "make room on the disk"
    if code == _LOCK_TIMEOUT or "locked" in reason:
        return (
            f"another process kept it locked for {BUSY_SECONDS:g} seconds; "
            "end that process and try again"
        )
    return "check that the database can be reached and is whole"
