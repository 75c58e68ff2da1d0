"""The list of all blocks: names, versions, types, text, ancestry, runs.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_registry.catalogue.registry import Registry as Registry
    from metaloom_registry.catalogue.versions import Page as Page
    from metaloom_registry.catalogue.versions import Version as Version
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "registry": ("Registry",),
            "versions": ("Page", "Version"),
        },
    )
