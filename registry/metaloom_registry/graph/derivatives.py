"""First and second gradients of a module's outputs, and a check of them by differences."""

from __future__ import annotations

from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from metaloom_registry.graph.copying import copied
from metaloom_registry.graph.examples import tensors_of


def first_gradients(module: nn.Module, inputs: tuple[Any, ...]) -> list[Tensor | None]:
    """The gradient of a fixed linear function of the float outputs, in parameters and inputs."""
    loss, into = _loss(module, inputs)
    if loss is None:
        return []
    return list(torch.autograd.grad(loss, into, allow_unused=True))


def second_gradients(module: nn.Module, inputs: tuple[Any, ...]) -> list[Tensor | None]:
    """The gradient of a fixed linear function of the first gradients.

    Raises ValueError where no output has a gradient.
    """
    slope, into = _slope(module, inputs)
    if slope is None:
        return [None for _ in into]
    return list(torch.autograd.grad(slope, into, allow_unused=True))


def agrees_with_differences(module: nn.Module, inputs: tuple[Any, ...], step: float = 1e-5) -> bool:
    """Whether the second gradient is what central differences of the first give, in float64.

    One direction is tried: fixed numbers for every parameter.
    """
    module = copied(module).double()
    module._apply(lambda x: x.to(torch.complex128) if x.is_complex() else x)  # type: ignore[no-untyped-call]
    doubled = pytree.tree_map_only(
        Tensor, lambda x: x.double() if x.is_floating_point() else x, inputs
    )
    parameters = [p for p in module.parameters() if p.requires_grad]
    directions = [_centred(p.numel(), 2000 + i).reshape(p.shape) for i, p in enumerate(parameters)]
    torch.manual_seed(0)
    second = second_gradients(module, doubled)[: len(parameters)]
    exact = sum(
        float((g * d).real.sum()) for g, d in zip(second, directions, strict=True) if g is not None
    )
    ends = []
    for sign in (1.0, -1.0):
        moved = copied(module)
        with torch.no_grad():
            owned = [p for p in moved.parameters() if p.requires_grad]
            for parameter, direction in zip(owned, directions, strict=True):
                parameter.add_(direction, alpha=sign * step)
        torch.manual_seed(0)
        slope, _ = _slope(moved, doubled)
        ends.append(0.0 if slope is None else float(slope.detach()))
    estimate = (ends[0] - ends[1]) / (2 * step)
    return abs(exact - estimate) <= 1e-4 * (abs(exact) + abs(estimate)) + 1e-6


def _slope(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor | None, list[Tensor]]:
    loss, into = _loss(module, inputs)
    if loss is None:
        raise ValueError("no output has a gradient")
    first = torch.autograd.grad(loss, into, create_graph=True, allow_unused=True)
    return weighted([g for g in first if g is not None]), into


def _loss(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor | None, list[Tensor]]:
    """A fixed linear function of the float outputs, and what it can be differentiated in."""
    given = pytree.tree_map_only(
        Tensor,
        lambda x: x.clone().requires_grad_() if x.is_floating_point() else x,
        inputs,
    )
    flat = [x for x in tensors_of(given) if x.is_floating_point()]
    into = [p for p in module.parameters() if p.requires_grad] + flat
    return weighted(module(*given)), into


def weighted(outputs: Any, *, every: bool = False) -> Tensor | None:
    """The sum of the floats of some tensors, each times a number of its own; None where none are.

    Tensors without gradient count with `every` only.
    """
    total: Tensor | None = None
    for i, y in enumerate(tensors_of(outputs)):
        if y is None or not (every or y.requires_grad):
            continue
        if y.is_complex():
            y = torch.view_as_real(y.resolve_conj())
        if y.is_floating_point():
            weight = _centred(y.numel(), 1000 + i).reshape(y.shape).to(y.dtype)
            part = (y * weight).sum()
            total = part if total is None else total + part
    return total


def _centred(count: int, seed: int) -> Tensor:
    """Numbers in [-1/2, 1/2), float64; Python draws them, since `vmap` forbids that torch does."""
    drawn = bytearray(Random(seed).randbytes(2 * max(count, 1)))
    return torch.frombuffer(drawn, dtype=torch.int16)[:count].to(torch.float64) / 65536
