"""What lineage records of a run is enough to do it again, in another process, to the byte."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from metaloom import Hub, read_task
from metaloom.cli.runs import run_lines
from metaloom.learners import fine_tune, maml
from metaloom.solving import task_digest
from metaloom.solving.conditions import conditions, described
from metaloom_metalearn import Examples, Task
from metaloom_registry import Digest, NoSolution, NotFound, dump_canonical, parse_type
from metaloom_registry.catalogue import RunRecord, TaskRecord

AGAIN = """
import sys
from metaloom import Hub, read_task
from metaloom.learners import fine_tune
from metaloom.solving import task_digest

home, fresh, *asked = sys.argv[1:]


def again(hub, reference, examples):
    record = hub.registry.run(hub.lineage(reference).runs[0])
    task = read_task(examples, str(record.task.type))
    assert task_digest(task) == record.task.digest
    if record.kind == "adapt":
        learner = record.facts["learner"]
        assert learner["is"].endswith(".FineTune"), learner
        chosen = fine_tune(steps=learner["settings"]["steps"])
        solution = hub.adapt(
            record.facts["program"], task, chosen, record.facts["device"], record.seed
        )
        print(hub.publish("again/it", solution).digest)
    else:
        with Hub.open(fresh) as other:
            solution = other.solve(task, record.budget, record.seed)
            print(other.publish("again/it", solution).digest)


with Hub.open(home) as hub:
    for reference, examples in zip(asked[::2], asked[1::2]):
        again(hub, reference, examples)
"""


@pytest.fixture
def sums_file(tmp_path: Path) -> Path:
    path = tmp_path / "sums.jsonl"
    lines = ([[1, 2], 3], [[4], 4], [[5, 5, 1], 11], [[], 0])
    path.write_text("".join(f'{{"input": {xs}, "output": {y}}}\n' for xs, y in lines))
    return path


@pytest.fixture
def signs_file(tmp_path: Path) -> Path:
    path = tmp_path / "signs.jsonl"
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(12, 3, generator=generator).round(decimals=3)
    lines = [{"input": row.tolist(), "output": int(row[0] > 0)} for row in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_solve_and_an_adaptation_are_done_again_from_their_records(
    hub: Hub, sums_file: Path, signs_file: Path, tmp_path: Path
) -> None:
    found = hub.publish("me/sums", hub.solve(read_task(sums_file), "20s", seed=3))
    net = nn.Linear(3, 2)
    hub.publish("me/net", net, "vec[3] -> logits[2]")
    task = read_task(signs_file, "vec[3] -> label[2]")
    tuned = hub.publish("me/tuned", hub.adapt("me/net", task, fine_tune(steps=3), seed=4))
    given = ("me/sums", sums_file, "me/tuned", signs_file)
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, *map(str, (hub.home, tmp_path / "fresh", *given))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(found.digest), str(tuned.digest)]


def test_a_record_says_on_what_it_ran_and_what_was_chosen(hub: Hub, sums: Task) -> None:
    block = hub.publish("me/sums", hub.solve(sums, "20s", seed=3))
    [run] = hub.lineage(block).runs
    record = hub.registry.run(run)
    assert record.digest == run, "it is read as it was recorded"
    assert (record.kind, record.status, record.seed, record.budget) == ("solve", "finished", 3, 20)
    assert record.task is not None
    assert (record.task.name, record.task.type) == ("sums", sums.type)
    facts: Any = record.facts
    assert facts["device"] == "cpu"
    assert facts["versions"].keys() >= {"python", "metaloom", "torch"}
    assert [arm["is"].rpartition(".")[2] for arm in facts["searches"]] == ["Enumerate", "Divide"]
    assert facts["searches"][0]["settings"]["patience"]["settings"]["alternatives"] == 4


def test_runs_and_tasks_are_asked_for_by_their_digests(hub: Hub, sums: Task) -> None:
    block = hub.publish("me/sums", hub.solve(sums, "20s", seed=3))
    [run] = hub.lineage(block).runs
    family = hub.lineage(run.hex[:12])
    assert family.root.key == str(run)
    assert family.runs == (run,)
    assert "me/sums@1" in {node.label for node in family.children.nodes}
    [task] = [node for node in family.parents.nodes if node.kind == "task"]
    found = hub.lineage(task.key).children
    assert {node.label for node in found.nodes} >= {"sums", f"solve {run.short}", "me/sums@1"}
    with pytest.raises(NotFound, match=r"no block .* begins with 0123456789; no run and no task"):
        hub.lineage("0123456789")


def test_a_run_that_found_nothing_is_recorded_and_told(hub: Hub) -> None:
    task = Task(parse_type("int -> int"), Examples(((1, 1),), (2, 3)), name="two answers")
    with pytest.raises(NoSolution):
        hub.solve(task, "1s", searches=())
    [message] = hub.registry.outbox.pending(9)
    assert message.payload["status"] == "no-solution"
    assert message.payload["params"]["device"] == "cpu"
    record = hub.registry.run(Digest(message.payload["event"]))
    assert record.status == "no-solution"
    assert message.payload["error"] == record.facts["error"] != ""


def test_choices_become_plain_data() -> None:
    said: Any = described(maml(steps=5, lr=0.4))
    assert said["is"] == "metaloom_metalearn.learners.maml.MAML"
    assert said["settings"]["steps"] == 5
    assert said["settings"]["order"].endswith(".second_order")
    adam: Any = described(partial(torch.optim.Adam, lr=0.1))
    assert adam == {"is": "torch.optim.adam.Adam", "settings": {"lr": 0.1}}
    assert described({"a": float("nan"), "b": (1, None)}) == {"a": "nan", "b": [1, None]}
    assert described(nn.Linear(1, 1)) == "torch.nn.modules.linear.Linear"
    endless: list[Any] = []
    endless.append(endless)
    assert dump_canonical(described(endless)).count(b"[") == 10
    assert conditions("cpu", learner=None).keys() == {"device", "versions"}


def test_the_lines_of_a_run_hold_what_was_chosen_and_the_command(sums: Task) -> None:
    under = conditions(
        "cpu", searches=[maml(5, 0.4)], learner=fine_tune(steps=3), program="(lam $0)"
    )
    task = TaskRecord(task_digest(sums), "my sums.jsonl", sums.type)
    run = RunRecord("adapt", 0.0, 1.5, task, seed=4, facts=under)
    lines = run_lines(run.digest, run).splitlines()
    said = dict(line.split(maxsplit=1) for line in lines)
    assert said["run"].startswith(f"adapt {run.digest.short}, finished in 1.5 s, 1970-01-01")
    assert said["task"].endswith(str(task.digest))
    assert said["learner"].startswith("FineTune(steps=3, optimiser=AdamW(")
    assert said["searches"] == "MAML"
    assert (said["seed"], said["device"]) == ("4", "cpu")
    again = "metaloom adapt '(lam $0)' 'my sums.jsonl' --learner ... --seed 4"
    assert said["again"] == again
    solve = replace(run, kind="solve", budget=2.5)
    assert "metaloom solve 'my sums.jsonl' --budget 2.5s --seed 4" in run_lines(run.digest, solve)
