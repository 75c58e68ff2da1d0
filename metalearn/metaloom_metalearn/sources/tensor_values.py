"""A tensor from nested lists of numbers, checked against its type; it alone loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from metaloom_registry import InvalidTask, Tensor

SHOWN = 80


def stacked(items: Sequence[torch.Tensor]) -> torch.Tensor:
    """Items of one shape as a batch."""
    return torch.stack(list(items))


def tensor_of(value: Any, type_: Tensor, where: str) -> torch.Tensor:
    """The value as a tensor of a type. Raises InvalidTask, naming the place, where it is none."""
    if type_.kind == "label":
        classes = type_.dimensions[0]
        if type(value) is not int or value < 0 or (isinstance(classes, int) and value >= classes):
            raise InvalidTask(f"{where} has {repr(value)[:SHOWN]} where {type_} is wanted: from 0")
        return torch.tensor(value, dtype=torch.int64)
    try:
        found = torch.tensor(value, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InvalidTask(
            f"{where} has {repr(value)[:SHOWN]} where {type_} is wanted: numbers in nested lists, "
            "of one length at each level"
        ) from None
    wanted = type_.dimensions
    if found.dim() != len(wanted) or any(
        isinstance(w, int) and w != f for w, f in zip(wanted, found.shape, strict=True)
    ):
        raise InvalidTask(
            f"{where} has a value of shape {list(found.shape)} where {type_} is wanted"
        )
    if not torch.isfinite(found).all():
        raise InvalidTask(f"{where} has NaN or infinity in its {type_}; remove or mend it")
    if type_.kind == "image" and (float(found.min()) < 0 or float(found.max()) > 1):
        raise InvalidTask(
            f"{where} has pixels from {float(found.min()):g} to {float(found.max()):g}; "
            "an image lies in [0, 1], ink high: divide by 255"
        )
    return found
