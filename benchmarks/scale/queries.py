"""What `registry_scale` asks of a registry, and how long each answer takes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from sqlalchemy import make_url
from torch import nn

from benchmarks.scale.blocks import COMMON, VOCABULARY, Plan
from metaloom.publishing import Details, graph_draft
from metaloom_registry import (
    CatalogueLibrary,
    Draft,
    PrimitiveTable,
    Reference,
    Registry,
    parse_type,
)
from metaloom_registry.catalogue import Database
from metaloom_registry.storage import FolderBlobs

SIGNATURE = "image[1,28,28] -> vec[64]"
WARM = 3
"""Queries of each kind that are asked before any is timed."""


@dataclass(frozen=True)
class Settings:
    """How many queries of each kind, how many publishes, and the seed of what is asked."""

    queries: int
    publishes: int
    seed: int


def measured(plan: Plan, url: str, folder: Path, settings: Settings) -> dict[str, Any]:
    """Milliseconds of each kind of query at the 50th and 95th percentile, publishing, and memory.

    `p95_ms` and `p50_ms` by kind; `publish_ms` of each publish, `load_ms` of each first load;
    `rss_mb` is the most this process ever held.
    """
    torch.set_num_threads(1)
    registry = Registry(
        FolderBlobs(folder / "blobs"),
        Database(make_url(url)),
        neighbours=folder / f"neighbours-{make_url(url).get_backend_name()}.bin",
    )
    asked = dict(_queries(registry, plan, settings))
    times: dict[str, list[float]] = {}
    for kind, queries in asked.items():
        for query in queries[:WARM]:
            query()
        times[kind] = [_milliseconds(query) for query in queries[WARM:]]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    drafts = [_draft(registry, settings.seed + number) for number in range(settings.publishes)]
    named = f"bench/net-{time.time_ns()}"
    published = [
        _milliseconds(partial(_publish, registry, f"{named}-{number}", draft))
        for number, (draft, _) in enumerate(drafts)
    ]
    library = CatalogueLibrary(registry, PrimitiveTable([]))
    loads = [_milliseconds(partial(library.load, draft.manifest.digest)) for draft, _ in drafts]
    registry.close()
    return {
        "p95_ms": {kind: float(np.percentile(ms, 95)) for kind, ms in times.items()},
        "p50_ms": {kind: median(ms) for kind, ms in times.items()},
        "publish_ms": published,
        "convert_ms": [converted for _, converted in drafts],
        "load_ms": loads,
        "rss_mb": before,
    }


def _milliseconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _publish(registry: Registry, name: str, draft: Draft) -> None:
    registry.publish(name, draft.manifest, draft.files, exported=True)


def network(seed: int) -> nn.Module:
    """A convolutional network of 0.99 MB."""
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(128, 128, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        *(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 64)),
    )


def _draft(registry: Registry, seed: int) -> tuple[Draft, float]:
    """A block of a network, as a hub drafts it, and how many milliseconds its conversion took."""
    module, conversions = network(seed), registry.admission.conversions
    began = time.perf_counter()
    draft = graph_draft(module, parse_type(SIGNATURE), Details(), conversions)
    return draft, (time.perf_counter() - began) * 1000


Queries = list[Callable[[], object]]


def _queries(registry: Registry, plan: Plan, settings: Settings) -> Iterator[tuple[str, Queries]]:
    """The queries of each kind, each of its own kind all different where there are enough."""
    rng = np.random.default_rng([settings.seed, 1])
    count = settings.queries + WARM
    find = registry.finder.search

    def some(number: int = count) -> list[int]:
        return [int(i) for i in rng.integers(0, plan.blocks, number)]

    def name(block: int) -> Reference:
        return Reference.parse(plan.name_of(int(plan.name[block])))

    def type_of(block: int) -> str:
        listed = plan.graph_types if plan.graph[block] else plan.program_types
        return listed[int(plan.type[block])]

    yield "exact", _each(some(), lambda block: registry.resolve(name(block)))
    digests = [registry.resolve(name(block)).digest for block in some()]
    yield "digest", _each(digests, lambda digest: registry.resolve(Reference(None, digest)))
    wholes = [parse_type(type_of(block)) for block in some()]
    yield "type", _each(wholes, lambda whole: find(type=whole))
    rare = [plan.words[int(word)] for word in rng.integers(VOCABULARY // 10, VOCABULARY, count)]
    yield "text_rare", _each(rare, find)
    common = [*COMMON, *plan.words[len(COMMON) : 40]]
    pairs = [" ".join(rng.choice(common, 2, replace=False)) for _ in range(count)]
    yield "text_common", _each([*common, *pairs][:count], find)
    yield "fits_after", _each(map(name, some()), lambda left: find(after=left))
    firsts, seconds = map(name, some()), map(name, some())
    yield (
        "fits_between",
        _each(zip(firsts, seconds, strict=True), lambda both: find(after=both[0], before=both[1])),
    )
    patterns = [
        (f"image[{c},h,w]" if c else "image[c,h,w]", f"vec[{n}]" if n else "vec[n]")
        for c in (0, 1, 3)
        for n in (0, 64, 128, 256, 512)
    ]
    yield (
        "pattern",
        _each(
            (patterns * count)[:count],
            lambda ends: find(takes=parse_type(ends[0]), gives=parse_type(ends[1])),
        ),
    )
    tagged = [(f"tag-{tag}", kind) for tag in range(count) for kind in ("graph", "program")]
    yield "tag", _each(tagged[:count], lambda both: find(tags=(both[0],), kind=both[1]))
    mixed = [(word, type_of(block)) for word, block in zip(common * count, some(), strict=False)]
    yield (
        "combined",
        _each(mixed[:count], lambda both: find(both[0], kind="program", type=parse_type(both[1]))),
    )
    graphs = [block for block in some(count * 8) if plan.graph[plan.last[plan.name[block]]]]
    yield "behaviour", _each(map(name, graphs[:count]), lambda block: find(like=block))
    yield (
        "lineage",
        _each(
            zip(digests, ("parents", "children") * count, strict=False),
            lambda both: registry.lineage(*both),
        ),
    )
    most = [int(block) for block in np.argsort(-plan.uses)[: min(count, plan.blocks)]]
    users = [registry.resolve(name(block)).digest for block in most]
    yield "lineage_of_hubs", _each(users, lambda digest: registry.lineage(digest, "children"))
    library = CatalogueLibrary(registry, PrimitiveTable([]))
    yield (
        "candidates",
        _each(wholes, lambda whole: library.candidates(whole, (parse_type("list[int]"),), 200)),
    )


def _each(values: Iterable[Any], ask: Callable[[Any], object]) -> Queries:
    return [partial(ask, value) for value in values]
