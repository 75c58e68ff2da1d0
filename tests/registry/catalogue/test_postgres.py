"""PostgreSQL as many use it: what readers see, writers in each other's way, a lost server."""

import importlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from threading import Event

import pytest
from sqlalchemy import text

from metaloom_registry import NotFound, NotOwner, ParseError, Reference, SecretKey, StorageError
from metaloom_registry.catalogue import Database

from .conftest import execute

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
ADD = "INSERT INTO namespace (key, spelling, created) VALUES ('a', 'a', 1)"
COUNT = "SELECT count(*) FROM namespace"
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def catalogue(database):
    """A catalogue that is open."""
    opened = Database(database())
    yield opened
    opened.close()


def add(catalogue: Database) -> None:
    """Write one row."""
    catalogue.write(lambda session: session.connection().execute(text(ADD)))


def count(catalogue: Database) -> int:
    with catalogue.asking() as connection:
        return connection.execute(text(COUNT)).scalar_one()


def test_what_reads_sees_one_state_while_others_write(catalogue):
    with catalogue.asking() as connection, catalogue.reading() as session:
        assert connection.execute(text(COUNT)).scalar() == 0
        assert session.connection().execute(text(COUNT)).scalar() == 0
        add(catalogue)
        assert connection.execute(text(COUNT)).scalar() == 0
        assert session.connection().execute(text(COUNT)).scalar() == 0
    assert count(catalogue) == 1


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_a_writer_that_the_database_chose_as_a_victim_tries_again(catalogue, code):
    tried = []

    def change(session):
        tried.append(session.connection().execute(text(ADD)))
        if len(tried) == 1:
            said = f"RAISE EXCEPTION 'Verklemmung entdeckt' USING ERRCODE = '{code}'"
            session.connection().execute(text(f"DO $$ BEGIN {said}; END $$"))

    catalogue.write(change)
    assert len(tried) == 2
    assert count(catalogue) == 1


def test_a_server_that_is_lost_is_named_and_the_next_call_finds_it_again(catalogue):
    def lose() -> None:
        execute(catalogue.url, f"SELECT pg_terminate_backend(pid, 5000) {OTHERS}")

    def change(session):
        session.connection().execute(text(ADD))
        lose()

    def ask() -> None:
        with catalogue.asking() as connection:
            connection.execute(text(COUNT))
            lose()
            connection.execute(text(COUNT))

    with pytest.raises(StorageError, match=r"cannot read the catalogue hub.*can be reached"):
        ask()
    assert count(catalogue) == 0
    with pytest.raises(StorageError, match=r"cannot write the catalogue hub.*can be reached"):
        catalogue.write(change)
    assert count(catalogue) == 0
    lose()
    assert count(catalogue) == 0


def test_a_writer_waits_for_a_lock_no_longer_than_it_may(database, monkeypatch):
    monkeypatch.setattr("metaloom_registry.catalogue.schema.database.BUSY_SECONDS", 0.2)
    catalogue = Database(database())
    lock = "LOCK TABLE namespace IN EXCLUSIVE MODE"
    with catalogue.engine.begin() as other:
        other.execute(text(lock))
        with pytest.raises(StorageError, match=r"kept it locked for 0\.2 seconds; end that"):
            add(catalogue)
    add(catalogue)
    catalogue.close()


def test_more_threads_than_may_ask_at_once_are_told(catalogue, monkeypatch):
    monkeypatch.setattr(catalogue.engine.pool, "_timeout", 0.05)

    def ask(times: int) -> None:
        with ExitStack() as asking:
            for _ in range(times):
                asking.enter_context(catalogue.asking())

    with pytest.raises(StorageError, match=r"threads of this process.*ask with fewer"):
        ask(100)
    ask(10)


def test_a_server_that_cannot_be_written_is_read_and_says_so(database):
    url = database()
    execute(url, f"ALTER DATABASE {url.database} SET default_transaction_read_only = on")
    catalogue = Database(url)
    assert count(catalogue) == 0
    with pytest.raises(StorageError, match="give the address of the server that can be written"):
        add(catalogue)
    catalogue.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused(database, encoding):
    url = database()
    other = url.set(database=f"{url.database}_{encoding.lower()}")
    execute(
        url,
        f"CREATE DATABASE {other.database} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0",
    )
    with pytest.raises(StorageError, match=rf"keeps texts in {encoding}.*--encoding=UTF8"):
        Database(other)
    execute(url, f"DROP DATABASE {other.database} WITH (FORCE)")


@pytest.mark.parametrize(
    ("value", "reason"),
    [("a\0b", "NUL"), ("\ud800", "surrogates"), ("x" * 200, "too long")],
)
def test_what_a_database_cannot_hold_is_what_was_given(catalogue, value, reason):
    add_value = text("INSERT INTO namespace (key, spelling, created) VALUES ('a', :value, 1)")
    with pytest.raises(ParseError, match=rf"with what was given: .*{reason}.*; give texts that"):
        catalogue.write(lambda session: session.connection().execute(add_value, {"value": value}))
    assert count(catalogue) == 0


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def overlapping(registry, monkeypatch):
    """`overlapping(function, first, second)`: what the second does, begun before the first ends.

    The first goes as far as the end of a function, by its dotted name, and ends as soon as the
    second waits for it.
    """

    def run(function: str, first: Callable[[], object], second: Callable[[], object]) -> Future:
        module, _, name = function.rpartition(".")
        inside = importlib.import_module(f"metaloom_registry.catalogue.{module}")
        original = getattr(inside, name)
        reached, go = Event(), Event()

        def pausing(*arguments, **options):
            found = original(*arguments, **options)
            if not reached.is_set():
                reached.set()
                assert go.wait(30)
            return found

        monkeypatch.setattr(inside, name, pausing)
        with ThreadPoolExecutor(2) as threads:
            one = threads.submit(first)
            assert reached.wait(30)
            two = threads.submit(second)
            with registry.database.engine.connect() as connection:
                alone = connection.execution_options(isolation_level="AUTOCOMMIT")
                while not two.done() and not alone.execute(text(WAITING)).scalar():
                    time.sleep(0.01)
            go.set()
            one.result(30)
        return two

    return run


def marked(registry) -> list[str]:
    """The digests of the blocks that are marked as current."""
    query = "SELECT key FROM node JOIN block USING (id) WHERE current ORDER BY id"
    with registry.database.asking() as connection:
        return list(connection.execute(text(query)).scalars())


def test_a_version_that_is_yanked_while_another_is_published(registry, publish, overlapping):
    publish("a/x", "int", b"1")
    publish("a/x", "int", b"2")
    overlapping(
        "publish.publishing.add_version",
        lambda: publish("a/x", "int", b"3"),
        lambda: registry.yank("a/x@2"),
    ).result()
    newest = registry.resolve("a/x")
    assert newest.number == 3
    assert marked(registry) == [newest.digest.hex]


def test_a_block_that_two_names_leave_at_once_is_current_no_more(registry, publish, overlapping):
    publish("a/x", "int", b"1")
    publish("b/x", "int", b"1")
    overlapping(
        "publish.publishing.add_version",
        lambda: publish("a/x", "int", b"2"),
        lambda: publish("b/x", "int", b"3"),
    ).result()
    assert marked(registry) == [registry.resolve(name).digest.hex for name in ("a/x", "b/x")]


def test_of_two_who_claim_a_namespace_at_once_one_owns_it(registry, publish, overlapping):
    publish("a/x", "int", b"1")
    one, two = (SecretKey(bytes([number] * 32)).public for number in (1, 2))
    late = overlapping(
        "publish.custody.add_owner",
        lambda: registry.custody.add_owner("a", one, by=None),
        lambda: registry.custody.add_owner("a", two, by=None),
    )
    with pytest.raises(NotOwner):
        late.result()
    assert registry.custody.owners("a") == (one,)


def test_a_block_that_is_taken_away_while_it_gets_another_name_is_offered_by_none(
    registry, publish, overlapping
):
    taken = publish("a/x", "int", b"1")
    overlapping(
        "publish.custody.require_bytes",
        lambda: publish("b/x", "int", b"1"),
        lambda: registry.custody.tombstone(Reference.parse("a/x"), "leaked"),
    ).result()
    assert registry.versions("b/x")[0].yanked is not None
    assert marked(registry) == []
    with pytest.raises(NotFound, match="leaked"):
        registry.manifest(taken.digest)
