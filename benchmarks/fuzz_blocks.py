"""Valid blocks spoilt at random and tried as a stranger's are: nothing may crash or run over.

    python -m benchmarks.fuzz_blocks --n 20000 --json

n: how many spoilt blocks were tried.  crashes: the parent raised what is no MetaloomError, a worker
died, or our own code raised what it should not.  over_budget: a validation took more memory or
processor time than it may (500 MB, 2 s), or gave no answer.  accepted, refused: by our rules.
accepted_failed: by our rules it was sound, yet a pass raised an ordinary error of torch; such a
block is refused too.  ways, kinds: how the blocks were spoilt, and which.  examples: the first of
each kind of trouble, to be put into tests/attacks.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.blocks.kinds import KINDS, Kind
from benchmarks.blocks.mutations import Sample, spoilt_block, spoilt_json, sprouts
from benchmarks.contract import Metrics, Options, progress, run
from metaloom_registry import Manifest, MetaloomError, dump_canonical, parse_type, term_from_json
from metaloom_registry.canonical import load_strict
from metaloom_registry.errors import Refused
from metaloom_registry.graph import export_module
from metaloom_registry.workers import Pool, Trial, Verdict

MAX_SECONDS = 2.0
MAX_BYTES = 500 << 20
MAX_PARAMETERS = 100_000
QUICK_KINDS = ("linear", "batch_norm", "multihead_attention", "trees")
QUICK_N, FULL_N = 150, 20_000
MAX_EXAMPLES = 60
TEXT_SHARE = 0.1
"""The share of manifests and terms among what is tried; they are read in this process."""

TERM: Any = ["lam", ["lists/map@1", ["lam", ["lists/add@1", 3, "$0"]], "$0"]]


def measure(options: Options) -> Metrics:
    chance = random.Random(options.seed)
    n = options.numbers.get("n") or (QUICK_N if options.quick else FULL_N)
    samples = [*_exported(options), *sprouts(chance, 20 if options.quick else 200)]
    texts = [_manifest(samples[0]), dump_canonical(TERM)]
    progress(f"{len(samples)} blocks to spoil: {', '.join(sample.kind for sample in samples)}")
    tally = Tally()
    start = time.process_time()
    with Pool() as pool:
        pool.warm()
        for turn in range(n):
            if chance.random() < TEXT_SHARE:
                tally.count_text(spoilt_json(chance.choice(texts), chance))
                continue
            sample = chance.choice(samples)
            way, graph, weights = spoilt_block(sample, chance)
            verdict = pool.validate(Trial(graph, weights))
            tally.count(sample.kind, way, verdict, graph)
            if turn % 1000 == 999:
                progress(f"{turn + 1} of {n}: {dict(tally.outcomes)}")
    return {"n": n, **tally.metrics(), "seconds_here": round(time.process_time() - start, 1)}


class Tally:
    """What came of the blocks that were tried."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.ways: Counter[str] = Counter()
        self.kinds: set[str] = set()
        self.crashes = 0
        self.over_budget = 0
        self.slowest = 0.0
        self.most = 0
        self.examples: dict[str, Any] = {}

    def count(self, kind: str, way: str, verdict: Verdict, graph: bytes) -> None:
        """One spoilt block."""
        told: Any = verdict.measured
        seconds, grown = float(told.get("seconds", 0.0)), int(told.get("grown", 0))
        self.outcomes[verdict.outcome] += 1
        self.ways[way] += 1
        self.kinds.add(kind)
        self.slowest, self.most = max(self.slowest, seconds), max(self.most, grown)
        crashed = verdict.outcome in ("crashed", "broken")
        over = verdict.outcome in ("memory", "time", "silent")
        over |= seconds > MAX_SECONDS or grown > MAX_BYTES
        self.crashes += crashed
        self.over_budget += over
        if crashed or over or verdict.outcome == "failed":
            key = f"{verdict.outcome}: {verdict.reason[:160]}"
            if len(self.examples) < MAX_EXAMPLES and key not in self.examples:
                text = graph.decode(errors="replace")
                self.examples[key] = text
                progress(f"{kind}, {way}, {key}\n    {text[:3000]}")

    def count_text(self, data: bytes) -> None:
        """One spoilt manifest or term, read here: it may raise a MetaloomError and nothing else."""
        self.ways["text"] += 1
        readers = (Manifest.parse, lambda given: term_from_json(load_strict(given)))
        for read in readers:
            try:
                read(data)
                self.outcomes["accepted_text"] += 1
            except MetaloomError:
                self.outcomes["refused_text"] += 1
            except Exception as error:
                self.crashes += 1
                progress(f"{error!r}: {data[:1000]!r}")
                self.examples.setdefault(f"broken: {error!r:.100}", repr(data[:2000]))

    def metrics(self) -> dict[str, Any]:
        return {
            "crashes": self.crashes,
            "over_budget": self.over_budget,
            "accepted": self.outcomes["accepted"],
            "refused": self.outcomes["refused"],
            "accepted_failed": self.outcomes["failed"],
            "outcomes": dict(self.outcomes),
            "ways": dict(self.ways),
            "kinds": len(self.kinds),
            "slowest_seconds": round(self.slowest, 3),
            "grown_mb": round(self.most / (1 << 20), 1),
            "examples": self.examples,
        }


def _exported(options: Options) -> Iterator[Sample]:
    """The small ones of `benchmarks.blocks.kinds`, exported."""
    torch.manual_seed(options.seed)
    for kind in KINDS:
        if options.quick and kind.name not in QUICK_KINDS:
            continue
        module = kind.build()
        if sum(p.numel() for p in module.parameters()) > MAX_PARAMETERS:
            continue
        try:
            exported = _export(kind, module)
        except Refused as error:
            progress(f"{kind.name} is left out: {error}"[:200])
            continue
        yield Sample(kind.name, exported.graph, exported.weights)


def _export(kind: Kind, module: torch.nn.Module) -> Any:
    example = None if kind.example is None else kind.example()
    return export_module(module, kind.signature, example=example)


def _manifest(sample: Sample) -> bytes:
    files = {"graph.json": sample.graph, "weights.safetensors": sample.weights}
    signature = parse_type("vec[8] -> logits[4]")
    facts = {"flops": 100, "fingerprint": [0.5, 0.25]}
    return Manifest.of("graph", signature, files, licence="MIT", facts=facts).to_bytes()


if __name__ == "__main__":
    run("fuzz_blocks", measure, numbers={"n": f"how many blocks to try (default {FULL_N})"})
