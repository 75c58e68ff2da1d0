"""learn2learn and Metaloom: its models become blocks, its loops learners, its tasksets sources.

`learn2learn()` gives the package itself, without what it imports and these parts never use.
"""

from typing import TYPE_CHECKING

from metaloom_registry import lazy_names

if TYPE_CHECKING:
    from metaloom_learn2learn.loading import learn2learn as learn2learn
    from metaloom_learn2learn.loop import learn2learn_loop as learn2learn_loop
    from metaloom_learn2learn.tasksets import taskset_source as taskset_source
    from metaloom_learn2learn.wrappers import IMPORTER as IMPORTER
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "loading": ("learn2learn",),
            "loop": ("learn2learn_loop",),
            "tasksets": ("taskset_source",),
            "wrappers": ("IMPORTER",),
        },
    )
