"""Evaluation by its everyday names: `from metaloom.evaluation import evaluate, by_learner`."""

from metaloom_metalearn import (
    Answers,
    Condition,
    Interval,
    Performance,
    beyond_the_support,
    by_head,
    by_learner,
    compare,
    fgsm,
    noisy,
    pgd,
    rotated,
    shifted,
    with_head,
    with_learner,
)
from metaloom_metalearn.evaluation.performance import evaluate

__all__ = [
    "Answers",
    "Condition",
    "Interval",
    "Performance",
    "beyond_the_support",
    "by_head",
    "by_learner",
    "compare",
    "evaluate",
    "fgsm",
    "noisy",
    "pgd",
    "rotated",
    "shifted",
    "with_head",
    "with_learner",
]
