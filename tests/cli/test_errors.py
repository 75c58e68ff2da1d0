"""Bad input gives one line that says what to do, and an exit code; nothing is half-published."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaloom.cli import app

Command = Callable[..., Any]

BAD = {
    "an unknown block": (["show", "me/nothing"], "there is no block me/nothing"),
    "a block that is nearly named": (["show", "me/ad3"], "did you mean me/add3?"),
    "an unknown version": (["show", "me/add3@9"], "has no version 9; it has version 1"),
    "an unknown alias": (["show", "me/add3@best"], "has no alias 'best'"),
    "an unknown version of a primitive": (["show", "lists/map@9"], "has no version 9"),
    "an unknown digest": (["show", "@sha256:" + "0" * 64], "the registry holds no block"),
    "half a digest": (["show", "@sha256:12"], "is not a digest"),
    "a path as a name": (["publish", "../x", "(lam $0)"], "is not a namespace"),
    "an empty name": (["publish", "", "(lam $0)"], "is not a block's name"),
    "a long name": (["publish", "me/" + "x" * 300, "(lam $0)"], "has 300 characters"),
    "a name of two lines": (["publish", "me/a\nb", "(lam $0)"], "is not a name"),
    "a twin in case": (["publish", "me/Add3", "(lam $0)"], "differs only in case"),
    "a primitive's name": (["publish", "lists/map", "(lam $0)"], "is a primitive's name"),
    "no term": (["publish", "me/x", "(lam"], "is not a term"),
    "an unknown word": (["publish", "me/x", "(lam (mapp $0))"], "did you mean 'map'?"),
    "a misfit": (["publish", "me/x", "(add 1 true)"], "does not fit where int is wanted"),
    "a wrong signature": (
        ["publish", "me/x", "(lam (add 1 $0))", "--signature", "text -> int"],
        "text",
    ),
    "no type": (["search", "--takes", "list[int"], "list[int"),
    "a wrong kind": (["list", "--kind", "graphs"], "is not a kind of block"),
    "a missing file": (["publish", "me/x", "nothing.sexpr"], "there is no file nothing.sexpr"),
    "a wrong licence": (["publish", "me/x", "(lam $0)", "--license", "free!"], "SPDX"),
    "a wrong tag": (["publish", "me/x", "(lam $0)", "--tag", "A b"], "is not a tag"),
    "a missing parent": (
        ["publish", "me/x", "(lam $0)", "--parent", "me/none"],
        "no block me/none",
    ),
    "an alias of a digest": (["alias", "map", "best"], "is a primitive"),
    "a wrong alias": (["alias", "me/add3@1", "3"], "'3' is not an alias"),
    "a primitive that is nearly named": (["show", "lists/mapp"], "did you mean lists/map"),
    "fits beside nothing": (["fits"], "name a block, as in `metaloom fits vision/conv4`"),
    "an archive of no block": (
        ["export", "me", "--to", "me.zip"],
        "of all its blocks ends in .tar",
    ),
    "no input of a function": (["run", "map", "1", "[1]"], "takes a function, which is no input"),
    "a file of no form": (["import", "me/x", "Makefile"], "no importer takes Makefile; there are"),
    "behaviour of a program": (["search", "--like", "me/add3"], "measured of me/add3@1, a program"),
    "an owner without a key": (["owner", "add", "me", "me"], "`metaloom key new` makes one"),
    "lineage of nothing": (["lineage"], "name a block"),
    "verifying a primitive": (["verify", "map"], "lists/map@1 is a primitive; its plugin holds it"),
    "no program at all": (["publish", "me/x", ""], "'' is not a block's name"),
    "an input without a value": (
        ["run", "me/add3", f"[{2**63 - 1}]"],
        "me/add3@1 has no value on this input: 3 + 9223372036854775807 overflows 64 bits",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_the_remedy(metaloom: Command, add3: str, case: str) -> None:
    arguments, said = BAD[case]
    done = metaloom(*arguments)
    assert done.code == 1
    assert said in done.err
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert [b["reference"] for b in metaloom("list", "--json").json] == ["me/add3@1"]


def test_help_shows_types_whole(metaloom: Command) -> None:
    assert "list[int] -> int" in metaloom("solve", "--help").out
    assert "list[int] -> int" in metaloom("adapt", "--help").out
    shown = metaloom("search", "--help").out
    assert '--takes "list[int]"' in shown
    assert '--gives "vec[n]"' in shown


def test_a_mistake_in_the_command_line_exits_with_two(metaloom: Command) -> None:
    assert metaloom("list", "--bogus").code == 2
    assert metaloom("nothing").code == 2


def test_a_traceback_is_shown_when_asked_for(
    metaloom: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Traceback" not in metaloom("show", "me/x").err
    assert "Traceback" in metaloom("--traceback", "show", "me/x").err
    monkeypatch.setenv("METALOOM_TRACEBACK", "1")
    assert "Traceback" in metaloom("show", "me/x").err


def test_a_home_that_cannot_be_one_is_an_error(metaloom: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert (
        "is a file, and a library is a folder; give another" in metaloom("list", "--home", file).err
    )
    assert "remote library" in metaloom("list", "--home", "https://example.org").err


def test_an_error_nobody_foresaw_is_one_line_too(
    metaloom: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by zero\nsecond line")

    monkeypatch.setattr("metaloom.hub.Hub.open", broken)
    done = metaloom("list")
    assert done.code == 1
    assert done.err.splitlines() == [
        "error: ZeroDivisionError: by zero second line; set METALOOM_TRACEBACK=1 to see where"
    ]


def test_an_interrupt_exits_with_130(metaloom: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("metaloom.hub.Hub.open", interrupted)
    done = metaloom("list")
    assert done.code == 130
    assert done.err.startswith("error: interrupted")


SCRIPT = str(Path(sys.executable).with_name("metaloom"))


def test_a_publish_that_is_told_to_end_says_so_and_leaves_nothing(
    metaloom: Command, home: Path
) -> None:
    assert metaloom("list").code == 0
    other = sqlite3.connect(home / "catalogue.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # it waits for this for a minute
    process = subprocess.Popen(
        [SCRIPT, "publish", "me/x", "(lam (add 1 $0))", "--home", str(home)],
        env={**os.environ, "METALOOM_MLFLOW_URI": "off"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    began = time.monotonic()
    while not any((home / "blobs").glob("sha256/*/*")):
        assert process.poll() is None
        assert time.monotonic() < began + 60
        time.sleep(0.02)
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "error: interrupted; nothing half-done was kept\n"
    other.close()
    assert metaloom("list", "--json").json == []
    assert list((home / "blobs" / "tmp").iterdir()) == []


def _real(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments],
        env={**os.environ, "METALOOM_MLFLOW_URI": "off", **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_real_command_ends_as_the_tests_say(tmp_path: Path) -> None:
    done = _real("show", "me/nothing", METALOOM_HOME=str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "error: there is no block me/nothing\n"


def test_help_answers_fast() -> None:
    """In seconds of processor time, because tests share the machine."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = _real("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert done.returncode == 0
    assert min(seconds) < 0.6


def test_the_help_of_every_command_has_an_example(metaloom: Command) -> None:
    names = [str(info.name) for info in app.registered_commands]
    groups = [group.typer_instance for group in app.registered_groups if group.typer_instance]
    assert "solve" in names
    grouped = [(g.info.name, info.name) for g in groups for info in g.registered_commands]
    assert ("owner", "remove") in grouped
    for command in [*((name,) for name in names), *grouped]:
        called = " ".join(map(str, command))
        text = metaloom(*map(str, command), "--help").out
        assert "Examples" in text, called
        assert f"metaloom {called}" in text, called
        assert "[[" not in text, called


def test_an_installation_that_does_not_load_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise ImportError('typer is broken')\n")
    done = _real("list", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("error: Metaloom cannot be loaded: typer is broken; install it")
    assert len(done.stderr.splitlines()) == 1
    shown = _real("list", PYTHONPATH=str(tmp_path), METALOOM_TRACEBACK="1")
    assert "Traceback" in shown.stderr


WITHOUT = """
import sys
import metaloom.cli
heavy = {"torch", "numpy", "sqlmodel", "sqlalchemy", "mlflow", "datasets"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_command_line_loads_nothing_heavy_before_a_command_runs() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
