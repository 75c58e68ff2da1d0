"""The contract of every benchmark: its command line, and one JSON object as its last line.

    python -m benchmarks.<name> [--data DIR] [--train-data DIR] [--seed N] [--quick] --json

The last line of standard output is `{"name", "metrics", "config"}`.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Metrics: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What a benchmark is asked to do.

    data, train_data: folders in place of the benchmark's own data.  quick: a small version that
    takes seconds, for continuous integration.
    """

    data: Path | None = None
    train_data: Path | None = None
    seed: int = 0
    quick: bool = False


def run(
    name: str,
    measure: Callable[[Options], Metrics],
    argv: Sequence[str] | None = None,
) -> None:
    """Read the command line, measure, and print the metrics: as text, or as JSON."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--data", type=Path, help="a folder of data to measure on")
    parser.add_argument("--train-data", type=Path, help="a folder of data to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small version, in seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    given = parser.parse_args(argv)
    options = Options(given.data, given.train_data, given.seed, given.quick)
    metrics = measure(options)
    if given.json:
        line = {"name": name, "metrics": metrics, "config": _config(options)}
        sys.stdout.write(json.dumps(line, sort_keys=True) + "\n")
    else:
        for key, value in metrics.items():
            sys.stdout.write(f"{key}: {value}\n")
    sys.stdout.flush()


def _config(options: Options) -> dict[str, Any]:
    return {
        "data": None if options.data is None else str(options.data),
        "train_data": None if options.train_data is None else str(options.train_data),
        "seed": options.seed,
        "quick": options.quick,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
