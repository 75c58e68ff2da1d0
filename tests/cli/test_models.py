"""Solving, running and adapting from the command line."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metaloom import Hub

Command = Callable[..., Any]

SUMS = [([1, 2, 3], 6), ([4], 4), ([10, -2], 8), ([], 0), ([5, 5], 10)]


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps({"i": xs, "o": total}) + "\n" for xs, total in SUMS))
    return path


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Twelve images of two classes: ink on the left, ink on the right."""
    generator = np.random.default_rng(0)
    images = generator.random((12, 4, 4)) * 0.2
    images[::2, :, :2] += 0.7
    images[1::2, :, 2:] += 0.7
    path = tmp_path / "sides.npz"
    np.savez(path, images=images, labels=np.arange(12) % 2)
    return path


def test_a_task_is_solved_published_and_run(metaloom: Command, sums: Path) -> None:
    done = metaloom("solve", sums, "--budget", "20s", "--publish", "me/sums", "--explain")
    assert done.code == 0, done.err
    assert "def solution(" in done.out
    assert "support" in done.out
    assert "published me/sums@1" in done.out
    assert metaloom("run", "me/sums", "[1, 1, 1]").out == "3\n"
    page = metaloom("show", "me/sums").out
    assert "Found for a task" in page
    assert "exact match 100.0%" in page
    assert "made-by solve" in metaloom("lineage", "me/sums").out


def test_a_solution_as_json_is_one_value(metaloom: Command, sums: Path) -> None:
    told = metaloom("solve", sums, "--budget", "20s", "--seed", "4", "--json").json
    assert told["type"] == "list[int] -> int"
    assert told["support"]["value"] == 1.0
    assert told["seed"] == 4
    assert told["published"] is None
    assert metaloom("list", "--json").json == []


def test_what_is_not_published_is_said(metaloom: Command, sums: Path) -> None:
    assert "--publish NAME" in metaloom("solve", sums, "--budget", "20s").out


def test_a_primitive_runs_too(metaloom: Command) -> None:
    assert metaloom("run", "add", "2", "3").out == "5\n"
    assert metaloom("run", "lists/reverse", "[1, 2]").out == "[2, 1]\n"


def test_a_saved_solution_is_published_from_its_folder(
    metaloom: Command, sums: Path, tmp_path: Path, home: Path
) -> None:
    from metaloom import Hub, read_task

    with Hub.open(home) as hub:
        hub.solve(read_task(sums), budget="20s").save(tmp_path / "saved")
    done = metaloom("publish", "me/sums", tmp_path / "saved")
    assert done.code == 0, done.err
    assert metaloom("run", "me/sums", "[2, 3]").out == "5\n"


def test_a_graph_is_published_adapted_and_run(
    metaloom: Command, digits: Path, tmp_path: Path
) -> None:
    from metaloom_registry import export_module

    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4)).eval()
    exported = export_module(net, "image[1,4,4] -> vec[4]")
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "graph.json").write_bytes(exported.graph)
    (folder / "weights.safetensors").write_bytes(exported.weights)
    refused = metaloom("publish", "vision/net", folder)
    assert refused.code == 1
    assert "needs a signature" in refused.err
    done = metaloom("publish", "vision/net", folder, "--signature", "image[1,4,4] -> vec[4]")
    assert done.code == 0, done.err
    term = "(lam (lam (argmax (prototypes (embed vision/net $1) (vision/net $0)))))"
    fitted = metaloom("adapt", term, digits, "--publish", "me/sides")
    assert fitted.code == 0, fitted.err
    left = [[[0.9, 0.9, 0.0, 0.0]] * 4]
    assert metaloom("run", "me/sides", json.dumps(left)).out == "0\n"
    right = [[[0.0, 0.0, 0.9, 0.9]] * 4]
    assert metaloom("run", "me/sides", json.dumps(right)).out == "1\n"
    tuned = metaloom(
        "adapt", term, digits, "--learner", "maml", "--set", "steps=2", "--set", "lr=0.1",
        "--device", "cpu", "--json",
    )  # fmt: skip
    assert tuned.code == 0, tuned.err
    assert tuned.json["type"] == "image[1,4,4] -> label[2]"


LEARNERS = [
    "anil steps=2 lr=0.1 head='*'", "baseline_pp steps=5", "boil steps=2 lr=0.1", "film steps=2",
    "fine_tune steps=2 lr=0.01", "fresh_head steps=5 lr=0.1", "imaml steps=2", "lora rank=1",
    "maml steps=2 lr=0.1", "maml_pp", "matchingnet", "meta_sgd lr=0.1", "metaoptnet", "protonet",
    "r2d2", "reptile batch=4", "support_statistics weight=0.5",
]  # fmt: skip


def test_every_learner_adapts_an_encoder_or_a_program(metaloom: Command, digits: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flat, linear = torch.nn.Flatten(), torch.nn.Linear(16, 4)
        net = torch.nn.Sequential(flat, linear, torch.nn.BatchNorm1d(4))
    with Hub.open() as hub:
        hub.publish("vision/net", net, "image[1,4,4] -> vec[4]")
    listed = {row["name"]: row for row in metaloom("learners", "--json").json}
    assert sorted(listed) == [line.split()[0] for line in LEARNERS]
    assert listed["lora"]["settings"]["rank"] == 4
    assert "MAML with" in metaloom("learners").out
    for line in LEARNERS:
        name, *settings = shlex.split(line)
        own_head = name in ("baseline_pp", "fresh_head") or name.endswith(("net", "r2d2"))
        block = "vision/net" if own_head else "(lam (lam (prototypes (embed vision/net $1) "
        block += "" if own_head else "(vision/net $0))))"
        given = [part for one in settings for part in ("--set", _quoted(one))]
        done = metaloom("adapt", block, digits, "--learner", name, *given, "--device", "cpu")
        assert done.code == 0, (line, done.err)
        assert "logits[2]" in done.out, line


def _quoted(setting: str) -> str:
    """A setting with its value as JSON."""
    name, _, value = setting.partition("=")
    return setting if value[0].isdigit() else f"{name}={json.dumps(value)}"


BAD = {
    "no file": (["solve", "none.jsonl"], "there is no file none.jsonl"),
    "no budget": (["solve", "{sums}", "--budget", "soon"], "is not a budget"),
    "a budget of nothing": (["solve", "{sums}", "--budget", "0s"], "give more than 0 s"),
    "a budget too small": (["solve", "{sums}", "--budget", "0.001ms"], "give more time"),
    "a type that does not fit": (["solve", "{sums}", "--type", "text -> int"], "line 1 of"),
    "a wrong name": (["solve", "{sums}", "--publish", "../x"], "is not a namespace"),
    "a primitive's name": (["solve", "{sums}", "--publish", "lists/map"], "primitive's name"),
    "no such device": (["solve", "{sums}", "--device", "gpu"], "'gpu' is not a device"),
    "an unknown program": (["run", "me/none", "1"], "there is no block me/none"),
    "no JSON": (["run", "add", "[1", "2"], "input 1 is not JSON"),
    "too few inputs": (["run", "add", "1"], "takes 2 inputs, not 1"),
    "a wrong input": (["run", "add", "1", '"x"'], "int"),
    "no value": (["run", "lists/head", "[]"], "no value"),
    "an unknown learner": (["adapt", "map", "{sums}", "--learner", "magic"], "magic"),
    "an unknown setting": (
        ["adapt", "map", "{sums}", "--learner", "maml", "--set", "speed=1"],
        "has no setting 'speed'; it has steps, lr",
    ),
    "a missing setting": (
        ["adapt", "map", "{sums}", "--learner", "maml", "--set", "steps=1"],
        "needs lr",
    ),
    "a setting that is no integer": (
        ["adapt", "map", "{sums}", "--learner", "maml", "--set", "steps=2.5"],
        "takes as steps int, not 2.5",
    ),
    "a setting only Python can give": (
        ["adapt", "map", "{sums}", "--learner", "fine_tune", "--set", "loss=1"],
        "has no setting 'loss'; it has steps, batch",
    ),
    "a negative rate": (
        ["adapt", "map", "{sums}", "--learner", "maml", "--set", "steps=1", "--set", "lr=-1"],
        "-1 is not a learning rate",
    ),
    "no setting": (
        ["adapt", "map", "{sums}", "--learner", "maml", "--set", "steps"],
        "write it as steps=5",
    ),
    "settings without a learner": (["adapt", "map", "{sums}", "--set", "a=1"], "--learner"),
    "nothing to adapt": (["adapt", "lists/sum", "{sums}"], "without a learner nothing is adapted"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_publishes_nothing(
    metaloom: Command, sums: Path, case: str
) -> None:
    arguments, said = BAD[case]
    done = metaloom(*(a.replace("{sums}", str(sums)) for a in arguments))
    assert done.code == 1, done.out
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert metaloom("list", "--json").json == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_is_refused_where_there_is_none(metaloom: Command, sums: Path) -> None:
    done = metaloom("solve", sums, "--device", "cuda")
    assert done.code == 1
    assert "there is no device cuda" in done.err
    assert "--device cpu" in done.err


def _processor_seconds(pid: int) -> float:
    """The processor time a process has used; where nothing tells, eight seconds are waited."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        time.sleep(8)
        return 8.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_ctrl_c_keeps_the_best_so_far(tmp_path: Path) -> None:
    """A task whose last example is noise, so that the search goes on until it is interrupted."""
    path = tmp_path / "noisy.jsonl"
    rows = [*SUMS * 3, ([7, 7], 1_000_003)]
    lines = [json.dumps({"i": [*xs, i], "o": t + i}) for i, (xs, t) in enumerate(rows)]
    path.write_text("\n".join(lines))
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("metaloom")), "solve", str(path), "--budget", "100s",
         "--publish", "me/noisy", "--json"],
        env={**os.environ, "METALOOM_HOME": str(tmp_path / "home"), "METALOOM_MLFLOW_URI": "off"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and _processor_seconds(process.pid) < 7:
        time.sleep(0.2)  # it has long begun to search, however busy the machine
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    told = json.loads(out)
    assert told["published"]["reference"] == "me/noisy@1"
    assert told["support"]["value"] < 1.0
    assert told["seconds"] < 90


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.pt", "net.pt is not read: a file of torch.save can run code. Load it where you"),
        ("net.pt2", "`metaloom import NAME net.pt2` takes such files"),
        ("net.zip", "`metaloom import NAME net.zip` takes such files"),
    ],
)
def test_a_file_that_is_not_published_as_it_is_says_how_it_is(
    metaloom: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(torch.nn.Linear(3, 3).state_dict(), tmp_path / name)
    refused = metaloom("publish", "me/net", name, "--signature", "vec[3] -> vec[3]")
    assert refused.code == 1
    assert message in refused.err
