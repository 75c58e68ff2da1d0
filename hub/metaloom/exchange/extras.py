"""An optional package, imported where it is chosen; its absence says which extra brings it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from metaloom_registry import MissingExtra


def optional(package: str, extra: str, purpose: str) -> Any:
    """The package. Raises MissingExtra, naming the purpose and the extra to install."""
    try:
        return import_module(package)
    except ImportError as error:
        missing = error.name or package
        raise MissingExtra(
            f"{purpose} needs {missing}, which is not installed; "
            f"run `pip install 'metaloom[{extra}]'`"
        ) from error
