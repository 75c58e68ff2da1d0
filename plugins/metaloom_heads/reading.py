"""Reading logits and labels: the likeliest class, the probabilities, the label as a number."""

from __future__ import annotations

from torch import Tensor

from metaloom_metalearn import SoftInt, SoftLabel


def argmax(logits: Tensor) -> Tensor:
    """[rows, k] -> int64 [rows]: the likeliest class, the first of equals."""
    return logits.argmax(-1)


def soft_argmax(logits: Tensor) -> SoftLabel:
    """[rows, k] -> labels that are distributions, softmax of the logits."""
    return SoftLabel(logits)


def softmax(logits: Tensor) -> Tensor:
    """[rows, k] -> [rows, k]: the probability of each class."""
    return logits.softmax(-1)


def value(label: Tensor) -> Tensor:
    """int64 [rows]: the label as an integer."""
    return label


def soft_value(label: Tensor | SoftLabel) -> Tensor | SoftInt:
    """A soft label as a soft integer from 0; a certain label as a certain integer."""
    return SoftInt(label.probabilities()) if isinstance(label, SoftLabel) else label
