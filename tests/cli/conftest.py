"""A command line over a library of its own, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from metaloom.cli import app


@dataclass(frozen=True)
class Done:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value that stdout holds."""
        [line] = self.out.splitlines()
        return json.loads(line)


Command = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def metaloom(home: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`metaloom("list", "--json")` runs a command over the library of this test."""
    monkeypatch.setenv("METALOOM_HOME", str(home))
    monkeypatch.setenv("METALOOM_MLFLOW_URI", "off")
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str | Path) -> Done:
        done = CliRunner().invoke(app, [str(a) for a in arguments])
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def add3(metaloom: Command) -> str:
    """A library that holds one program."""
    done = metaloom("publish", "me/add3", "(lam (map (lam (add 3 $0)) $0))", "--license", "MIT")
    assert done.code == 0, done.err
    return "me/add3"
