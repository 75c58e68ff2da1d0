"""`python -m benchmarks.meta_step`: one meta-step of second-order MAML beside other engines.

All run in one process, in turns, on the same model and tasks; figures are medians, and ratios are
the peer's time over ours.  The first call of each, which may compile, is left out and printed.
Before it is timed, an engine's gradient is compared in float64 with that of plain autograd: one
that is wrong is not timed.  Peak memory is that of a process that computes nothing else.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import Any

import torch

from benchmarks.contract import ROOT, Metrics, Options, progress, run
from benchmarks.meta_step_peers import PEERS, Step, installed
from benchmarks.meta_step_problems import Problem, disagreement, flops, problem, reference

EXACT = 1e-6
"""The largest difference from plain autograd, in float64, beside the size of the gradient."""

WORK = (("conv4", 1), ("conv4", 5), ("pool", 1), ("sinusoid", 5))
QUICK = (("conv4", 1), ("sinusoid", 5))
CHUNKED = ("conv4", 5)
"""Where our engine is timed in its smallest chunks too, and memory is measured."""


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
        given = problem(name, steps, options.seed, 4 if options.quick and name == "conv4" else None)
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
        medians = _medians(ready, options.quick)
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
    if not options.quick:
        compared = [peer for peer in names if peer.startswith("metaloom") or peer == "learn2learn"]
        memory = {peer: _memory(peer, options.seed) for peer in compared}
        metrics["memory_mb"] = memory
        if "learn2learn" in memory:
            theirs = memory["learn2learn"]
            metrics["memory_ratio_learn2learn"] = memory["metaloom_chunked"] / theirs
            metrics["memory_ratio_learn2learn_default"] = memory["metaloom"] / theirs
            metrics["speed_in_chunks_learn2learn"] = (
                milliseconds["conv4_5_learn2learn"] / milliseconds["conv4_5_metaloom_chunked"]
            )
        progress(f"peak memory, MB: {memory}")
    return metrics


def _error(peer: str, given: Problem) -> float:
    few = given.doubled(3)
    wanted = reference(few)
    return disagreement(PEERS[peer](few)(), wanted)


def _medians(ready: dict[str, Step], quick: bool) -> dict[str, float]:
    """Seconds of a step: each engine in turn, again and again; short steps in runs of several."""
    seconds: dict[str, list[float]] = {peer: [] for peer in ready}
    runs = {}
    for peer, step in ready.items():
        start = time.perf_counter()
        step()
        runs[peer] = max(1, min(50, round(0.1 / (time.perf_counter() - start))))
    for _ in range(3 if quick else 9):
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


def _memory(peer: str, seed: int) -> float:
    """Peak memory of meta-steps, MB."""
    name, steps = CHUNKED
    work = [peer, name, str(steps), str(seed)]
    command = [sys.executable, "-m", "benchmarks.meta_step_memory", *work]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


SETTINGS = {"torch": torch.__version__, "threads": torch.get_num_threads()}

if __name__ == "__main__":
    run("meta_step", measure, settings=SETTINGS)
