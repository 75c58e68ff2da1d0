"""MLflow's own registry and ours, of the same names and tags, asked the same things.

Published are networks of one architecture with numbers of their own, as they are in memory: ours
converts them; MLflow traces them too (`pt2`, its default outside Databricks, which like ours stores
no code), or pickles them, which is quicker and runs code when it is loaded.  Each is loaded once.
Searched are parts of names, and tags, with 20 hits at most.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from benchmarks.contract import progress
from benchmarks.scale.blocks import CHUNK, Made, Plan, syllables
from benchmarks.scale.queries import SIGNATURE, network
from metaloom import Hub
from metaloom.publishing import Details, graph_draft
from metaloom_registry import parse_type

FORMATS = {"": None, "_pickle": "pickle"}
"""How MLflow stores a module, by what that is called in the figures; None is its default."""

SEARCHES = 40
"""How many parts of names are searched, and how many tags."""

HITS = 20
WARM = 3
"""Searches of each kind that are asked before any is timed."""


@dataclass(frozen=True)
class Spent:
    """Milliseconds that something took: by the clock, and of the processor."""

    wall: float
    processor: float


Times = Mapping[str, list[Spent]]


def ours(folder: Path, plan: Plan, publishes: int) -> Times:
    """What `publish`, `load` and `search` took of ours; the rows of the plan are in the folder.

    `publish_first` is the first of an architecture; `publish_converted` leaves the conversion out.
    """
    torch.set_num_threads(1)
    with Hub.open(folder) as hub:
        named = f"bench/net-{time.time_ns()}"
        hub.publish(f"{named}-other", nn.Linear(3, 2), "vec[3] -> vec[2]")  # imports torch.export
        first = _spent(lambda: hub.publish(f"{named}-first", network(0), SIGNATURE))
        modules = [network(number) for number in range(1, publishes + 1)]
        published: list[Spent] = []
        digests = []
        for number, module in enumerate(modules):
            name = f"{named}-{number}"
            published.append(_spent(partial(hub.publish, name, module, SIGNATURE)))
            digests.append(hub[name].digest)
        conversions = hub.registry.admission.conversions
        drafts = [
            graph_draft(network(-number), parse_type(SIGNATURE), Details(), conversions)
            for number in range(1, publishes + 1)
        ]
        converted = [
            _spent(
                partial(
                    hub.registry.publish,
                    f"{named}-converted-{number}",
                    draft.manifest,
                    draft.files,
                    exported=True,
                )
            )
            for number, draft in enumerate(drafts)
        ]
    with Hub.open(folder) as hub:
        loads = [_spent(partial(hub.library.load, digest)) for digest in digests]
        find = hub.registry.search
        by_name = [partial(find, part, limit=HITS) for part in _parts(plan)]
        by_tag = [partial(find, tag=tag, limit=HITS) for tag in _tags()]
        return {
            "publish": published,
            "publish_first": [first],
            "publish_converted": converted,
            "load": loads,
            **_searches(by_name, by_tag),
        }


def theirs(folder: Path, plan: Plan, publishes: int, inferred: int) -> Times:
    """What `publish`, `load` and `search` took of MLflow's, which registers the plan's names first.

    `publish_pickle` and `load_pickle` are of its other format; `publish_inferred` infers the
    requirements.
    """
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false",
        MLFLOW_LOGGING_LEVEL="ERROR",
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # MLflow is slow to import and reads its environment then.
    import mlflow  # noqa: PLC0415
    from mlflow import MlflowClient  # noqa: PLC0415

    torch.set_num_threads(1)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    experiment = mlflow.create_experiment("scale", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment(experiment_id=experiment)
    example = torch.rand(2, 1, 28, 28).numpy()
    client = MlflowClient()

    def publish(name: str, number: int, form: str, requirements: list[str] | None) -> None:
        with redirect_stderr(io.StringIO()):  # it tells of each model, and that pickles run code
            mlflow.pytorch.log_model(
                network(number),
                name=name,
                registered_model_name=name,
                pip_requirements=requirements,
                **({"input_example": example} if FORMATS[form] is None else {}),
                serialization_format=FORMATS[form],
            )

    publish("bench-first", 0, "", ["torch"])
    source = client.get_model_version("bench-first", "1").source or ""
    for number, (name, tags) in enumerate(_named(plan).items(), 1):
        client.create_registered_model(_model(name), tags=dict.fromkeys(tags, "1"))
        client.create_model_version(_model(name), source)
        if number % 1000 == 0:
            progress(f"{number:,} models registered with MLflow")
    times: dict[str, list[Spent]] = {}
    for form in FORMATS:
        names = [f"bench{form}-{number}" for number in range(publishes)]
        times[f"publish{form}"] = [
            _spent(partial(publish, name, number, form, ["torch"]))
            for number, name in enumerate(names)
        ]
        with redirect_stderr(io.StringIO()):
            times[f"load{form}"] = [
                _spent(partial(mlflow.pytorch.load_model, f"models:/{name}/1")) for name in names
            ]
    times["publish_inferred"] = [
        _spent(partial(publish, f"inferred-{number}", number, "", None))
        for number in range(inferred)
    ]
    find = partial(client.search_registered_models, max_results=HITS)
    by_name = [partial(find, f"name LIKE '%{part}%'") for part in _parts(plan)]
    by_tag = [partial(find, f"tags.`{tag}` = '1'") for tag in _tags()]
    return {**times, **_searches(by_name, by_tag)}


def _searches(
    names: Iterable[Callable[[], object]], tags: Iterable[Callable[[], object]]
) -> dict[str, list[Spent]]:
    times = {}
    for kind, queries in (("search_name", [*names]), ("search_tag", [*tags])):
        for query in queries[:WARM]:
            query()
        times[kind] = [_spent(query) for query in queries]
    return {**times, "search": [*times["search_name"], *times["search_tag"]]}


def _named(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The names of a plan, each with the tags of its newest version."""
    made: list[Made] = []
    digests: list[str] = []
    for start in range(0, plan.blocks, CHUNK):
        made += plan.make(start, min(start + CHUNK, plan.blocks), digests)
    return {block.name: block.tags for block in made}


def _model(name: str) -> str:
    """A name as MLflow takes it, which knows no `/`."""
    return name.replace("/", ".")


def _parts(plan: Plan) -> list[str]:
    """Parts of names, each of one name."""
    return [syllables(name) for name in range(1, plan.names, max(1, plan.names // SEARCHES))]


def _tags() -> list[str]:
    """Tags, the most common first."""
    return [f"tag-{number}" for number in range(SEARCHES)]


def _spent(work: Callable[[], object]) -> Spent:
    began, processor = time.perf_counter(), time.process_time()
    work()
    return Spent((time.perf_counter() - began) * 1000, (time.process_time() - processor) * 1000)
