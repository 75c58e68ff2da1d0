"""Embedding: the inputs of a support seen through a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from metaloom_metalearn import Support, same_for_all


def embed(function: Callable[[Any], Any], support: Support) -> Support:
    """The same examples with `function` applied to their inputs, all at once."""
    return Support(same_for_all(function)(support.x), support.y, support.classes)
