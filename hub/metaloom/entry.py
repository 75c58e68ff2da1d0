"""The console script: the command line, from before it is loaded to its exit code."""

from __future__ import annotations

import sys
from importlib import import_module

INTERRUPTED = 130


def main() -> None:
    """Run `metaloom`; an interrupt while it is being loaded ends it without a traceback."""
    try:
        import_module("metaloom.cli").main()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; nothing half-done was kept\n")
        raise SystemExit(INTERRUPTED) from None
