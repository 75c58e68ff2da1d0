"""Tasks and learners; evaluates, compiles, searches and learns terms.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_metalearn.clock import Clock as Clock
    from metaloom_metalearn.clock import parse_budget as parse_budget
    from metaloom_metalearn.journal import Event as Event
    from metaloom_metalearn.journal import Journal as Journal
    from metaloom_metalearn.journal import MemoryJournal as MemoryJournal
    from metaloom_metalearn.journal import Silence as Silence
    from metaloom_metalearn.tasks import Examples as Examples
    from metaloom_metalearn.tasks import Task as Task
    from metaloom_metalearn.tasks import TaskSource as TaskSource
    from metaloom_metalearn.tasks import Values as Values
    from metaloom_metalearn.tasks import class_digest as class_digest
    from metaloom_metalearn.values import BatchedValue as BatchedValue
    from metaloom_metalearn.values import Ragged as Ragged
    from metaloom_metalearn.values import Rows as Rows
    from metaloom_metalearn.values import Support as Support
    from metaloom_metalearn.values import concatenate as concatenate
    from metaloom_metalearn.values import device_of as device_of
    from metaloom_metalearn.values import put as put
    from metaloom_metalearn.values import rows_of as rows_of
    from metaloom_metalearn.values import take as take
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "clock": (
                "Clock",
                "parse_budget",
            ),
            "journal": (
                "Event",
                "Journal",
                "MemoryJournal",
                "Silence",
            ),
            "tasks": (
                "Examples",
                "Task",
                "TaskSource",
                "Values",
                "class_digest",
            ),
            "values": (
                "BatchedValue",
                "Ragged",
                "Rows",
                "Support",
                "concatenate",
                "device_of",
                "put",
                "rows_of",
                "take",
            ),
        },
    )
