"""The database: its migrations, and what is said where it cannot be used."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from tests.registry.catalogue.killing import start

from metaloom_registry import Registry, StorageError
from metaloom_registry.catalogue import Database, migrations
from metaloom_registry.catalogue.schema import revisions
from metaloom_registry.catalogue.schema.tables import METADATA

sqlite_only = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def test_the_migrations_make_exactly_the_tables_that_the_models_declare(registry):
    def ours(thing, name, kind, reflected, other):
        return kind not in ("table", "index") or not name.startswith("document_words")

    with registry.database.engine.connect() as connection:
        options = {"include_object": ours, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


def test_the_head_that_opening_looks_for_is_the_last_migration():
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    scripts = ScriptDirectory.from_config(config)
    walked = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(walked)) == revisions.REVISIONS
    assert scripts.get_current_head() == revisions.HEAD


@sqlite_only
def test_a_database_is_in_write_ahead_mode_with_foreign_keys_and_patience(registry):
    with registry.database.engine.connect() as connection:
        pragma = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }
    assert pragma == {
        "journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 60_000, "synchronous": 2
    }  # fmt: skip


@sqlite_only
def test_opening_again_does_not_load_alembic_or_torch(registry, tmp_path):
    program = (
        "import sys; from metaloom_registry import Registry\n"
        f"Registry.open({str(tmp_path / 'hub')!r}).names()\n"
        "assert not {'alembic', 'torch', 'mlflow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_was_published_is_there_when_the_registry_is_opened_again(registry, publish):
    version = publish("vision/conv4")
    registry.close()
    again = Registry(registry.blobs, Database(registry.database.url))
    assert again.resolve("vision/conv4") == version
    again.close()


def test_a_database_of_a_newer_schema_is_refused_with_the_remedy(registry):
    registry.database.write(
        lambda session: session.connection().execute(
            text("UPDATE alembic_version SET version_num = '9999'")
        )
    )
    registry.close()
    with pytest.raises(StorageError, match=r"9999.*newer.*pip install --upgrade metaloom"):
        Database(registry.database.url)


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "catalogue.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(StorageError, match=r"catalogue\.db.*not a database.*restore it"):
        Registry.open(tmp_path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot make the folder .*hub.*writable"):
        Registry.open(tmp_path / "file" / "hub")


@sqlite_only
def test_a_database_that_cannot_be_written_says_so(registry, publish):
    published = publish("vision/conv4")
    registry.database.engine.dispose()
    with registry.database.engine.connect() as connection:
        connection.execute(text("PRAGMA query_only = ON"))
        connection.commit()
    with pytest.raises(StorageError, match=r"cannot write the catalogue .*readonly.*writable"):
        registry.mark_used([published.digest])


def locked(registry, monkeypatch):
    """The same database, for a process that has little patience, while another keeps it locked."""
    monkeypatch.setattr("metaloom_registry.catalogue.schema.database.BUSY_SECONDS", 0.25)
    other, impatient = registry.database.engine.connect(), Database(registry.database.url)
    if registry.database.dialect == "sqlite":
        other.rollback()
        other.connection.dbapi_connection.execute("BEGIN IMMEDIATE")
    else:
        other.execute(text("SELECT * FROM sweep FOR UPDATE"))
    return other, impatient


def test_a_database_that_stays_locked_is_waited_for_once_and_then_named(registry, monkeypatch):
    other, impatient = locked(registry, monkeypatch)
    tried = []

    def change(session):
        tried.append(session)
        session.connection().execute(text("UPDATE sweep SET count = count"))

    with pytest.raises(StorageError, match=r"kept it locked for 0.25 seconds; end that process"):
        impatient.write(change)
    assert len(tried) == 1
    other.close()
    impatient.write(change)
    impatient.close()


WAITING = """
registry = Registry.open(sys.argv[1], validate=accept)
print("opened", flush=True)
try:
    publish(registry, "a/x", b"x")
except KeyboardInterrupt:
    print("interrupted")
"""


@sqlite_only
def test_who_waits_for_a_lock_can_be_interrupted(registry, tmp_path):
    other = sqlite3.connect(tmp_path / "hub" / "catalogue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    process = start(WAITING, tmp_path / "hub")
    assert process.stdout is not None
    assert process.stdout.readline() == "opened\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "interrupted\n", "not after 60 seconds"
    other.close()
    assert registry.names().items == ()


@sqlite_only
@pytest.mark.parametrize("fate", ["moved", "removed", "replaced"])
def test_a_library_that_is_moved_while_it_is_open_takes_nothing_more(
    registry, publish, tmp_path, fate
):
    publish("a/x")
    home, file = tmp_path / "hub", tmp_path / "hub" / "catalogue.db"
    if fate == "moved":
        home.rename(tmp_path / "elsewhere")
    elif fate == "removed":
        file.unlink()
    else:
        shutil.copy(file, tmp_path / "copy.db")
        (tmp_path / "copy.db").replace(file)
    for act in (registry.names, lambda: publish("a/y")):
        with pytest.raises(StorageError, match=r"moved, replaced or removed.*open the library"):
            act()
    registry.database.engine.dispose()
    with pytest.raises(StorageError, match="moved, replaced or removed"):
        registry.names()
    assert (home.exists(), file.exists()) == (fate != "moved", fate == "replaced")
    if fate == "moved":
        moved = Registry.open(tmp_path / "elsewhere", validate=lambda *_: None)
        assert [str(version) for version in moved.names().items] == ["a/x@1"]
        assert moved.verify().sound
        moved.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"TABLE alembic_version", b"TABLE\xe5alembic_version"),
        lambda data: data[:5000],
        lambda data: data[:200] + b"\xff" * 4000 + data[4200:],
        "DROP TABLE document_words_config",
    ],
)
def test_a_damaged_file_is_named_with_the_remedy(tmp_path, spoil):
    Registry.open(tmp_path).close()
    file = tmp_path / "catalogue.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        if isinstance(spoil, str):
            connection.execute(spoil)
    connection.close()
    if not isinstance(spoil, str):
        file.write_bytes(spoil(file.read_bytes()))
    with pytest.raises(StorageError, match=r"catalogue\.db.*damaged; restore it.*-wal and -shm"):
        Registry.open(tmp_path).search("word")


@sqlite_only
def test_what_a_killed_process_left_in_the_log_is_there_without_the_files_beside(
    registry, publish, tmp_path
):
    publish("a/x")
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "hub", copy)  # as a kill leaves it: the log holds what is new
    assert (copy / "catalogue.db-wal").stat().st_size > 0
    (copy / "catalogue.db-shm").unlink()
    again = Registry.open(copy)
    assert [str(version) for version in again.names().items] == ["a/x@1"]
    assert again.verify().sound
    again.close()


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Registry.open("~/hub").close()
    assert (tmp_path / "hub" / "catalogue.db").is_file()
