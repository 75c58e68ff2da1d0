"""Writes the table of attacks in security-model.md anew.

python docs/attacks.py
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "security-model.md"


def table() -> ModuleType:
    """The module `table` of the tests, which are no package that is installed."""
    package = ModuleType("attacks")
    package.__path__ = [str(ROOT / "tests" / "attacks")]
    sys.modules["attacks"] = package
    return import_module("attacks.table")


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(table().with_attacks(text), encoding="utf-8")
