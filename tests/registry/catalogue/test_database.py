"""The database: its migrations, and what is said where it cannot be used."""

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from metaloom_registry import Registry, StorageError
from metaloom_registry.catalogue import Database, migrations
from metaloom_registry.catalogue.tables import METADATA

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
    assert tuple(reversed(walked)) == migrations.REVISIONS
    assert scripts.get_current_head() == migrations.HEAD


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


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    Registry.open("~/hub").close()
    assert (tmp_path / "hub" / "catalogue.db").is_file()
