"""The console script: the command line, from before it is loaded to its exit code."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

REFUSED = 1
INTERRUPTED = 130


def main() -> None:
    """Run `metaloom`; neither an interrupt while it is being loaded nor a broken installation
    ends in a traceback.  Being told to end is an interrupt; being told twice ends it at once.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        import_module("metaloom.cli").main()
    except ImportError as error:
        if os.environ.get("METALOOM_TRACEBACK", "0") != "0":
            raise
        sys.stderr.write(
            f"error: Metaloom cannot be loaded: {error}; install it again with "
            "`pip install --force-reinstall metaloom`, or set METALOOM_TRACEBACK=1 to see where\n"
        )
        raise SystemExit(REFUSED) from None
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; nothing half-done was kept\n")
        raise SystemExit(INTERRUPTED) from None


def _interrupt(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt
