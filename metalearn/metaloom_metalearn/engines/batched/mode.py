"""How a term is compiled: hard, over certain values, or soft, over distributions of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch

from metaloom_metalearn.engines.batched.soft import SoftBool, SoftInt
from metaloom_metalearn.engines.batched.values import BatchedValue
from metaloom_registry import (
    BOOL,
    Arrow,
    Constructed,
    Loaded,
    Primitive,
    Tensor,
    Type,
    TypeMismatch,
    uncurried,
)


@dataclass(frozen=True)
class Hard:
    """Integers, truth values and labels are certain; what is computed is what the program says."""

    def form(self, primitive: Primitive) -> Callable[..., Any]:
        """The function that computes the primitive. Raises TypeMismatch where there is none."""
        if primitive.batched is None:
            raise TypeMismatch(
                f"the primitive {primitive.reference} has no batched form, so a program that uses "
                "it cannot be compiled; evaluate it on plain values instead"
            )
        return primitive.batched

    def choices(self, block: Loaded) -> tuple[int, int] | None:
        """Which argument the block gives where its first is false and where true, if that is all.

        None for any other block: all of its arguments are computed for all rows.
        """
        if not isinstance(block, Primitive) or block.choose is None:
            return None
        arguments, _ = uncurried(block.signature)
        return (block.choose(False), block.choose(True)) if arguments[0] == BOOL else None

    def literal(self, value: int | bool | float, rows: int, device: torch.device) -> BatchedValue:
        """The value in each of `rows` rows."""
        dtype = {bool: torch.bool, int: torch.int64, float: torch.float64}[type(value)]
        return torch.full((rows,), value, dtype=dtype, device=device)


@dataclass(frozen=True)
class Soft:
    """Integers, truth values and labels are distributions; gradients flow through the program.

    A primitive is computed by its soft form, or else by its batched form if its type speaks of no
    int, bool or label beside those of a support: then it cannot look into them, and what it does
    to certain values it does to distributions.
    """

    def form(self, primitive: Primitive) -> Callable[..., Any]:
        """The function that computes the primitive. Raises TypeMismatch where there is none."""
        if primitive.soft is not None:
            return primitive.soft
        if primitive.batched is None or _looks_at_certain_values(primitive.signature):
            raise TypeMismatch(
                f"the primitive {primitive.reference} : {primitive.type} has no soft form, so no "
                "gradient can pass a program that uses it"
            )
        return primitive.batched

    def choices(self, block: Loaded) -> tuple[int, int] | None:
        """None: what is uncertain needs every argument."""
        del block
        return None

    def literal(self, value: int | bool | float, rows: int, device: torch.device) -> BatchedValue:
        """The value in each of `rows` rows, with certainty."""
        certain = Hard().literal(value, rows, device)
        if isinstance(value, bool):
            return SoftBool.of(certain)
        return SoftInt.of(certain) if isinstance(value, int) else certain


Mode: TypeAlias = Hard | Soft
"""How a term is compiled."""


def _looks_at_certain_values(type_: Type) -> bool:
    if isinstance(type_, Tensor):
        return type_.kind == "label"
    if isinstance(type_, Arrow):
        return _looks_at_certain_values(type_.argument) or _looks_at_certain_values(type_.result)
    if isinstance(type_, Constructed):
        if type_.name == "examples":
            return False
        return type_.name in ("int", "bool") or any(map(_looks_at_certain_values, type_.arguments))
    return False
