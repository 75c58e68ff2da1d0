"""What makes the files of a block a block of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from metaloom_registry.errors import Refused
from metaloom_registry.manifest import TERM_FILE, Manifest

Validator: TypeAlias = Callable[[Manifest, Mapping[str, bytes]], None]
"""Raises Refused where the files, given by path, are not what the manifest says."""


def validate_block(manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Check the files of a block by its kind. Raises Refused, ParseError or TypeMismatch."""
    if manifest.kind == "program" and TERM_FILE not in files:
        raise Refused(f"a program keeps its term in {TERM_FILE}, which is missing")
