"""Whether two computations agree: the same tensors up to rounding, or the same failure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from metaloom_registry.errors import MetaloomError, Refused
from metaloom_registry.graph.examples import tensors_of

Result: TypeAlias = "list[Tensor | None] | Exception"
"""What a computation gave, or how it failed."""


def attempt(compute: Callable[[], Any], seed: int = 0) -> Result:
    """The tensors a computation gives, with torch's generator at a seed; or its exception."""
    torch.default_generator.manual_seed(seed)  # of the CPU alone, where all of this computes
    try:
        found = compute()
    except MetaloomError as error:
        return error
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        return error
    return tensors_of(found)


def disagreement(
    ours: Result, theirs: Result, looseness: float = 1.0, *, together: bool = False
) -> str:
    """In which way what the graph gave differs from what the module gave; empty where it does not.

    Two failures agree.  looseness: 1 allows 300 machine epsilons of the largest number of a tensor.
    together: of all tensors, which are parts of one vector, as the parts of a gradient are.
    """
    if isinstance(theirs, Exception) and isinstance(ours, Exception):
        return ""
    if isinstance(theirs, Exception) or isinstance(ours, Exception):
        failed = "the graph" if isinstance(ours, Exception) else "the module"
        error = ours if isinstance(ours, Exception) else theirs
        return f"only {failed} fails ({type(error).__name__}: {error})"
    if len(ours) != len(theirs):
        return f"{len(ours)} tensors instead of {len(theirs)}"
    scale = max((_largest(x) for x in theirs if x is not None), default=0.0) if together else 0.0
    for one, other in zip(ours, theirs, strict=True):
        difference = apart(one, other, looseness, scale)
        if difference:
            return f"the graph and the module differ ({difference})"
    return ""


def require_agreement(
    ours: Result, theirs: Result, what: str, remedy: str, looseness: float = 1.0
) -> None:
    """Raise Refused, with the difference and the remedy, unless the two agree."""
    difference = disagreement(ours, theirs, looseness)
    if difference:
        raise Refused(f"{what}: {difference}; {remedy}")


def apart(one: Tensor | None, other: Tensor | None, looseness: float, at_least: float = 0.0) -> str:
    """In which way two tensors differ beyond rounding; empty where they do not.

    at_least: numbers of this size took part, even if these are all smaller.
    """
    if one is None or other is None:
        present = one if other is None else other
        return "" if present is None or not present.any() else "one has no value"
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{one.dtype}{list(one.shape)} and {other.dtype}{list(other.shape)}"
    if torch.equal(one, other):  # as most are, and this is the quickest to see
        return ""
    if one.is_complex():
        one, other = _parts(one), _parts(other)
    if not one.is_floating_point():
        return f"integers of {list(one.shape)}"
    if one.numel() == 0:
        return ""
    tolerance = looseness * 300 * torch.finfo(one.dtype).eps
    gap, scale = _gap(one, other)
    if not math.isfinite(gap + scale):  # or too large for the dtype
        one, other = one.detach().double(), other.detach().double()
        odd = ~other.isfinite()
        if not torch.equal(odd, ~one.isfinite()) or not torch.equal(_kinds(one), _kinds(other)):
            return "NaN or infinity in one of them"
        gap, scale = _gap(one.masked_fill(odd, 0.0), other.masked_fill(odd, 0.0))
    scale = max(scale, at_least)
    return "" if gap <= tolerance * (scale + 1e-3) else f"by {gap:.3g} where values are {scale:.3g}"


def _gap(one: Tensor, other: Tensor) -> tuple[float, float]:
    """The largest difference of two tensors, and the largest number of the second."""
    one, other = one.detach(), other.detach()
    return float((one - other).abs().max()), float(other.abs().max())


def _kinds(x: Tensor) -> Tensor:
    """Of what is not finite whether it is infinite, with its sign."""
    return x[~x.isfinite()].nan_to_num()


def _largest(x: Tensor) -> float:
    return float(x.detach().abs().nan_to_num().max()) if x.numel() else 0.0


def _parts(x: Tensor) -> Tensor:
    return torch.view_as_real(x.detach().resolve_conj())
