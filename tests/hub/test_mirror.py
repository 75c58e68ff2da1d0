"""Messages as MLflow has them, against a real SQLite store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

mlflow = pytest.importorskip("mlflow")

from metaloom.lineage import trace_run  # noqa: E402
from metaloom.lineage.mirror import Mirror, _model_name  # noqa: E402
from metaloom_registry import StorageError  # noqa: E402

ENCODER = {
    "digest": "sha256:" + "a" * 64,
    "reference": "vision/conv4@1",
    "kind": "graph",
    "signature": "image[1,8,8] -> vec[64]",
}
SOLVE: dict[str, Any] = {
    "event": "0123",
    "name": "sum of digits",
    "time": 1_700_000_000.0,
    "seconds": 2.5,
    "metrics": {"query accuracy": 0.75, "support.cost": 12.5},
    "params": {"seed": 3, "budget": "10s", "task": "sha256:" + "c" * 64},
    "tags": {"metaloom.task": "sha256:" + "c" * 64},
    "signature": "list[image[1,8,8]] -> int",
    "term": "(lam (sum (map digit $0)))",
    "source": "def solution(xs):\n    return sum(map(digit, xs))",
    "inputs": [ENCODER],
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("mlflow")
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture(scope="module")
def mirror(client: Any, tmp_path_factory: pytest.TempPathFactory) -> Mirror:
    return Mirror(client, tmp_path_factory.mktemp("artifacts").as_uri())


def _runs(mirror: Mirror, event: str) -> list[Any]:
    found = mirror.client.search_runs([mirror.experiment], f"tags.`metaloom.event` = '{event}'")
    return [mirror.client.get_run(run.info.run_id) for run in found]


def _models(mirror: Mirror, tag: str, value: str) -> list[Any]:
    return list(
        mirror.client.search_logged_models([mirror.experiment], f"tags.`{tag}` = '{value}'")
    )


def test_a_solve_is_one_run_with_its_scores_settings_inputs_and_output(mirror: Mirror) -> None:
    mirror.send("solve", SOLVE)
    [run] = _runs(mirror, "0123")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "sum of digits"
    assert run.info.end_time - run.info.start_time == 2500
    assert run.data.metrics == {"query accuracy": 0.75, "support.cost": 12.5}
    assert run.data.params["seed"] == "3"
    assert run.data.tags["metaloom.task"] == "sha256:" + "c" * 64
    assert "sum(map(digit, xs))" in run.data.tags["mlflow.note.content"]
    [encoder] = _models(mirror, "metaloom.digest", ENCODER["digest"])
    [composition] = _models(mirror, "metaloom.solve", "0123")
    assert [m.model_id for m in run.inputs.model_inputs] == [encoder.model_id]
    assert [m.model_id for m in run.outputs.model_outputs] == [composition.model_id]
    assert encoder.name == "vision-conv4@1"
    assert encoder.tags["metaloom.reference"] == "vision/conv4@1"


def test_a_message_sent_twice_changes_nothing(mirror: Mirror) -> None:
    message = {**SOLVE, "event": "twice"}
    mirror.send("solve", message)
    before = _runs(mirror, "twice")[0]
    mirror.send("solve", message)
    [after] = _runs(mirror, "twice")
    assert after.data.metrics == before.data.metrics
    assert after.data.params == before.data.params
    assert after.inputs.model_inputs == before.inputs.model_inputs
    assert after.outputs.model_outputs == before.outputs.model_outputs
    assert len(_models(mirror, "metaloom.solve", "twice")) == 1
    assert len(_models(mirror, "metaloom.digest", ENCODER["digest"])) == 1


def test_a_published_solution_is_the_model_its_solve_made(mirror: Mirror) -> None:
    mirror.send("solve", {**SOLVE, "event": "published"})
    digest = "sha256:" + "d" * 64
    mirror.send(
        "publish",
        {
            "digest": digest,
            "reference": "me/sum@1",
            "kind": "program",
            "signature": SOLVE["signature"],
            "solve": "published",
            "parents": [{"digest": ENCODER["digest"], "role": "uses"}],
        },
    )
    [model] = _models(mirror, "metaloom.digest", digest)
    [run] = _runs(mirror, "published")
    assert model.source_run_id == run.info.run_id
    assert model.tags["metaloom.reference"] == "me/sum@1"
    assert model.tags["metaloom.parent.0"] == "uses " + ENCODER["digest"]


def test_long_values_are_cut_and_odd_names_are_made_fit(mirror: Mirror) -> None:
    message = {
        **SOLVE,
        "event": "odd",
        "name": "a/b:c.d%'\"" * 40,
        "term": "x" * 20_000,
        "source": "y" * 20_000,
        "params": {"weird{name}": "z" * 20_000},
        "metrics": {"what?": 1.0},
        "inputs": [],
    }
    mirror.send("solve", message)
    [run] = _runs(mirror, "odd")
    assert run.data.metrics == {"what_": 1.0}
    assert len(run.data.params["weird_name_"]) == 5000


def test_a_kind_that_is_not_known_is_passed_over(mirror: Mirror) -> None:
    before = len(mirror.client.search_runs([mirror.experiment]))
    mirror.send("something new", {"x": 1})
    assert len(mirror.client.search_runs([mirror.experiment])) == before


def test_a_model_name_holds_no_sign_that_mlflow_refuses() -> None:
    assert _model_name("ns/na.me@3:%'\"") == "ns-na-me@3----"
    assert _model_name("") == "block"


def test_the_experiment_is_found_again_by_another_process(mirror: Mirror, tmp_path: Path) -> None:
    again = Mirror(mirror.client, tmp_path.as_uri())
    assert again.experiment == mirror.experiment


def test_the_task_of_a_solve_is_a_dataset_of_its_run(mirror: Mirror) -> None:
    tags, params = {"metaloom.task": "sha256:" + "1" * 64}, {"type": "list[int] -> int"}
    message = {**SOLVE, "event": "dataset", "tags": tags, "params": params}
    mirror.send("solve", message)
    mirror.send("solve", message)
    [run] = _runs(mirror, "dataset")
    [given] = run.inputs.dataset_inputs
    assert given.dataset.name == "sum of digits"
    assert given.dataset.digest == "1" * 36
    assert "list[int] -> int" in given.dataset.schema


def test_from_a_run_of_mlflow_one_gets_back_to_the_blocks(mirror: Mirror) -> None:
    task, record = "sha256:" + "c" * 64, "sha256:" + "e" * 64
    tags = {"metaloom.task": task, "metaloom.run": record}
    mirror.send("adapt", {**SOLVE, "event": "traced", "tags": tags})
    [run] = _runs(mirror, "traced")
    found = trace_run(mirror.client, run.info.run_id)
    assert (str(found.run), str(found.task)) == (record, task)
    assert list(map(str, found.inputs)) == [ENCODER["digest"]]
    assert found.outputs == (), "what was found is not published yet"
    made = {"digest": "sha256:" + "f" * 64, "reference": "me/made@1", "solve": "traced"}
    mirror.send("publish", made)
    again = trace_run(mirror.client, run.info.run_id)
    assert list(map(str, again.outputs)) == [made["digest"]]


def test_a_run_that_failed_or_was_interrupted_says_so(mirror: Mirror) -> None:
    failed = {k: v for k, v in SOLVE.items() if k not in ("term", "source", "inputs")}
    failed |= {"event": "failed", "status": "no-solution", "error": "nothing fits", "inputs": []}
    mirror.send("solve", failed)
    mirror.send("train", {**SOLVE, "event": "ended", "status": "interrupted", "history": []})
    [run] = _runs(mirror, "failed")
    assert run.info.status == "FAILED"
    assert run.data.tags["mlflow.note.content"] == "nothing fits"
    assert run.outputs is None or not run.outputs.model_outputs
    [interrupted] = _runs(mirror, "ended")
    assert interrupted.info.status == "KILLED"


def test_a_deleted_experiment_is_named_with_the_remedy(tmp_path: Path) -> None:
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = Mirror(client, tmp_path.as_uri()).experiment
    client.delete_experiment(experiment)
    with pytest.raises(
        StorageError, match=f"deleted.*`mlflow experiments restore -x {experiment}`"
    ):
        Mirror(client, tmp_path.as_uri())
