"""`python -m metaloom.lineage FOLDER`: send to MLflow what waits in a library, and end."""

from __future__ import annotations

import os
import sys

import metaloom
from metaloom.lineage.sender import CALM
from metaloom_registry import MetaloomError


def main(arguments: list[str]) -> int:
    """Flush one library's outbox; the exit code is 1 where messages are left."""
    os.environ.update({**CALM, **os.environ})
    try:
        with metaloom.Hub.open(arguments[0]) as hub:
            report = hub.sync()
    except MetaloomError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if report.problem:
        sys.stderr.write(f"{report.left} messages are left: {report.problem}\n")
    return 1 if report.left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
