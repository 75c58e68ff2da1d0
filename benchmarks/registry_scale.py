"""A registry of a million blocks: finding, publishing and memory, beside MLflow's own registry.

Rows are written by a bulk loader that writes what publishing writes; queries are then asked of the
registry as anybody would, in a process of their own, and blocks of 1 MB are published on top.  The
same is done at each power of ten below, which `--picture` draws.  About 12 minutes on two cores,
of which 6 load the rows; `--keep` keeps them for the next time.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np

from benchmarks.contract import Metrics, Options, progress, run
from benchmarks.scale import mlflow_peer
from benchmarks.scale.blocks import Plan, plan_of_names
from benchmarks.scale.mlflow_peer import Spent
from benchmarks.scale.picture import growth
from benchmarks.scale.queries import Settings, measured
from benchmarks.scale.rows import load
from metaloom_registry.catalogue.registry import CATALOGUE_FILE
from metaloom_registry.catalogue.schema.database import sqlite_url
from metaloom_registry.catalogue.schema.revisions import HEAD
from metaloom_registry.testing import postgres

T = TypeVar("T")
BLOCKS = 1_000_000
MODELS = 5_000
NOW = 1_700_000_000_000_000
NUMBERS = {
    "blocks": f"how many blocks; by default {BLOCKS:,}, or 1,000 with --quick",
    "models": f"how many models both registries hold, under the same names, or a few more; by "
    f"default {MODELS:,}, or 20 with --quick",
}
TEXTS = {
    "keep": "a folder to keep the rows in, so that the next run or a broken one goes on with them",
    "database": "the URL of an empty PostgreSQL database to do the same on, or `private` for a "
    "server of its own; by default what METALOOM_DATABASE_URL says",
    "picture": "an SVG file to draw the growth of each cost into",
}


def measure(options: Options) -> Metrics:
    """The times of each kind of query in milliseconds, of publishing, and against MLflow."""
    blocks = options.numbers["blocks"] or (1_000 if options.quick else BLOCKS)
    models = options.numbers["models"] or (20 if options.quick else MODELS)
    settings = Settings(5 if options.quick else 100, 2 if options.quick else 15, options.seed)
    sizes = [size for size in (1_000, 10_000, 100_000) if size < blocks] + [blocks]
    with _folder(options.texts["keep"]) as folder:
        by_size = {size: _sqlite(size, options.seed, folder, settings) for size in sizes}
        inferred = 0 if options.quick else 3
        metrics = {
            **_metrics(blocks, by_size),
            **_compared(models, settings, folder, inferred=inferred),
        }
        url = options.texts["database"] or os.environ.get("METALOOM_DATABASE_URL")
        if url is not None:
            metrics["postgresql"] = _postgresql(url, blocks, folder, settings)
    if options.texts["picture"] is not None:
        costs = {size: _costs(found) for size, found in by_size.items()}
        Path(options.texts["picture"]).write_text(growth(costs), encoding="utf-8")
    return metrics


def _compared(models: int, settings: Settings, folder: Path, *, inferred: int) -> dict[str, Any]:
    """How many times as long MLflow takes as we do, medians, at so many models.

    `mlflow_ratio` is of MLflow as it is by default, `mlflow_ratio_pickle` of its other format, and
    `mlflow_ratio_processor` is the first in processor time.  Ours converts what it publishes; of an
    architecture that it has not converted before, `publish_first` is the ratio.
    """
    plan = plan_of_names(models, settings.seed)
    mine, peer = (Path(tempfile.mkdtemp(dir=folder)) for _ in range(2))
    _apart(_load, plan.blocks, settings.seed, str(sqlite_url(str(mine / CATALOGUE_FILE))))
    asked = mlflow_peer.compared, mine, peer, plan, settings.publishes, inferred
    ours, theirs = ({**one, "search": _searches(one)} for one in _apart(*asked))

    def ratio(of: str, to: str, spent: str = "wall") -> float:
        return _percentile(theirs[of], 50, spent) / _percentile(ours[to], 50, spent)

    kinds = ("publish", "load", "search")
    return {
        "mlflow_models": plan.names,
        "mlflow_ratio": {kind: ratio(kind, kind) for kind in kinds},
        "mlflow_ratio_pickle": {kind: ratio(f"{kind}_pickle", kind) for kind in kinds[:2]},
        "mlflow_ratio_processor": {kind: ratio(kind, kind, "processor") for kind in kinds},
        "mlflow_ratio_of_parts": {
            "publish_first": ratio("publish", "publish_first"),
            "publish_without_conversion": ratio("publish_pickle", "publish_converted"),
            "search_name": ratio("search_name", "search_name"),
            "search_tag": ratio("search_tag", "search_tag"),
        },
        "mlflow_ms": {kind: _summary(times) for kind, times in theirs.items() if times},
        "metaloom_ms": {kind: _summary(times) for kind, times in ours.items()},
    }


def _searches(times: mlflow_peer.Times) -> list[Spent]:
    return [*times["search_name"], *times["search_tag"]]


def _summary(times: Sequence[Spent]) -> dict[str, float]:
    return {
        "p50": _percentile(times, 50),
        "p95": _percentile(times, 95),
        "processor_p50": _percentile(times, 50, "processor"),
    }


def _percentile(times: Sequence[Spent], percent: int, spent: str = "wall") -> float:
    return float(np.percentile([getattr(one, spent) for one in times], percent))


def _metrics(blocks: int, by_size: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of the largest registry, and some of the others."""
    ours = by_size[blocks]
    publish = median(ours["publish_ms"])
    return {
        "blocks": blocks,
        "p95_ms": ours["p95_ms"],
        "p50_ms": ours["p50_ms"],
        "publish_ms_median": publish,
        "publish_with_conversion_ms_median": publish + median(ours["convert_ms"]),
        "load_ms_median": median(ours["load_ms"]),
        "rss_mb": ours["rss_mb"],
        "p95_ms_by_blocks": {str(size): found["p95_ms"] for size, found in by_size.items()},
        "publish_ms_median_by_blocks": {
            str(size): median(found["publish_ms"]) for size, found in by_size.items()
        },
        "load_seconds_by_blocks": {
            str(size): found["load_seconds"] for size, found in by_size.items()
        },
    }


def _costs(found: Mapping[str, Any]) -> dict[str, float]:
    """What the picture shows of one size."""
    return {**found["p95_ms"], "publish (median)": median(found["publish_ms"])}


def _sqlite(blocks: int, seed: int, folder: Path, settings: Settings) -> dict[str, Any]:
    place = folder / f"blocks-{blocks}-seed-{seed}-schema-{HEAD}"
    place.mkdir(exist_ok=True)
    url = sqlite_url(str(place / "catalogue.db"))
    return _loaded(blocks, seed, str(url), place, settings)


def _postgresql(url: str, blocks: int, folder: Path, settings: Settings) -> dict[str, Any]:
    with ExitStack() as stack:
        if url == "private":
            url = stack.enter_context(postgres()).render_as_string(hide_password=False)
        place = Path(tempfile.mkdtemp(dir=folder))
        found = _loaded(blocks, settings.seed, url, place, settings)
    kept = {key: found[key] for key in ("p95_ms", "p50_ms", "rss_mb", "load_seconds")}
    return {**kept, "publish_ms_median": median(found["publish_ms"])}


def _loaded(blocks: int, seed: int, url: str, place: Path, settings: Settings) -> dict[str, Any]:
    """A registry of so many blocks, measured in a process of its own."""
    progress(f"{blocks:,} blocks in {url.partition(':')[0]}")
    began = time.perf_counter()
    _apart(_load, blocks, seed, url)
    seconds = time.perf_counter() - began
    return {**_apart(_ask, blocks, seed, url, place, settings), "load_seconds": seconds}


def _load(blocks: int, seed: int, url: str) -> None:
    load(Plan(blocks, seed), url, NOW)


def _ask(blocks: int, seed: int, url: str, place: Path, settings: Settings) -> dict[str, Any]:
    return measured(Plan(blocks, seed), url, place, settings)


def _apart(work: Callable[..., T], *arguments: Any) -> T:
    """What a function gives in a fresh process, whose memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


@contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    """The folder to work in: one that stays, or a temporary one."""
    if keep is not None:
        Path(keep).mkdir(parents=True, exist_ok=True)
        yield Path(keep)
        return
    with tempfile.TemporaryDirectory(prefix="metaloom-scale-") as name:
        yield Path(name)


if __name__ == "__main__":
    run("registry_scale", measure, numbers=NUMBERS, texts=TEXTS)
