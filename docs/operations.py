"""Writes the table of operations in block-format.md anew.

python docs/operations.py
"""

from __future__ import annotations

from pathlib import Path

from metaloom_registry.graph.reference import with_operations

PAGE = Path(__file__).parent / "block-format.md"

if __name__ == "__main__":
    PAGE.write_text(with_operations(PAGE.read_text("utf-8")), "utf-8")
