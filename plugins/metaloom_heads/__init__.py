"""A plugin of Metaloom: classification heads and other learning primitives."""

from typing import TYPE_CHECKING

from metaloom_registry import lazy_names

if TYPE_CHECKING:
    from metaloom_heads.attention import matching as matching
    from metaloom_heads.cosine_similarity import cosine as cosine
    from metaloom_heads.declarations import PRIMITIVES as PRIMITIVES
    from metaloom_heads.embedding import embed as embed
    from metaloom_heads.episodic import matchingnet as matchingnet
    from metaloom_heads.episodic import metaoptnet as metaoptnet
    from metaloom_heads.episodic import protonet as protonet
    from metaloom_heads.episodic import r2d2 as r2d2
    from metaloom_heads.neighbour import nearest as nearest
    from metaloom_heads.prototype import prototypes as prototypes
    from metaloom_heads.ridge_regression import ridge as ridge
    from metaloom_heads.settings import ridge_of_strength as ridge_of_strength
    from metaloom_heads.settings import softmax_regression as softmax_regression
    from metaloom_heads.support_vectors import svm as svm
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "attention": ("matching",),
            "cosine_similarity": ("cosine",),
            "declarations": ("PRIMITIVES",),
            "embedding": ("embed",),
            "episodic": ("matchingnet", "metaoptnet", "protonet", "r2d2"),
            "neighbour": ("nearest",),
            "prototype": ("prototypes",),
            "ridge_regression": ("ridge",),
            "settings": ("ridge_of_strength", "softmax_regression"),
            "support_vectors": ("svm",),
        },
    )
