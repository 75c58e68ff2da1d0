"""Registries that take any files for a block, on each kind of database, and blocks in one line.

Every test that asks for a registry runs on SQLite and on PostgreSQL, but those that say that they
are about a SQLite file.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import pytest
from sqlalchemy import URL, create_engine, text

from metaloom_registry import Draft, Manifest, Registry, Version, parse_type
from metaloom_registry.catalogue import Database
from metaloom_registry.catalogue.schema.database import sqlite_url
from metaloom_registry.storage import FolderBlobs
from metaloom_registry.testing import postgres, postgres_binaries

NOW = 1_700_000_000.0
_numbers = itertools.count()


def accept(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Validation that finds nothing wrong: these tests are not about what is in the files."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """A server with an empty catalogue to copy, `template_metaloom`."""
    if postgres_binaries() is None:
        pytest.skip("no PostgreSQL is installed; on Debian `apt-get install postgresql` brings it")
    with postgres() as url:
        execute(url, "CREATE DATABASE template_metaloom")
        Database(url.set(database="template_metaloom")).close()
        yield url


def execute(url: URL, statement: str) -> None:
    """Run a statement that may not stand in a transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path) -> Iterator[Callable[..., URL]]:
    """`database()`: the URL of a new database; `database("template1")`: of one without tables."""
    server = request.getfixturevalue("postgres_server") if request.param != "sqlite" else None
    made = []

    def make(template: str = "template_metaloom") -> URL:
        number = next(_numbers)
        if server is None:
            (tmp_path / f"hub{number}").mkdir()
            return sqlite_url(str(tmp_path / f"hub{number}" / "catalogue.db"))
        execute(server, f"CREATE DATABASE hub{number} TEMPLATE {template}")
        made.append(f"hub{number}")
        return server.set(database=made[-1])

    yield make
    for name in made:
        assert server is not None
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def new_registry(database, tmp_path) -> Iterator[Callable[..., Registry]]:
    """`new_registry(validate=...)`: an empty registry of its own."""
    with ExitStack() as opened:

        def make(**options) -> Registry:
            folder = tmp_path / f"store{next(_numbers)}"
            folder.mkdir()
            made = Registry(
                FolderBlobs(folder / "blobs"),
                Database(database()),
                neighbours=folder / "neighbours.bin",
                **options,
            )
            opened.callback(made.close)
            return made

        yield make


@pytest.fixture
def registry(database, new_registry, tmp_path, request) -> Iterator[Registry]:
    """A registry; on SQLite it is the folder `hub`."""
    if request.node.callspec.params["database"] != "sqlite":
        yield new_registry(now=lambda: NOW, validate=accept)
        return
    opened = Registry.open(tmp_path / "hub", now=lambda: NOW, validate=accept)
    yield opened
    opened.close()


@pytest.fixture
def draft() -> Callable[..., Draft]:
    """`draft("int -> int", b"content", **fields)`: a block whose only file has this content."""

    def make(signature: str = "int -> int", content: bytes = b"1", kind="graph", **fields) -> Draft:
        files = {"content": content}
        return Draft(Manifest.of(kind, parse_type(signature), files, **fields), files)

    return make


@pytest.fixture
def publish(registry, draft) -> Callable[..., Version]:
    """`publish("vision/conv4", "int -> int", b"content", **fields)`."""

    def make(name: str, *content, run=None, parts=(), **fields) -> Version:
        made = draft(*content, **fields)
        return registry.publish(name, made.manifest, made.files, run=run, parts=parts)

    return make
