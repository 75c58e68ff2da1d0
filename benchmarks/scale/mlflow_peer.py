"""MLflow's own registry and ours, of the same names and tags, asked the same things.

Published are networks of one architecture with numbers of their own, as they are in memory: ours
converts them; MLflow traces them too (`pt2`, its default outside Databricks, which like ours stores
no code), or pickles them, which is quicker and runs code when it is loaded.  Each is loaded once.
Searched are parts of names, and tags, with 20 hits at most.  The two take turns in one process.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from itertools import islice
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
Stage = dict[str, list[Callable[[], object]]]
"""What is timed at one stage: calls of each kind, none of which needs another of the stage."""

TURN = 5
"""How many calls of one kind are timed before one of the next: no phase of the machine is one's."""


def compared(ours: Path, theirs: Path, plan: Plan, publishes: int, inferred: int) -> list[Times]:
    """What each kind of call took of ours and of MLflow's, whose registries are in two folders.

    The two take turns, so that whatever slows the machine down slows both.
    """
    torch.set_num_threads(1)
    times: list[dict[str, list[Spent]]] = [{}, {}]
    sides = _ours(ours, plan, publishes), _theirs(theirs, plan, publishes, inferred)
    for stages in zip(*sides, strict=True):
        waiting = [
            (found.setdefault(kind, []), iter(calls))
            for found, stage in zip(times, stages, strict=True)
            for kind, calls in stage.items()
        ]
        while waiting:
            for one in list(waiting):
                spent = [_spent(call) for call in islice(one[1], TURN)]
                one[0].extend(spent)
                if len(spent) < TURN:
                    waiting.remove(one)
    return [*times]


def _ours(folder: Path, plan: Plan, publishes: int) -> Iterator[Stage]:
    """Our stages; the rows of the plan are in the folder.

    `publish_first` is the first of an architecture; `publish_converted` leaves the conversion out.
    """
    with Hub.open(folder) as hub:
        named = f"bench/net-{time.time_ns()}"
        hub.publish(f"{named}-other", nn.Linear(3, 2), "vec[3] -> vec[2]")  # imports torch.export
        yield {"publish_first": [partial(hub.publish, f"{named}-first", network(0), SIGNATURE)]}
        yield {
            "publish": [
                partial(hub.publish, f"{named}-{number}", network(number), SIGNATURE)
                for number in range(1, publishes + 1)
            ]
        }
        digests = [hub[f"{named}-{number}"].digest for number in range(1, publishes + 1)]
        conversions = hub.registry.admission.conversions
        drafts = [
            graph_draft(network(-number), parse_type(SIGNATURE), Details(), conversions)
            for number in range(1, publishes + 1)
        ]
        yield {
            "publish_converted": [
                partial(
                    hub.registry.publish,
                    f"{named}-converted-{number}",
                    draft.manifest,
                    draft.files,
                    exported=True,
                )
                for number, draft in enumerate(drafts)
            ]
        }
    with Hub.open(folder) as hub:
        yield {"load": [partial(hub.library.load, digest) for digest in digests]}
        find = hub.registry.search
        yield _warmed(
            [partial(find, part, limit=HITS) for part in _parts(plan)],
            [partial(find, tag=tag, limit=HITS) for tag in _tags()],
        )


def _theirs(folder: Path, plan: Plan, publishes: int, inferred: int) -> Iterator[Stage]:
    """MLflow's stages; it registers the plan's names first.

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

    uri = f"sqlite:///{folder / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    experiment = mlflow.create_experiment("scale", artifact_location=str(folder / "artifacts"))
    mlflow.set_experiment(experiment_id=experiment)
    example = torch.rand(2, 1, 28, 28).numpy()
    client = MlflowClient()

    def publish(name: str, module: nn.Module, form: str, requirements: list[str] | None) -> None:
        with redirect_stderr(io.StringIO()):  # it tells of each model, and that pickles run code
            mlflow.pytorch.log_model(
                module,
                name=name,
                registered_model_name=name,
                pip_requirements=requirements,
                **({"input_example": example} if FORMATS[form] is None else {}),
                serialization_format=FORMATS[form],
            )

    def load(name: str) -> object:
        with redirect_stderr(io.StringIO()):
            return mlflow.pytorch.load_model(f"models:/{name}/1")

    publish("bench-first", network(0), "", ["torch"])
    source = client.get_model_version("bench-first", "1").source or ""
    for number, (name, tags) in enumerate(_named(plan).items(), 1):
        client.create_registered_model(_model(name), tags=dict.fromkeys(tags, "1"))
        client.create_model_version(_model(name), source)
        if number % 1000 == 0:
            progress(f"{number:,} models registered with MLflow")
    names = {form: [f"bench{form}-{number}" for number in range(publishes)] for form in FORMATS}
    yield {}
    yield {
        f"publish{form}": [
            partial(publish, name, network(number), form, ["torch"])
            for number, name in enumerate(given)
        ]
        for form, given in names.items()
    }
    yield {
        "publish_inferred": [
            partial(publish, f"inferred-{number}", network(number), "", None)
            for number in range(inferred)
        ]
    }
    yield {f"load{form}": [partial(load, name) for name in given] for form, given in names.items()}
    find = partial(client.search_registered_models, max_results=HITS)
    yield _warmed(
        [partial(find, f"name LIKE '%{part}%'") for part in _parts(plan)],
        [partial(find, f"tags.`{tag}` = '1'") for tag in _tags()],
    )


def _warmed(names: list[Callable[[], object]], tags: list[Callable[[], object]]) -> Stage:
    """The stage of searches, of which some were asked before."""
    for query in (*names[:WARM], *tags[:WARM]):
        query()
    return {"search_name": names, "search_tag": tags}


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
