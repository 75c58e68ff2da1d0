"""What a hub does in MLflow, from end to end and against a real SQLite store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from metaloom import Hub
from metaloom_metalearn import Task
from metaloom_registry import catalogue

mlflow = pytest.importorskip("mlflow")


def _client(home: Path) -> Any:
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


def _runs(client: Any) -> list[Any]:
    experiment = client.get_experiment_by_name("metaloom")
    found = client.search_runs([experiment.experiment_id])
    return [client.get_run(run.info.run_id) for run in found]


def _hub(home: Path, uri: str | None) -> Hub:
    return Hub(home, catalogue.Registry.open(home), uri)


def test_a_solve_and_its_publication_are_seen_in_mlflow(home: Path, sums: Task) -> None:
    with _hub(home, None) as quiet:
        quiet.publish("me/total", "(lam (fold add 0 $0))")
        solution = quiet.solve(sums, budget="20s", seed=5)
        block = quiet.publish("me/sums", solution)
        report = quiet.sync()
        assert (report.sent, report.left) == (0, 3)
        assert report.problem is not None
        assert "off" in report.problem
    with _hub(home, f"sqlite:///{home / 'mlflow.db'}") as hub:
        assert hub.sync().sent == 3
        assert hub.sync().sent == 0
    client = _client(home)
    [run] = _runs(client)
    assert run.info.run_name == "sums"
    assert run.data.params["seed"] == "5"
    assert run.data.params["budget"] == "20.0"
    assert run.data.metrics["query exact match"] == 1.0
    assert run.data.tags["metaloom.task"].startswith("sha256:")
    [output] = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert model.tags["metaloom.reference"] == "me/sums@1"
    assert model.tags["metaloom.digest"] == str(block.digest)
    used = [r for r in solution.blocks if r.name is None]
    assert len(run.inputs.model_inputs) == len(used)


def test_mlflow_being_down_fails_nothing(home: Path, sums: Task) -> None:
    with _hub(home, "http://127.0.0.1:9") as hub:
        hub.sender.flush_behind = lambda: False  # type: ignore[method-assign]
        assert str(hub.publish("me/sums", hub.solve(sums, budget="20s")).reference) == "me/sums@1"


def test_a_store_that_mlflow_refuses_is_reported(home: Path) -> None:
    with _hub(home, "nonsense://x") as hub:
        hub.publish("me/id", "(lam $0)")
        report = hub.sync()
        assert (report.sent, report.left) == (0, 1)
        assert report.problem is not None
        assert "nonsense" in report.problem


def test_the_process_behind_sends_what_waits(home: Path) -> None:
    with _hub(home, f"sqlite:///{home / 'mlflow.db'}") as hub:
        hub.publish("me/id", "(lam $0)")
        assert hub.sender.flush_behind()
        process = hub.sender._process
        assert process is not None
        assert process.wait(timeout=100) == 0
        assert hub.registry.outbox.waiting() == 0
        assert not hub.sender.flush_behind()


def test_the_sender_of_an_unusable_folder_ends_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "metaloom.lineage", str(tmp_path / "file")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "is a file" in done.stderr
