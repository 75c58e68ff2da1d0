"""Encoders meta-trained for a head, by the names of their papers.

Each is a learner for `meta_train` over an encoder input -> vec[n].  Those that learn numbers of
their head train `learner.equip(encoder)`.
"""

from __future__ import annotations

from metaloom_heads.attention import matching
from metaloom_heads.cosine_similarity import SCALE as COSINE_SCALE
from metaloom_heads.prototype import prototypes
from metaloom_heads.ridge_regression import REGULARISATION, ridge
from metaloom_heads.ridge_regression import SCALE as RIDGE_SCALE
from metaloom_heads.support_vectors import SCALE as SVM_SCALE
from metaloom_heads.support_vectors import svm
from metaloom_metalearn import Metric, metric


def protonet(scale: float = 1.0) -> Metric:
    """Prototypical networks (Snell et al. 2017); `scale` is a temperature of training.

    Long vectors have large squared distances: a scale of one over their length begins calmly.
    """
    return metric(prototypes, scale)


def matchingnet(scale: float = COSINE_SCALE) -> Metric:
    """Matching networks without full context embeddings (Vinyals et al. 2016).

    The scale of the cosines is learned from `scale` on, where the paper has 1.
    """
    return metric(matching, learned={"scale": scale})


def r2d2(regularisation: float = REGULARISATION, scale: float = RIDGE_SCALE) -> Metric:
    """Ridge regression differentiated in closed form (Bertinetto et al. 2019, R2-D2).

    Lambda and scale are learned, from `regularisation` and `scale` on.
    """
    return metric(ridge, learned={"regularisation": regularisation, "scale": scale})


def metaoptnet(scale: float = SVM_SCALE) -> Metric:
    """A differentiable multi-class support vector machine (Lee et al. 2019, MetaOptNet-SVM).

    The scale is learned, from `scale` on (Lee et al. 2019, eq. 12).
    """
    return metric(svm, learned={"scale": scale})
