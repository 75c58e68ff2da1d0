"""What must be known of `torch.func` transforms: whether one runs, and how deep a tensor is in."""

from __future__ import annotations

from types import NoneType

import torch
from torch import Tensor


def transforming() -> bool:
    """Whether a `torch.func` transform (grad, vmap, jvp) is running."""
    stack = torch._C._functorch.peek_interpreter_stack()
    return not isinstance(stack, NoneType)  # torch.compile traces this, and not `is not None`


def reaches(value: Tensor, target: Tensor) -> bool:
    """Whether a value may be written into a tensor: it is in no transform that the tensor is not.

    A gradient's level reaches into those below it, a batch's only into itself.  While
    `torch.compile` traces a transform this cannot be known, and the answer is no.
    """
    if torch.compiler.is_compiling():
        return False
    depth, batches = _levels(value)
    depth_of_target, batches_of_target = _levels(target)
    return depth <= depth_of_target and batches <= batches_of_target


def _levels(tensor: Tensor) -> tuple[int, set[int]]:
    """The deepest transform a tensor is in, and those of them that are batches."""
    depth, batches = 0, set[int]()
    while torch._C._functorch.is_functorch_wrapped_tensor(tensor):
        level = torch._C._functorch.maybe_get_level(tensor)
        if level is not None:
            depth = max(depth, level)
            if torch._C._functorch.is_batchedtensor(tensor):
                batches.add(level)
        tensor = torch._C._functorch.get_unwrapped(tensor)
    return depth, batches
