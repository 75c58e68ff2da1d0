"""Sums of products over named indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from metaloom_registry.graph.op import Op
from metaloom_registry.graph.rules import Text
from metaloom_registry.graph.values import Spec, wanted


def _sizes(xs: Sequence[Spec], equation: str) -> tuple[list[str], str, dict[str, int]]:
    """The indices of each operand, those of the result, and the size of each."""
    left, _, result = equation.partition("->")
    operands = left.split(",")
    wanted(len(operands) == len(xs), f"{equation} of {len(xs)} tensors")
    sizes: dict[str, int] = {}
    for operand, x in zip(operands, xs, strict=True):
        wanted(len(operand) == x.rank, f"{operand} for {x}")
        wanted(len(set(operand)) == len(operand), f"an index twice in {operand}")
        for index, size in zip(operand, x.shape, strict=True):
            wanted(sizes.setdefault(index, size) == size, f"two sizes of {index} in {equation}")
    wanted(len(set(result)) == len(result), f"an index twice in {result}")
    wanted(set(result) <= set(sizes), f"an index of {result} that no tensor has")
    return operands, result, sizes


def _einsum(*xs: Spec, equation: str) -> Spec:
    wanted(all(x.inexact and x.dtype == xs[0].dtype for x in xs), "tensors of one float dtype")
    _, result, sizes = _sizes(xs, equation)
    return xs[0].like([sizes[index] for index in result])


def _run_einsum(*xs: Tensor, equation: str) -> Tensor:
    return torch.einsum(equation, *xs)


def _steps(xs: Sequence[Spec], equation: str) -> list[tuple[int, int]]:
    """Multiplications and size of the result of each step, from left to right."""
    operands, result, sizes = _sizes(xs, equation)
    have, steps = set(operands[0]), []
    for position, operand in enumerate(operands[1:], 2):
        joined = have | set(operand)
        kept = joined & (set(result) | set("".join(operands[position:])))
        steps.append((prod(sizes[i] for i in joined), prod(sizes[i] for i in kept)))
        have = kept
    return steps


def _flops(inputs: Sequence[Any], outputs: Sequence[Any], a: Mapping[str, Any]) -> int:
    steps = _steps(inputs, a["equation"])
    return 2 * sum(count for count, _ in steps) if steps else int(inputs[0].elements)


def _scratch(inputs: Sequence[Any], outputs: Sequence[Any], a: Mapping[str, Any]) -> int:
    return 8 * sum(size for _, size in _steps(inputs, a["equation"]))


OPS = (
    Op(
        "einsum",
        1,
        "Each letter of the equation is an index; the result sums, over the letters that do not "
        "stand behind ->, the product of the tensors. Products are taken from left to right.",
        ("x*",),
        _einsum,
        _run_einsum,
        {"equation": Text(r"[a-zA-Z]{0,8}(,[a-zA-Z]{0,8})*->[a-zA-Z]{0,8}")},
        flops=_flops,
        scratch=_scratch,
    ),
)
