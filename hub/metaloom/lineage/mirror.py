"""One message of the outbox as MLflow has it: a solve is a run, a block is a logged model.

Every write can be repeated: runs and models are searched by their tags before they are made, so a
crash between sending and marking as sent doubles nothing.  Nothing goes through MLflow's active
run, which is state of the process; each call names its run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
)

from metaloom.lineage.mirror_tags import (
    EXPERIMENT,
    TAG_DIGEST,
    TAG_EVENT,
    TAG_REFERENCE,
    TAG_SOLVE,
    TAG_TASK,
)
from metaloom_registry import StorageError

if TYPE_CHECKING:
    from mlflow import MlflowClient

STATUS = {
    "finished": "FINISHED",
    "interrupted": "KILLED",
    "no-solution": "FAILED",
    "failed": "FAILED",
}
"""What MLflow calls the ways in which a run ends; one that patience or a deadline ended is done."""
MAX_KNOWN = 10_000
"""So many models are remembered while messages are sent, so as not to search for each again."""
MAX_METRICS = 1_000
"""How many metrics MLflow takes at once."""
MAX_VALUE = 5_000
"""The longest tag or parameter we send; MLflow itself takes 8,000 and 6,000 characters."""


class Mirror:
    """An experiment of an MLflow tracking server that the messages are written to."""

    def __init__(self, client: MlflowClient, artifacts: str | None = None) -> None:
        """Find the experiment, or make it. Raises StorageError where somebody deleted it."""
        self.client = client
        self.experiment = _experiment(client, artifacts)
        self._known: dict[str, LoggedModel] = {}

    def send(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Write one message; sending it again changes nothing. Unknown kinds are passed over."""
        if kind == "publish":
            self.block(payload)
        elif kind in ("solve", "adapt"):
            self._solve(payload)
        elif kind == "train":
            self._train(payload)

    def _train(self, train: Mapping[str, Any]) -> None:
        """A training is a run with a curve for each metric, and the block it began from."""
        when = int(1000 * train["time"])
        curves = [
            Metric(_key(name), float(value), when, int(step))
            for step, numbers in train["history"]
            for name, value in sorted(numbers.items())
        ]
        run = self._run(train)
        for first in range(0, len(curves), MAX_METRICS):
            self.client.log_batch(run.info.run_id, metrics=curves[first : first + MAX_METRICS])
        self._log(run, train)
        self._end(run, train)

    def _solve(self, solve: Mapping[str, Any]) -> None:
        run = self._run(solve)
        run_id = run.info.run_id
        self._log(run, solve)
        if solve.get("term"):
            made = self._composition(solve, run_id)
            known = run.outputs.model_outputs if run.outputs else ()
            if made.model_id not in {output.model_id for output in known}:
                self.client.log_outputs(run_id, [LoggedModelOutput(made.model_id, 0)])
        self._end(run, solve)

    def _log(self, run: Run, solve: Mapping[str, Any]) -> None:
        """Metrics, parameters and tags of a run, its task, and the blocks it used."""
        run_id, when = run.info.run_id, int(1000 * solve["time"])
        metrics = sorted(solve.get("metrics", {}).items())
        params = sorted(solve.get("params", {}).items())
        tags = sorted(solve.get("tags", {}).items())
        if solve.get("source"):
            tags.append(("mlflow.note.content", _note(solve)))
        elif solve.get("error"):
            tags.append(("mlflow.note.content", solve["error"]))
        self.client.log_batch(
            run_id,
            metrics=[Metric(_key(name), float(value), when, 0) for name, value in metrics],
            params=[Param(_key(name), _short(value)) for name, value in params],
            tags=[RunTag(_key(name), _short(value)) for name, value in tags],
        )
        datasets = _datasets(solve)
        models = [self.block(block) for block in solve.get("inputs", ())]
        if datasets or models:
            taken = [LoggedModelInput(model.model_id) for model in models]
            self.client.log_inputs(run_id, datasets=datasets, models=taken)

    def _end(self, run: Run, solve: Mapping[str, Any]) -> None:
        self.client.set_terminated(
            run.info.run_id,
            status=STATUS.get(solve.get("status", "finished"), "FINISHED"),
            end_time=int(1000 * (solve["time"] + solve["seconds"])),
        )

    def _run(self, solve: Mapping[str, Any]) -> Run:
        """The run of this solve, made where there is none."""
        event = str(solve["event"])
        found = self.client.search_runs(
            [self.experiment], f"tags.`{TAG_EVENT}` = '{_quoted(event)}'", max_results=1
        )
        if found:  # a search leaves out what is linked to a run
            return self.client.get_run(found[0].info.run_id)
        return self.client.create_run(
            self.experiment,
            start_time=int(1000 * solve["time"]),
            run_name=_short(solve.get("name") or "solve", 200),
            tags={TAG_EVENT: event, "mlflow.source.name": "metaloom", "mlflow.user": "metaloom"},
        )

    def _composition(self, solve: Mapping[str, Any], run_id: str) -> LoggedModel:
        """The composition that a solve found, published or not."""
        event = str(solve["event"])
        found = self._model(TAG_SOLVE, event)
        if found is not None:
            return found
        made = self._new_model(
            solve.get("name") or "composition",
            "program",
            {
                TAG_SOLVE: event,
                "metaloom.kind": "program",
                "metaloom.signature": _short(solve.get("signature")),
                "metaloom.term": _short(solve.get("term")),
            },
            run_id,
        )
        return self._keep(event, made)

    def block(self, block: Mapping[str, Any]) -> LoggedModel:
        """The logged model of a published block; that of its solve, where a solve made it."""
        digest = str(block["digest"])
        tags = {
            TAG_DIGEST: digest,
            "metaloom.kind": str(block.get("kind", "")),
            "metaloom.signature": _short(block.get("signature")),
        }
        if block.get("reference"):
            tags[TAG_REFERENCE] = str(block["reference"])
        for i, parent in enumerate(block.get("parents", ())[:50]):
            tags[f"metaloom.parent.{i}"] = f"{parent['role']} {parent['digest']}"
        solve = block.get("solve")
        found = self._model(TAG_SOLVE, str(solve)) if solve else None
        found = found or self._model(TAG_DIGEST, digest)
        if found is None:
            if solve:
                tags[TAG_SOLVE] = str(solve)
            name = block.get("reference") or digest.removeprefix("sha256:")[:12]
            made = self._new_model(str(name), str(block.get("kind", "")), tags, None)
            return self._keep(digest, made)
        missing = {k: v for k, v in tags.items() if found.tags.get(k) != v}
        if missing:
            self.client.set_logged_model_tags(found.model_id, missing)
            found.tags.update(missing)
        return self._keep(digest, found)

    def _model(self, tag: str, value: str) -> LoggedModel | None:
        """The oldest model with a tag; what this mirror met already is not asked for again."""
        if value in self._known:
            return self._known[value]
        found = self.client.search_logged_models(
            [self.experiment],
            f"tags.`{tag}` = '{_quoted(value)}'",
            max_results=1,
            order_by=[{"field_name": "creation_timestamp", "ascending": True}],
        )
        return self._keep(value, found[0]) if found else None

    def _keep(self, value: str, model: LoggedModel) -> LoggedModel:
        """The model, which is known from now on, as one of the last."""
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[value] = model
        return model

    def _new_model(
        self, name: str, kind: str, tags: Mapping[str, str], run_id: str | None
    ) -> LoggedModel:
        model = self.client.create_logged_model(
            self.experiment,
            name=_model_name(name),
            source_run_id=run_id,
            tags=dict(tags),
            model_type=f"metaloom {kind}",
        )
        return self.client.finalize_logged_model(model.model_id, "READY")


def _experiment(client: MlflowClient, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        return str(client.create_experiment(EXPERIMENT, artifact_location=artifacts))
    if found.lifecycle_stage != LifecycleStage.ACTIVE:
        raise StorageError(
            f"somebody deleted the experiment {EXPERIMENT!r} there; bring it back with "
            f"`mlflow experiments restore -x {found.experiment_id}`, or purge it with `mlflow gc`"
        )
    return str(found.experiment_id)


def _datasets(solve: Mapping[str, Any]) -> list[DatasetInput]:
    """The task as MLflow's dataset: named by its digest, which MLflow cuts to 36 characters."""
    task = solve.get("tags", {}).get(TAG_TASK)
    if not task:
        return []
    digest = str(task).removeprefix("sha256:")
    dataset = Dataset(
        name=_short(solve.get("name") or "task", 200),
        digest=digest[:36],
        source_type="metaloom",
        source=json.dumps({"task": str(task)}),
        schema=json.dumps({"type": _short(solve.get("params", {}).get("type"))}),
    )
    return [DatasetInput(dataset, [InputTag("mlflow.data.context", "few-shot task")])]


def _model_name(name: str) -> str:
    """MLflow allows no / : . % and quotes in a model's name; the tags keep the true one."""
    return re.sub(r"[/:.%\"']", "-", name)[:250] or "block"


def _key(name: str) -> str:
    """A name of a metric or parameter: MLflow allows letters, digits and a few signs."""
    return re.sub(r"[^\w\-. /:]", "_", name)[:200] or "_"


def _short(value: object, limit: int = MAX_VALUE) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _quoted(value: str) -> str:
    return value.replace("'", "")


def _note(solve: Mapping[str, Any]) -> str:
    """The page of the run in `mlflow ui`: the program as source."""
    return _short(f"```python\n{solve['source']}\n```\n\nterm: `{solve.get('term', '')}`")
