"""The hub: publish blocks, compose models, and solve few-shot tasks with them.

Public names are listed here once, by the module that defines them, and imported on first use.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    pass
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__, {})
