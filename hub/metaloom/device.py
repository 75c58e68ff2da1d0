"""Where tensors are: the device a user asked for, or the best there is."""

from __future__ import annotations

import torch

from metaloom_registry import NotFound, ParseError


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
