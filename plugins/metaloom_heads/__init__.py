"""A plugin of Metaloom: classification heads and other learning primitives."""

from typing import TYPE_CHECKING

from metaloom_registry import lazy_names

if TYPE_CHECKING:
    from metaloom_heads.declarations import PRIMITIVES as PRIMITIVES
    from metaloom_heads.embedding import embed as embed
    from metaloom_heads.neighbour import nearest as nearest
    from metaloom_heads.prototype import prototypes as prototypes
    from metaloom_heads.ridge_regression import ridge as ridge
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "declarations": ("PRIMITIVES",),
            "embedding": ("embed",),
            "neighbour": ("nearest",),
            "prototype": ("prototypes",),
            "ridge_regression": ("ridge",),
        },
    )
