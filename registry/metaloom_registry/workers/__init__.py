"""Processes of their own in which what a stranger sent is tried, within limits.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.workers.limits import Limits as Limits
    from metaloom_registry.workers.pool import Pool as Pool
    from metaloom_registry.workers.verdict import VALIDATOR as VALIDATOR
    from metaloom_registry.workers.verdict import Trial as Trial
    from metaloom_registry.workers.verdict import Verdict as Verdict
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "limits": ("Limits",),
            "pool": ("Pool",),
            "verdict": ("VALIDATOR", "Trial", "Verdict"),
        },
    )
