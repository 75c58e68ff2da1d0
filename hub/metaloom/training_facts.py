"""What a published block says of how it was meta-trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from metaloom_registry import Json

if TYPE_CHECKING:
    from metaloom_metalearn import Trained

ROLE = "trained-from"
"""How a block is a parent of what was trained from its weights."""


def training_facts(trained: Trained) -> Mapping[str, Json]:
    """Seed, steps, seconds, why it ended, the digests of the data, and the best validation."""
    facts: dict[str, Json] = {
        "seed": trained.seed,
        "steps": len(trained.losses),
        "seconds": round(trained.seconds, 3),
        "ended": trained.ended,
        "data": [str(digest) for digest in trained.data],
    }
    best = None
    for one in trained.validated:
        best = one if one.better_than(best) else best
    if best is not None:
        facts[f"validation {best.measure}"] = best.score.mean
    return facts
