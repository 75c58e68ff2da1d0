"""A library of the primitives on text and lists, and tasks by example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from metaloom_lists import PRIMITIVES as ON_LISTS
from metaloom_metalearn import Examples, Task
from metaloom_registry import MemoryLibrary, parse_type
from metaloom_text import PRIMITIVES as ON_TEXT


@pytest.fixture(scope="session")
def words() -> MemoryLibrary:
    return MemoryLibrary.of([*ON_TEXT, *ON_LISTS])


def by_example(type_: str, *examples: Sequence[Any]) -> Task:
    """A task whose examples are rows: the inputs, and the output last."""
    *inputs, outputs = zip(*examples, strict=True)
    return Task(parse_type(type_), Examples(tuple(inputs), outputs), name="task")
