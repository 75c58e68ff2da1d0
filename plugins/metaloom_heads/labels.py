"""The support of a head: its shapes checked, and its labels as numbers to compute with."""

from __future__ import annotations

import torch
from torch import Tensor

from metaloom_metalearn import Support
from metaloom_registry import TypeMismatch


def labelled(head: str, support: Support, query: Tensor) -> tuple[Tensor, Tensor]:
    """The vectors of the support [..., s, n] and their labels as 0 and 1 [..., s, k].

    Works under vmap.  Raises TypeMismatch where support and query do not fit each other.
    """
    x, y = support.x, support.y
    if not isinstance(x, Tensor) or x.dim() < 2 or x.shape[-1] != query.shape[-1]:
        shape = list(x.shape) if isinstance(x, Tensor) else f"a {type(x).__name__}"
        raise TypeMismatch(
            f"{head} compares vectors of one length, but the support is {shape} and the query "
            f"{list(query.shape)}; embed both with one encoder"
        )
    if y.dtype != torch.int64 or y.shape != x.shape[:-1] or y.shape[-1] == 0:
        raise TypeMismatch(
            f"{head} has labels {str(y.dtype).removeprefix('torch.')}{list(y.shape)} for a support "
            f"{list(x.shape)}; wanted is one int64 label for each of at least one example"
        )
    if support.classes < 1:
        raise TypeMismatch(f"{head} needs the number of classes of its support, which is open")
    classes = torch.arange(support.classes, device=y.device)
    return x, (y[..., None] == classes).to(x.dtype)
