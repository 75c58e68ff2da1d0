"""The examples that `--help` shows run as they stand, over a library that has what they name."""

import itertools
import shlex
import shutil
from typing import Any

import pytest
import torch
import typer
from torch import nn

from metaloom import Hub
from metaloom.cli import app

pytest.importorskip("cryptography", reason="the extra `signatures` is not installed")

ELSEWHERE = {
    "solve": "tests/cli/test_models.py, tests/cli/test_searches.py",
    "adapt": "tests/cli/test_models.py",
    "init": "tests/cli/test_init.py, against servers",
    "push": "tests/exchange, against servers",
    "pull": "tests/exchange, against servers",
    "demo": "tests/demo",
    "repair": "tests/cli/test_upkeep.py, because it names a store",
    "import --class": "tests/cli/test_exchange.py",
    "import --trust": "tests/exchange",
    "export --as": "tests/exchange",
    "export conv4.onnx": "tests/exchange",
    "lineage --sync": "tests/hub/test_sender.py",
    "lineage 92c2d72110ba": "a run's digest, which is another in every library",
    "key trust ed25519:1c1a...": "a key that is shortened",
}
"""Commands whose examples run elsewhere, by words that they hold, with where or why."""

BEFORE = {
    "metaloom key trust alice.pub --name alice": "key untrust alice",
    "metaloom owner remove vision bob --key alice": "owner add vision bob --key default",
    "metaloom owner add vision default": "key new bob",
}
"""What has to be done first, because the examples before did the opposite."""


def examples():
    """The lines under Examples in the help of each command, those of keys first."""
    group: Any = typer.main.get_command(app)
    commands = []
    for name, command in group.commands.items():
        for one in getattr(command, "commands", {"": command}).values():
            commands.append((name != "key", name == "owner", one.help))
    for *_, text in sorted(commands, key=lambda command: command[:2]):
        lines = text.partition("Examples[/bold]")[2].replace("\\[", "[").splitlines()
        yield from (line.strip() for line in lines if line.strip().startswith("metaloom "))


def elsewhere(line):
    words = shlex.split(line)
    return [key for key in ELSEWHERE if all(word in words for word in key.split())]


@pytest.fixture
def files(tmp_path, home, metaloom):
    """A folder with the files that the examples name, beside a library with the blocks."""
    folder = tmp_path / "files"
    folder.mkdir()
    torch.manual_seed(0)
    linear = nn.Linear(784, 64)
    encoder = nn.Sequential(nn.Flatten(), linear).eval()
    type_ = "image[1,28,28] -> vec[64]"
    with Hub.open(home) as hub:
        for name in ("conv4", "conv4", "conv4", "conv5", "faces"):
            with torch.no_grad():
                linear.bias.add_(1)
            hub.publish(f"vision/{name}", encoder, type_)
        with torch.no_grad():
            linear.bias.add_(1)
        hub.publish("spare/conv4", encoder, type_).export(folder / "conv4")
        hub.publish("me/evens", "(lam (filter is_even $0))")
        hub.alias("me/evens", "champion")
        remembering = "store[text] -> text -> (text, store[text])"
        hub.publish("me/visits", "(lam (lam (remember $0 (recall $1) $1)))", remembering)
    assert metaloom("export", "vision", "--to", folder / "vision.tar").code == 0
    (folder / "evens.sexpr").write_text("(lam (filter (lam (is_even $0)) $0))")
    (folder / "evens.md").write_text("Keeps the even numbers.")
    (folder / "examples.jsonl").write_text('{"i": [1, 2], "o": [2]}\n{"i": [4], "o": [4]}\n')
    return folder


def test_they_run(metaloom, files, home, tmp_path, monkeypatch):
    monkeypatch.setenv("METALOOM_PASSPHRASE", "of alice")
    ran = []
    for number, line in zip(itertools.count(), examples()):
        if elsewhere(line):
            continue
        here = tmp_path / str(number)
        shutil.copytree(files, here)
        if (home / "keys" / "alice.pub").is_file():
            shutil.copy(home / "keys" / "alice.pub", here)
        if "metaloom export" in line:
            (here / "vision.tar").unlink()
            shutil.rmtree(here / "conv4")
        monkeypatch.chdir(here)
        if first := BEFORE.get(line):
            assert metaloom(*first.split()).code == 0, first
        done = metaloom(*shlex.split(line)[1:])
        assert done.code == 0, f"{line}\n{done.err}"
        assert (done.out + done.err).strip(), line
        ran.append(line)
    assert len(ran) > 45


def test_each_that_runs_elsewhere_is_still_there():
    lines = list(examples())
    assert {key for line in lines for key in elsewhere(line)} == set(ELSEWHERE)
    assert set(BEFORE) <= set(lines)
