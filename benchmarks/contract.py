"""The contract of every benchmark: its command line, and one JSON object as its last line.

    python -m benchmarks.<name> [--data DIR] [--train-data DIR] [--seed N] [--quick] --json

Progress goes to standard error.  The last line of standard output is `{"name", "metrics",
"config"}`.  `--save` keeps that object, with command, commit and machine, in benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from metaloom_registry.errors import NotFound

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
RESULTS = ROOT / "benchmarks" / "results"

Metrics: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What a benchmark is asked to do.

    data: the folder that is measured on.  train_data: the folder to train on, where it is another.
    quick: a small version that takes seconds, for continuous integration.
    numbers, fractions, texts: what a benchmark lets one choose besides, by name; None where it was
    not given.
    """

    data: Path = DATA
    train_data: Path | None = None
    seed: int = 0
    quick: bool = False
    numbers: Mapping[str, int | None] = field(default_factory=dict)
    fractions: Mapping[str, float | None] = field(default_factory=dict)
    texts: Mapping[str, str | None] = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """A file of the data; NotFound where it is not there."""
        return found(self.data, name)

    def train_file(self, name: str) -> Path:
        """A file of the training data, or of the data where no other is given."""
        return found(self.train_data or self.data, name)


def found(folder: Path, name: str) -> Path:
    """A file of a folder; NotFound where it is not there."""
    if not (folder / name).is_file():
        raise NotFound(f"{folder} has no {name}; give --data a folder that has it")
    return folder / name


def progress(text: str) -> None:
    """Say on standard error how far the work is."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(
    name: str,
    measure: Callable[[Options], Metrics],
    argv: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    numbers: Mapping[str, str] | None = None,
    fractions: Mapping[str, str] | None = None,
    texts: Mapping[str, str] | None = None,
) -> None:
    """Read the command line, measure, and print the metrics: as text, or as JSON.

    settings: what else was fixed, for the reader of `config`.
    numbers, fractions, texts: further options that take an integer, a number or a text, `--name`,
      each with its help; texts are not shown in the result.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--data", type=Path, default=DATA, help="a folder of data to measure on")
    parser.add_argument("--train-data", type=Path, help="a folder of data to train on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small version, in seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--save", action="store_true", help="keep the result in benchmarks/results")
    for option, meaning in (numbers or {}).items():
        parser.add_argument(f"--{option}", type=int, help=meaning)
    for option, meaning in (fractions or {}).items():
        parser.add_argument(f"--{option}", type=float, help=meaning)
    for option, meaning in (texts or {}).items():
        parser.add_argument(f"--{option}", help=meaning)
    given = parser.parse_args(argv)
    chosen = (
        {option: getattr(given, option) for option in of_kind or {}}
        for of_kind in (numbers, fractions, texts)
    )
    options = Options(given.data, given.train_data, given.seed, given.quick, *chosen)
    try:
        metrics = measure(options)
    except NotFound as error:
        parser.exit(2, f"{error}\n")
    line = {"name": name, "metrics": metrics, "config": _config(options) | dict(settings or {})}
    if given.save:
        _save(name, line, sys.argv[1:] if argv is None else argv)
    if given.json:
        sys.stdout.write(json.dumps(line, sort_keys=True) + "\n")
    else:
        for key, value in metrics.items():
            sys.stdout.write(f"{key}: {value}\n")
    sys.stdout.flush()


def _config(options: Options) -> dict[str, Any]:
    return {
        "data": options.data.name,
        "train_data": None if options.train_data is None else options.train_data.name,
        "seed": options.seed,
        "quick": options.quick,
        **options.numbers,
        **options.fractions,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def _save(name: str, line: Mapping[str, Any], arguments: Sequence[str]) -> None:
    """Write a result where results are kept; of the arguments, those that name no folder."""
    kept = [given for given in arguments if given != "--save" and os.sep not in given]
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    ).stdout.strip()
    record = {
        "command": " ".join((f"python -m benchmarks.{name}", *kept)),
        "commit": commit,
        **line,
    }
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(record, indent=2, sort_keys=True) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
