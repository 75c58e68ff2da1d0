"""`python -m benchmarks.steps.memory PEER PROBLEM STEPS SEED TASKS`: peak memory, MB.

That of some meta-steps; TASKS may be "" for the usual ones.  A process of its own for each, because
a peak never goes down.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.steps.peers import PEERS
from benchmarks.steps.problems import problem


def peak() -> float:
    """The most memory this process has held so far, in MB (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    peer, name, steps, seed, tasks = sys.argv[1:]
    step = PEERS[peer](problem(name, int(steps), int(seed), int(tasks) if tasks else None))
    for _ in range(3):
        step()
    sys.stdout.write(f"{peak()}\n")
