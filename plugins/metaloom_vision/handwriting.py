"""The real handwritten digits that scikit-learn brings along: 1,797 images of 8x8, ten classes.

From the UCI test set of Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998);
nothing is downloaded.
"""

from __future__ import annotations

import torch

from metaloom_metalearn import LabelledArrays
from metaloom_registry import MissingExtra

try:
    from sklearn.datasets import load_digits
except ImportError:
    load_digits = None

DATASET = "sklearn/digits"


def digits() -> LabelledArrays:
    """The digits as image[1,8,8] in [0, 1], ink high. Raises MissingExtra without scikit-learn."""
    if load_digits is None:
        raise MissingExtra(
            "the handwritten digits come with scikit-learn, which is not installed; "
            "install metaloom[demo]"
        )
    bunch = load_digits()
    images = torch.as_tensor(bunch.images, dtype=torch.float32)[:, None] / 16
    labels = torch.as_tensor(bunch.target, dtype=torch.int64)
    return LabelledArrays(images, labels, tuple(str(digit) for digit in range(10)), DATASET)
