"""Libraries whose blobs or catalogue are elsewhere, made and opened from the command line."""

import pytest
from tests.hub.test_remote_blobs import address as address
from tests.registry.catalogue.conftest import database as database
from tests.registry.catalogue.conftest import postgres_server as postgres_server
from tests.registry.storage.conftest import s3 as s3

PROGRAM = "(lam (map (lam (add 3 $0)) $0))"


def test_a_library_on_s3_is_made_once_and_opened_by_its_folder(metaloom, home, address):
    made = metaloom("init", "--blobs", address, "--json")
    assert made.json == {"home": str(home), "blobs": address, "catalogue": str(home)}
    assert metaloom("publish", "me/add3", PROGRAM, "--license", "MIT").code == 0
    assert metaloom("run", "me/add3", "[1, 2]").out.strip() == "[4, 5]"
    assert not (home / "blobs").exists()
    assert metaloom("init").out.splitlines()[1:] == [f"blobs: {address}", f"catalogue: {home}"]
    other = metaloom("init", "--blobs", "s3://other/blobs")
    assert other.code == 1
    assert f"{home} has its blobs at {address}, not at s3://other/blobs" in other.err


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_two_folders_join_one_library_on_s3_and_postgresql(
    metaloom, home, address, database, tmp_path
):
    url = database().set(drivername="postgresql").render_as_string(hide_password=False)
    where = ("--blobs", address, "--database", url)
    assert metaloom("init", *where).code == 0
    assert metaloom("publish", "me/add3", PROGRAM, "--license", "MIT").code == 0
    another = tmp_path / "another"
    assert metaloom("init", *where, "--home", another).code == 0
    assert metaloom("run", "me/add3", "[1, 2]", "--home", another).out.strip() == "[4, 5]"
    assert metaloom("doctor", "--home", another).code == 0
    assert (home / "catalogue.url").stat().st_mode & 0o077 == 0
    assert not (home / "catalogue.db").exists()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is no URL"),
        ("mysql://me@host/x", "not in 'mysql'"),
        ("postgresql://me:secret@127.0.0.1:9/x", "cannot open the catalogue"),
    ],
)
def test_a_database_that_cannot_be_is_named_and_not_remembered(metaloom, home, url, said):
    done = metaloom("init", "--database", url)
    assert done.code == 1
    assert said in done.err
    assert "secret" not in done.err
    assert metaloom("init").code == 0
    moved = metaloom("init", "--database", "postgresql://me:secret@host/x")
    assert "has its catalogue in its folder" in moved.err
    assert "postgresql://me:***@host/x" in moved.err
