"""gc, repair and doctor from the command line, and archives of namespaces."""

import itertools
import os
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from metaloom import Hub
from metaloom.doctor import Finding, check_installation
from metaloom_registry import Digest, StorageError


def age(home):
    for folder, _, files in os.walk(home / "blobs"):
        for file in files:
            os.utime(os.path.join(folder, file), (1, 1))


def test_gc_removes_what_no_block_has(metaloom, add3, home):
    with Hub.open(home) as hub:
        garbage = hub.registry.blobs.put(b"garbage")
    assert metaloom("gc", "--json").json == {"removed": [], "spared": 1, "unfinished": 0}
    age(home)
    said = metaloom("gc", "--dry-run", "--grace", "30m").out
    assert "would remove 1 blob and 0 half-written files" in said
    assert metaloom("gc", "--grace", "7d", "--json").json["removed"] == [str(garbage)]
    assert metaloom("run", add3, "[1]").code == 0
    assert metaloom("gc", "--grace", "soon").err.startswith("error: 'soon' is no time")


def test_repair_restores_a_damaged_block_from_another_library(metaloom, add3, home, tmp_path):
    metaloom("export", add3, "--to", tmp_path / "add3.zip")
    other = tmp_path / "other"
    assert metaloom("import", "me/copy", tmp_path / "add3.zip", "--home", other).code == 0
    with Hub.open(home) as hub:
        blobs: Any = hub.registry.blobs
        for digest in list(blobs.digests()):
            blobs.remove(digest)
    assert metaloom("verify").code == 1
    done = metaloom("repair", "--from", other)
    assert (done.code, done.out) == (0, "restored 2 blobs\n")
    assert metaloom("verify").code == 0
    assert "neither a library nor a store" in metaloom("repair", "--from", tmp_path).err


def test_a_namespace_goes_from_one_library_to_another(metaloom, add3, tmp_path):
    metaloom("alias", "me/add3@1", "champion")
    done = metaloom("export", "me", "--to", tmp_path / "me.tar", "--json")
    assert done.json == {"namespace": "me", "names": 1, "versions": 1, "blocks": 1}
    other = tmp_path / "other"
    assert (
        "holds the namespace me, not you"
        in metaloom("import", "you", tmp_path / "me.tar", "--home", other).err
    )
    assert metaloom("import", "me", tmp_path / "me.tar", "--home", other).code == 0
    shown = metaloom("show", "me/add3@champion", "--home", other, "--json").json
    assert shown["digest"] == metaloom("show", "me/add3", "--json").json["digest"]


def test_a_short_digest_as_show_prints_it_is_taken_back(metaloom, add3, home):
    page = metaloom("show", add3).out
    short = next(word for word in page.split() if word.startswith("sha256:"))
    assert len(short) == len("sha256:") + 12
    whole = metaloom("show", add3, "--json").json["digest"]
    for form in (short, f"@{short}", short.removeprefix("sha256:"), whole, f"@{whole}"):
        assert metaloom("show", form, "--json").json["digest"] == whole
    assert "begins with 00000000" in metaloom("show", "sha256:00000000").err


def test_a_short_digest_of_several_blocks_is_an_error_that_names_them(metaloom, home):
    digests: dict[str, str] = {}
    with Hub.open(home) as hub:
        for number in range(40):
            block = hub.publish(f"me/b{number}", f"(lam (add {number} $0))")
            digests[block.digest.hex] = str(block)
        first = sorted(digests)
        pair = next((a for a, b in itertools.pairwise(first) if a[0] == b[0]), None)
        assert pair is not None
        registry = hub.registry
        with pytest.raises(Exception, match=f"several blocks begin with {pair[0]}:.*more of"):
            registry.expand(pair[0])


def findings(home, **options) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in check_installation(lambda: Hub.open(home), **options):
        found.setdefault(one.what, []).append(one)
    return found


def test_a_sound_installation_is_well(metaloom, add3):
    done = metaloom("doctor", "--json")
    assert done.code == 0, done.out
    states = {row["what"]: row["state"] for row in done.json}
    for what in ("Python", "torch", "plugins", "library", "disk", "blobs", "clock"):
        assert states[what] == "ok"


def test_damage_is_found_with_the_remedy(metaloom, add3, home):
    with Hub.open(home) as hub:
        blobs: Any = hub.registry.blobs
        for digest in list(blobs.digests()):
            if digest != hub[add3].digest:
                blobs.remove(digest)
    done = metaloom("doctor")
    assert done.code == 1
    assert "metaloom repair" in done.out


@pytest.mark.parametrize("page", ["index", "table"])
def test_a_damaged_catalogue_is_found_with_the_remedy(metaloom, add3, home, page):
    with sqlite3.connect(home / "catalogue.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        name = "ix_tag_block_id" if page == "index" else "alias_event"
        of = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        [root] = connection.execute(of, [name]).fetchone()
        [size] = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    data = bytearray((home / "catalogue.db").read_bytes())
    data[(root - 1) * size : root * size] = bytes(size)
    (home / "catalogue.db").write_bytes(data)
    done = metaloom("doctor", "--json")
    [bad] = [row for row in done.json if row["state"] == "bad"]
    assert done.code == 1
    assert bad["what"] == "catalogue"
    assert "restore it from a copy" in bad["remedy"]


def test_a_clock_that_jumped_back_a_mirror_that_is_off_and_offline_are_noted(
    add3, home, monkeypatch
):
    monkeypatch.setenv("METALOOM_OFFLINE", "1")
    found = findings(home, now=lambda: 1_000_000.0)
    assert found["clock"][0].state == "bad"
    assert "in the future" in found["clock"][0].said
    assert found["MLflow"][0].said == "the mirror is off"
    assert found["network"][0].state == "note"


def test_a_library_of_a_newer_metaloom_and_a_torch_that_does_not_load_are_findings(
    add3, home, monkeypatch
):
    with sqlite3.connect(home / "catalogue.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    monkeypatch.setitem(sys.modules, "torch", None)
    found = findings(home)
    assert "9999" in found["library"][0].said
    assert "pip install --upgrade metaloom" in found["library"][0].remedy
    assert found["torch"][0].state == "bad"


def test_missing_extras_are_named_with_what_brings_them(home, monkeypatch):
    monkeypatch.setattr("metaloom.doctor.find_spec", lambda name: None)
    _, missing = findings(home)["extras"]
    assert missing.state == "note"
    assert "metaloom[datasets,demo,fast,huggingface,images" in missing.remedy
    assert Digest.of(b"").hex


@pytest.fixture
def server():
    """`server(status, body)` is the address of one that answers every GET so."""
    running = []

    def start(status: int, body: bytes) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        running.append(ThreadingHTTPServer(("127.0.0.1", 0), Answer))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for one in running:
        one.shutdown()
        one.server_close()


def test_a_token_that_the_server_does_not_know_is_found(home, monkeypatch, server):
    constants = pytest.importorskip("huggingface_hub.constants", reason="an extra is missing")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("METALOOM_TOKEN", "hf_wrong")
    monkeypatch.setenv("METALOOM_ENDPOINT", server(401, b"{}"))
    [token] = findings(home)["token"]
    assert token.state == "bad", token.said
    assert "does not know METALOOM_TOKEN" in token.said
    monkeypatch.setenv("METALOOM_ENDPOINT", server(200, b'{"name": "ada"}'))
    assert findings(home)["token"][0].said.endswith("knows it as ada")
    monkeypatch.setenv("METALOOM_ENDPOINT", "http://127.0.0.1:1")
    assert "METALOOM_OFFLINE=1" in findings(home)["token"][0].remedy
    monkeypatch.setenv("METALOOM_TOKEN", "two words")
    assert findings(home)["token"][0].remedy == "set METALOOM_TOKEN again"
    monkeypatch.setenv("METALOOM_OFFLINE", "1")
    assert "token" not in findings(home)


def test_an_mlflow_that_does_not_answer_is_noted_and_no_password_shown(home, monkeypatch, server):
    monkeypatch.setenv("METALOOM_MLFLOW_URI", "http://me:secret@127.0.0.1:1")
    [mirror] = findings(home)["MLflow"]
    assert (mirror.state, "does not answer" in mirror.said) == ("note", True)
    assert "secret" not in mirror.said
    monkeypatch.setenv("METALOOM_MLFLOW_URI", server(200, b"").replace("//", "//me:secret@"))
    [mirror] = findings(home)["MLflow"]
    assert (mirror.state, "secret" in mirror.said) == ("ok", False)


def test_a_library_that_does_not_open_is_a_finding_with_its_own_remedy(home, tmp_path):
    home.mkdir()
    (home / "catalogue.url").write_text("postgresql://ada@127.0.0.1:1/none")
    [library] = findings(home)["library"]
    assert library.remedy == "check that the database can be reached and is whole"
    file = tmp_path / "file"
    file.write_text("")
    [library] = findings(file)["library"]
    assert library.said == f"{file} is a file, and a library is a folder"
    assert library.remedy == "give another with --home or METALOOM_HOME"


def test_a_store_that_does_not_answer_is_a_finding(add3, home, monkeypatch):
    with Hub.open(home.with_name("remote"), blobs="memory://far-away"):
        pass

    def unreachable(*_: Any) -> bool:
        raise StorageError("the store memory://far-away does not answer; check the connection")

    monkeypatch.setattr("metaloom_registry.storage.fsspec_store.FsspecBlobs.has", unreachable)
    [blobs] = findings(home.with_name("remote"))["blobs"]
    assert (blobs.state, blobs.remedy) == ("bad", "check the connection")


def test_a_catalogue_that_was_lost_is_noticed_before_its_blobs_are_collected(add3, home):
    (home / "catalogue.db").unlink()
    [blobs] = findings(home)["blobs"]
    assert blobs.remedy == (
        "restore catalogue.db from a copy, before `metaloom gc` removes the blobs"
    )


def test_a_cache_and_keys_that_cannot_be_used_are_found(metaloom, home, monkeypatch):
    metaloom("key", "new", "alice")
    (home / "keys" / "alice.key").chmod(0o644)
    monkeypatch.setenv("METALOOM_CACHE", "/proc/none")
    found = findings(home)
    assert found["keys"][0].remedy == f"run `chmod 600 {home}/keys/alice.key`"
    assert found["cache"][0].remedy.startswith("set METALOOM_CACHE to a folder")
