"""`python -m benchmarks.meta_step_memory PEER PROBLEM STEPS SEED`: peak memory of meta-steps, MB.

A process of its own for each, because a peak never goes down.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.meta_step_peers import PEERS
from benchmarks.meta_step_problems import problem


def peak() -> float:
    """The most memory this process has held so far, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    peer, name, steps, seed = sys.argv[1:]
    step = PEERS[peer](problem(name, int(steps), int(seed)))
    for _ in range(3):
        step()
    sys.stdout.write(f"{peak()}\n")
