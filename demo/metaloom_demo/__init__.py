"""The demo: few-shot tasks on handwritten digits, solved with a small library."""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom_demo.first_light import run as run
else:
    __getattr__, __dir__, __all__ = lazy_names(__name__, {"first_light": ("run",)})
