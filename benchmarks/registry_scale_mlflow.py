"""MLflow's own registry, asked what `registry_scale` asks of ours."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.contract import progress
from benchmarks.registry_scale_queries import network


def measured(folder: Path, models: int, publishes: int, inferred: int) -> dict[str, list[float]]:
    """Milliseconds of each publish, publish with inferred requirements, load and search.

    The registry holds `models` registered models, each of one version, when it is measured.
    """
    os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false")
    # MLflow is slow to import and reads its environment then.
    import mlflow  # noqa: PLC0415
    from mlflow import MlflowClient  # noqa: PLC0415

    torch.set_num_threads(1)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    experiment = mlflow.create_experiment("scale", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment(experiment_id=experiment)

    def publish(number: int, requirements: list[str] | None) -> None:
        mlflow.pytorch.log_model(
            network(number),
            name=f"net-{number}",
            registered_model_name=f"bench-{number}",
            pip_requirements=requirements,
            serialization_format="pickle",
        )

    client = MlflowClient()
    publish(0, ["torch"])
    source = client.get_model_version("bench-0", "1").source or ""
    for number in range(1, models):
        name = f"team{number % 50}-model-{number}"
        client.create_registered_model(name, tags={"tag": f"tag-{number % 300}"})
        client.create_model_version(name, source)
        if number % 1000 == 0:
            progress(f"{number:,} models registered with MLflow")
    asked = [f"name LIKE '%model-{number}%'" for number in range(1, models, max(1, models // 40))]
    asked += [f"tags.tag = 'tag-{number}'" for number in range(40)]
    loads = [f"models:/bench-{number}/1" for number in range(1, publishes)]
    return {
        "publish": [_timed(publish, number, ["torch"]) for number in range(1, publishes)],
        "publish_inferred": [
            _timed(publish, number, None) for number in range(publishes, publishes + inferred)
        ],
        "load": [_timed(mlflow.pytorch.load_model, uri) for uri in loads],
        "search": [
            _timed(lambda q: client.search_registered_models(q, max_results=20), query)
            for query in asked
        ],
    }


def _timed(work: Callable[..., Any], *arguments: Any) -> float:
    began = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - began) * 1000
