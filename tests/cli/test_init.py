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


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_joins_a_catalogue_with_other_blobs_is_told(
    metaloom, home, address, database, tmp_path
):
    url = database().set(drivername="postgresql").render_as_string(hide_password=False)
    assert metaloom("init", "--blobs", address, "--database", url).code == 0
    assert metaloom("publish", "me/add3", PROGRAM, "--license", "MIT").code == 0
    another = tmp_path / "another"
    for where in (("--blobs", f"{address}/other"), ()):
        done = metaloom("init", *where, "--database", url, "--home", another)
        assert done.code == 1
        assert "lists blocks that are not at" in done.err
        assert "`metaloom init --blobs URL --database URL`" in done.err
    joined = metaloom("init", "--blobs", address, "--database", url, "--home", another)
    assert joined.code == 0
    assert metaloom("run", "me/add3", "[1]", "--home", another).out.strip() == "[4]"


def test_a_folder_of_blobs_is_the_same_from_wherever_it_is_opened(
    metaloom, home, tmp_path, monkeypatch
):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert metaloom("init", "--blobs", "shared").out.splitlines()[1].endswith("/here/shared")
    assert metaloom("publish", "me/add3", PROGRAM, "--license", "MIT").code == 0
    monkeypatch.chdir(tmp_path / "there")
    assert metaloom("run", "me/add3", "[1]").out.strip() == "[4]"


def test_an_address_with_a_slash_too_few_is_no_path(metaloom, home):
    done = metaloom("init", "--blobs", "s3:/our-bucket/metaloom")
    assert done.code == 1
    assert "'s3:/our-bucket/metaloom' is no URL, such as s3://bucket/folder" in done.err
    assert not (home / "blobs.url").exists()


def test_a_library_that_could_not_be_joined_is_not_half_remembered(metaloom, home, address):
    done = metaloom("init", "--blobs", address, "--database", "postgresql://me@127.0.0.1:9/x")
    assert "cannot open the catalogue" in done.err
    assert metaloom("init", "--json").json["blobs"] == str(home)


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
