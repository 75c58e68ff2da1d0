"""The hub: publish blocks, compose models, and solve few-shot tasks with them.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from metaloom.blocks import Block as Block
    from metaloom.blocks import Composition as Composition
    from metaloom.evaluation import evaluate as evaluate
    from metaloom.family import Family as Family
    from metaloom.finding import Filters as Filters
    from metaloom.finding import Found as Found
    from metaloom.hub import Hub as Hub
    from metaloom.keyring import Keyring as Keyring
    from metaloom.publishing import StoredGraph as StoredGraph
    from metaloom.task_files import read_questions as read_questions
    from metaloom.task_files import read_task as read_task
    from metaloom.training import meta_train as meta_train
    from metaloom.verification import Verification as Verification
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "blocks": ("Block", "Composition"),
            "evaluation": ("evaluate",),
            "family": ("Family",),
            "finding": ("Filters", "Found"),
            "hub": ("Hub",),
            "keyring": ("Keyring",),
            "publishing": ("StoredGraph",),
            "task_files": ("read_questions", "read_task"),
            "training": ("meta_train",),
            "verification": ("Verification",),
        },
    )
