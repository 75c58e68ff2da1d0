"""learn2learn and Metaloom: its meta-learned models become blocks.

`learn2learn()` gives the package itself, without what it imports and these parts never use.
"""

from typing import TYPE_CHECKING

from metaloom_registry import lazy_names

if TYPE_CHECKING:
    from metaloom_learn2learn.loading import learn2learn as learn2learn
    from metaloom_learn2learn.wrappers import IMPORTER as IMPORTER
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "loading": ("learn2learn",),
            "wrappers": ("IMPORTER",),
        },
    )
