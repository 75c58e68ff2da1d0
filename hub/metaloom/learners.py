"""The learners, by their everyday names: `from metaloom.learners import maml`."""

from metaloom_metalearn import (
    Adapted,
    Learner,
    fine_tune,
    first_order,
    fresh_head,
    maml,
    second_order,
)

__all__ = [
    "Adapted",
    "Learner",
    "fine_tune",
    "first_order",
    "fresh_head",
    "maml",
    "second_order",
]
