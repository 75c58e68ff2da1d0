"""A plugin of Metaloom: vectors joined, as modular meta-learning joins its modules."""

from typing import TYPE_CHECKING

from metaloom_registry import lazy_names

if TYPE_CHECKING:
    from metaloom_vectors.declarations import PRIMITIVES as PRIMITIVES
    from metaloom_vectors.joining import add as add
    from metaloom_vectors.joining import gate as gate
    from metaloom_vectors.joining import mix as mix
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "declarations": ("PRIMITIVES",),
            "joining": ("add", "gate", "mix"),
        },
    )
