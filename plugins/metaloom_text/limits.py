"""How long a text or a list may become."""

from __future__ import annotations

from metaloom_registry import EvaluationError

MAX_CHARACTERS = 100_000
MAX_ITEMS = 100_000


def characters(count: int) -> int:
    """The count itself. Raises EvaluationError where no text may be that long."""
    if count > MAX_CHARACTERS:
        raise EvaluationError(
            f"a text of {count} characters is longer than the {MAX_CHARACTERS} allowed"
        )
    return count


def items(count: int) -> int:
    """The count itself. Raises EvaluationError where no list may be that long."""
    if count > MAX_ITEMS:
        raise EvaluationError(f"a list of {count} items is longer than the {MAX_ITEMS} allowed")
    return count
