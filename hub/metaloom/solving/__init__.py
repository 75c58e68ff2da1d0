"""Work on tasks: searched, adapted, recorded, and stored as blocks.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom.solving.adapting import adapted_solution as adapted_solution
    from metaloom.solving.adapting import recorded as recorded
    from metaloom.solving.applying import applied as applied
    from metaloom.solving.applying import tried as tried
    from metaloom.solving.devices import OnDevice as OnDevice
    from metaloom.solving.devices import at_home as at_home
    from metaloom.solving.devices import choose_device as choose_device
    from metaloom.solving.origins import Origin as Origin
    from metaloom.solving.origins import Origins as Origins
    from metaloom.solving.records import task_digest as task_digest
    from metaloom.solving.searching import recorded_solution as recorded_solution
    from metaloom.solving.searching import searched as searched
    from metaloom.solving.storing import solution_drafts as solution_drafts
    from metaloom.solving.storing import stored_solution as stored_solution
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "adapting": (
                "adapted_solution",
                "recorded",
            ),
            "applying": (
                "applied",
                "tried",
            ),
            "devices": (
                "OnDevice",
                "at_home",
                "choose_device",
            ),
            "origins": (
                "Origin",
                "Origins",
            ),
            "records": ("task_digest",),
            "searching": (
                "recorded_solution",
                "searched",
            ),
            "storing": (
                "solution_drafts",
                "stored_solution",
            ),
        },
    )
