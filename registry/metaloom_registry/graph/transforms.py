"""What must be known of `torch.func` transforms: whether one runs, and how deep a tensor is in."""

from __future__ import annotations

import torch
from torch import Tensor


def transforming() -> bool:
    """Whether a `torch.func` transform (grad, vmap, jvp) is running."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def level(tensor: Tensor) -> int:
    """How many transforms deep a tensor was made; 0 outside of all."""
    found = torch._C._functorch.maybe_get_level(tensor)
    return 0 if found is None else max(found, 0)
