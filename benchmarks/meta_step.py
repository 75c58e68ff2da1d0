"""`python -m benchmarks.meta_step`: one meta-step of second-order MAML beside other engines.

All run in one process, in turns, on the same model and tasks; figures are medians, and ratios are
the peer's time over ours.  The first call of each, which may compile, is left out and printed.
Before it is timed, an engine's gradient is compared in float64 with that of plain autograd: one
that is wrong is not timed.  Peak memory is that of a process that computes nothing else;
`memory_ratio_learn2learn` and `memory_speed_learn2learn` are of one setting, the default, on one
problem.  `shapes` are small meta-steps of many models beside learn2learn, and the way that our
engine chose; `worst_shape_learn2learn` is the smallest of their ratios.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

import torch
from torch import Tensor

from benchmarks.contract import ROOT, Metrics, Options, progress, run
from benchmarks.steps.peers import PEERS, Step, installed
from benchmarks.steps.problems import Problem, disagreement, flops, problem, reference
from benchmarks.steps.shapes import QUICK_SHAPES, SHAPES, shaped
from metaloom_metalearn import maml

EXACT = 1e-6
"""The largest difference from plain autograd, in float64, beside the size of the gradient."""

WORK = (("conv4", 1), ("conv4", 5), ("pool", 1), ("sinusoid", 5))
QUICK = (("conv4", 1), ("conv4", 5), ("sinusoid", 5))
CHUNKED = ("conv4", 5)
"""Where our engine is timed in its smallest chunks too, and memory is measured."""
ON_GPU = (("conv4", 1), ("conv4", 5))
FEW = 4
"""Tasks of conv4 where it shall be quick."""


def measure(options: Options) -> Metrics:
    """Time every engine that is installed on every problem."""
    names = ["metaloom", "learn2learn"] if options.quick else installed()
    ratio: dict[str, float] = {}
    milliseconds: dict[str, float] = {}
    first: dict[str, float] = {}
    exactness: dict[str, float] = {}
    peak = _peak()
    share: dict[str, float] = {}
    for name, steps in QUICK if options.quick else WORK:
        given = problem(name, steps, options.seed, _tasks(name, options))
        ready: dict[str, Step] = {}
        for peer in names:
            if (name, peer) == ("pool", "jax"):
                continue  # no form of the pooling network in JAX was looked for
            if peer == "metaloom_chunked" and (name, steps) != CHUNKED:
                continue
            key = f"{name}_{steps}_{peer}"
            exactness[key] = _error(peer, given)
            if exactness[key] > EXACT:
                progress(f"{key}: off by {exactness[key]:.1e} in float64; not timed")
                continue
            ready[peer] = PEERS[peer](given)
            start = time.perf_counter()
            ready[peer]()
            first[key] = time.perf_counter() - start
        medians = _medians(ready, 3 if options.quick else 9)
        for peer, seconds in medians.items():
            key = f"{name}_{steps}_{peer}"
            milliseconds[key] = 1000 * seconds
            if peer != "metaloom":
                ratio[key] = seconds / medians["metaloom"]
            progress(
                f"{key}: {1000 * seconds:.1f} ms, first call {first[key]:.1f} s"
                + (f", {ratio[key]:.2f} times ours" if key in ratio else "")
            )
        share[f"{name}_{steps}"] = flops(given) / medians["metaloom"] / peak
    metrics: dict[str, Any] = {
        "ratio": ratio,
        "ms": milliseconds,
        "first_call_seconds": first,
        "float64_error": exactness,
        "matmul_gflops": peak / 1e9,
        "share_of_matmul_peak": share,
    }
    metrics |= {**_memory_beside(names, milliseconds, options), **_shapes(options)}
    if torch.cuda.is_available():
        metrics["gpu"] = _on_device(torch.device("cuda"), options)
    return metrics


def _on_device(device: torch.device, options: Options) -> Metrics:
    """Milliseconds on a device, all its work finished, and learn2learn's time over ours."""
    ratio: dict[str, float] = {}
    milliseconds: dict[str, float] = {}
    for name, steps in ON_GPU:
        given = problem(name, steps, options.seed, _tasks(name, options)).to(device)
        peers = ("metaloom", "learn2learn")
        medians = _medians({peer: _waited(PEERS[peer](given), device) for peer in peers}, 9)
        milliseconds |= {f"{name}_{steps}_{peer}": 1000 * t for peer, t in medians.items()}
        ratio[f"{name}_{steps}_learn2learn"] = medians["learn2learn"] / medians["metaloom"]
    return {"ratio": ratio, "ms": milliseconds, "tf32": torch.backends.cuda.matmul.allow_tf32}


def _waited(step: Step, device: torch.device) -> Step:
    """A step that ends when the device has computed it."""

    def waited() -> list[Tensor]:
        found = step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return found

    return waited


def _tasks(name: str, options: Options) -> int | None:
    return FEW if options.quick and name == "conv4" else None


def _memory_beside(names: list[str], milliseconds: dict[str, float], options: Options) -> Metrics:
    """Peak memory of a problem beside learn2learn's, and our speed in the same settings."""
    name, steps = CHUNKED
    compared = [peer for peer in names if peer.startswith("metaloom") or peer == "learn2learn"]
    memory = {peer: _memory(peer, options) for peer in compared}
    metrics: dict[str, Any] = {"memory_mb": memory}
    theirs, time_of_theirs = memory.get("learn2learn"), milliseconds.get("conv4_5_learn2learn")
    if theirs is None or time_of_theirs is None:
        return metrics
    for peer, among in (("metaloom", ""), ("metaloom_chunked", "_in_chunks")):
        ours = milliseconds.get(f"{name}_{steps}_{peer}")
        if peer in memory and ours is not None:
            metrics[f"memory_ratio_learn2learn{among}"] = memory[peer] / theirs
            metrics[f"memory_speed_learn2learn{among}"] = time_of_theirs / ours
    progress(f"peak memory, MB: {memory}")
    return metrics


def _shapes(options: Options) -> Metrics:
    """learn2learn's time over ours for models of many shapes, and the way each was computed."""
    ratio: dict[str, float] = {}
    ways: dict[str, str] = {}
    for name in QUICK_SHAPES if options.quick else SHAPES:
        given = shaped(name, options.seed)
        error = _error("metaloom", given, len(given.episodes))
        if error > EXACT:
            progress(f"{name}: off by {error:.1e} in float64; not timed")
            continue
        learner = maml(given.steps, given.lr)
        ways[name] = learner.meta_gradient(given.model, given.episodes, torch.Generator()).way
        ready = {peer: PEERS[peer](given) for peer in ("metaloom", "learn2learn")}
        medians = _medians(ready, 3 if options.quick else 7)
        ratio[name] = medians["learn2learn"] / medians["metaloom"]
        progress(f"{name}: by {ways[name]}, learn2learn takes {ratio[name]:.2f} times ours")
    return {
        "shapes": ratio,
        "shape_ways": ways,
        "worst_shape_learn2learn": min(ratio.values(), default=0.0),
    }


def _error(peer: str, given: Problem, tasks: int = 3) -> float:
    few = given.doubled(tasks)
    wanted = reference(few)
    return disagreement(PEERS[peer](few)(), wanted)


def _medians(ready: dict[str, Step], repeats: int) -> dict[str, float]:
    """Seconds of a step: each engine in turn, again and again; short steps in runs of several."""
    seconds: dict[str, list[float]] = {peer: [] for peer in ready}
    runs = {}
    for peer, step in ready.items():
        start = time.perf_counter()
        step()
        runs[peer] = max(1, min(50, round(0.1 / (time.perf_counter() - start))))
    for _ in range(repeats):
        for peer, step in ready.items():
            start = time.perf_counter()
            for _ in range(runs[peer]):
                step()
            seconds[peer].append((time.perf_counter() - start) / runs[peer])
    return {peer: statistics.median(found) for peer, found in seconds.items()}


def _peak() -> float:
    """Floating point operations a second of a large matrix product in float32, the best of some."""
    one = torch.rand(1536, 1536)
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        torch.mm(one, one)
        best = min(best, time.perf_counter() - start)
    return float(2 * one.shape[0] ** 3 / best)


def _memory(peer: str, options: Options) -> float:
    """Peak memory of meta-steps, MB."""
    name, steps = CHUNKED
    work = [peer, name, str(steps), str(options.seed), str(_tasks(name, options) or "")]
    command = [sys.executable, "-m", "benchmarks.steps.memory", *work]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


SETTINGS = {"torch": torch.__version__, "threads": torch.get_num_threads()}

if __name__ == "__main__":
    run("meta_step", measure, settings=SETTINGS)
