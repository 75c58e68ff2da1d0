"""The documentation of the block format says what the table of operations says."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaloom_registry.graph.ops import TABLE
from metaloom_registry.graph.reference import operations, with_operations

PAGE = Path(__file__).parents[2] / "docs" / "block-format.md"


def test_the_documented_operations_are_those_of_the_table():
    text = PAGE.read_text("utf-8")
    assert text == with_operations(text), "run: python docs/operations.py"


def test_every_operation_is_there():
    section = operations()
    assert all(f"`{key}`" in section for key in TABLE)


def test_a_document_without_its_marks_is_an_error():
    with pytest.raises(ValueError, match="lacks the marks"):
        with_operations("# Nothing")
