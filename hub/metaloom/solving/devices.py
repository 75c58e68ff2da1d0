"""Where tensors are: the device a user asked for, or the best there is, and moving there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from metaloom_metalearn import BatchedValue, Solution, moved
from metaloom_registry import Digest, Entry, Library, Loaded, NotFound, ParseError, Type


def choose_device(wanted: str | torch.device | None = None) -> torch.device:
    """The device `wanted`; where None, CUDA if there is one and else the CPU.

    Raises ParseError where it is no device's name, NotFound where this machine has no such device.
    """
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except (RuntimeError, TypeError):
        raise ParseError(f"{wanted!r} is not a device; give cpu, cuda or cuda:1") from None
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise ParseError(f"the device {wanted} is not supported; give cpu, cuda or cuda:1")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= count:
        there = f"CUDA sees {count}" if count else "PyTorch sees no CUDA device here"
        raise NotFound(f"there is no device {wanted}: {there}; give --device cpu, or leave it out")
    return device


class Elsewhere(nn.Module):
    """A block that computes on a device, for callers whose values are on the CPU."""

    def __init__(self, block: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.block = block.to(device)
        self.device = device

    def forward(self, *inputs: BatchedValue) -> BatchedValue:
        outputs = self.block(*(moved(value, self.device) for value in inputs))
        return moved(outputs, torch.device("cpu"))


@dataclass(frozen=True)
class OnDevice:
    """A library whose trained blocks compute on a device; values stay on the CPU."""

    inner: Library
    device: torch.device

    def candidates(self, want: Type, given: tuple[Type, ...], limit: int) -> Sequence[Entry]:
        return self.inner.candidates(want, given, limit)

    def load(self, digest: Digest) -> Loaded:
        loaded = self.inner.load(digest)
        if not isinstance(loaded, nn.Module):
            return loaded
        return Elsewhere(copy.deepcopy(loaded), self.device).train(loaded.training)


def at_home(solution: Solution, library: Library) -> Solution:
    """The solution over the library itself, with its parts on the CPU."""
    parts = {
        reference: replace(part, module=_unwrapped(part.module))
        for reference, part in solution.parts.items()
    }
    return replace(solution, library=library, parts=parts)


def _unwrapped(module: nn.Module) -> nn.Module:
    """A copy on the CPU with the blocks themselves in place of `Elsewhere`."""
    module = copy.deepcopy(module).cpu()
    if isinstance(module, Elsewhere):
        return module.block
    for above in list(module.modules()):
        for name, child in list(above.named_children()):
            if isinstance(child, Elsewhere):
                setattr(above, name, child.block)
    return module
