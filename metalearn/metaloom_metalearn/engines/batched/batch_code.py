"""The code that terms compile to: functions from an environment of batched values to one more.

Code runs in a frame, which says how many rows there are.  A function value keeps the code of its
body and what it captured; see `values` for how it is called on other rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeGuard, cast

import torch
from torch import nn

from metaloom_metalearn.engines.batched.values import (
    BatchedValue,
    Rows,
    concatenate,
    device_of,
    moved,
    rows_of,
    take,
)
from metaloom_registry import TypeMismatch
from metaloom_registry.graph import Fused, GraphModule


@dataclass(frozen=True)
class Frame:
    """Where code runs: how many rows there are, on what device, and whose blocks are used."""

    rows: int
    device: torch.device
    blocks: Sequence[nn.Module]


Environment: TypeAlias = tuple[BatchedValue, ...]
Code: TypeAlias = Callable[[Environment, Frame], BatchedValue]


@dataclass(frozen=True, eq=False)
class Closure(Rows):
    """A lambda and the values it captured, one for each row of its frame."""

    body: Code
    captured: Environment
    frame: Frame

    def __call__(self, argument: BatchedValue) -> BatchedValue:
        frame = self.frame
        rows = rows_of(argument)
        if rows is not None and rows != frame.rows:
            mine = self.rows()
            if mine is not None and mine != rows:
                raise TypeMismatch(
                    f"a function made for {mine} rows is called on {rows}; inputs need equally "
                    "many rows, and a primitive says with `take` on which rows it calls a function"
                )
            frame = replace(frame, rows=rows)
        return self.body((*self.captured, argument), frame)

    def rows(self) -> int | None:
        return rows_of(self.captured)

    def device(self) -> torch.device:
        return self.frame.device

    def take(self, index: torch.Tensor) -> Closure:
        captured = tuple(take(value, index) for value in self.captured)
        return Closure(self.body, captured, replace(self.frame, rows=len(index)))


@dataclass(frozen=True, eq=False)
class Partial(Rows):
    """A primitive or a block that still waits for arguments."""

    function: Callable[..., BatchedValue]
    arity: int
    arguments: tuple[BatchedValue, ...] = ()

    def __call__(self, argument: BatchedValue) -> BatchedValue:
        arguments = (*self.arguments, argument)
        if len(arguments) == self.arity:
            return self.function(*arguments)
        return Partial(self.function, self.arity, arguments)

    def rows(self) -> int | None:
        return rows_of(self.arguments)

    def device(self) -> torch.device | None:
        return device_of(self.arguments)

    def take(self, index: torch.Tensor) -> Partial:
        return Partial(self.function, self.arity, take(self.arguments, index))


def variable(slot: int) -> Code:
    """What stands in a slot of the environment."""
    return lambda env, frame: env[slot]


def call(function: Callable[..., BatchedValue], arguments: list[Code]) -> Code:
    """A primitive or a block on all of its arguments; it is given the frame first."""
    return lambda env, frame: function(frame, *(code(env, frame) for code in arguments))


def choice(arguments: list[Code], choices: tuple[int, int]) -> Code:
    """A primitive that gives one of its arguments, and needs that one and the first alone.

    `choices` are the places of what it gives where the first is false, and where it is true.  Each
    argument is computed on the rows that need it.
    """

    def run(env: Environment, frame: Frame) -> BatchedValue:
        condition = arguments[0](env, frame)

        def given(place: int, rows: torch.Tensor) -> BatchedValue:
            if place == 0:
                return take(condition, rows)
            if len(rows) == frame.rows:
                return arguments[place](env, frame)
            return arguments[place](take(env, rows), replace(frame, rows=len(rows)))

        true, false = condition.nonzero()[:, 0], (~condition).nonzero()[:, 0]
        if len(false) == 0:
            return given(choices[1], true)
        if len(true) == 0:
            return given(choices[0], false)
        back = torch.argsort(torch.cat([true, false]))
        return take(concatenate([given(choices[1], true), given(choices[0], false)]), back)

    return run


def applied(function: Code, argument: Code) -> Code:
    """A function value on an argument."""
    return lambda env, frame: function(env, frame)(argument(env, frame))


def constant(function: Callable[..., BatchedValue]) -> Code:
    """A primitive of no parameters gives one row, which is repeated."""

    def value(env: Environment, frame: Frame) -> BatchedValue:
        row = function(frame)
        if device_of(row) is not None:
            row = moved(row, frame.device)
        return take(row, torch.zeros(frame.rows, dtype=torch.int64, device=frame.device))

    return value


def block(place: int) -> Callable[..., BatchedValue]:
    """The call of a block: on no rows at all, the shape of its output is that on one row."""

    def run(frame: Frame, *arguments: BatchedValue) -> BatchedValue:
        module = frame.blocks[place]
        if rows_of(arguments) == 0 and not module.training:
            return take(module(*map(_one_row, arguments)), torch.zeros(0, dtype=torch.int64))
        return module(*arguments)

    return run


def joined(fused: Fused, places: Sequence[int], inputs: list[Code], nested: Code) -> Code:
    """Blocks that feed one another, run as one graph; one by one where they are no loaded graphs.

    They are also called one by one on no rows, and where hooks want to see each call.
    """

    def run(env: Environment, frame: Frame) -> BatchedValue:
        parts = [part for place in places if _bare(part := frame.blocks[place])]
        if frame.rows == 0 or len(parts) < len(places):
            return nested(env, frame)
        return cast(BatchedValue, fused(parts, [code(env, frame) for code in inputs]))

    return run


def _bare(module: nn.Module) -> TypeGuard[GraphModule]:
    hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks
    return type(module) is GraphModule and not hooks


def _one_row(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_one_row, value))
    return value.new_zeros((1, *value.shape[1:])) if isinstance(value, torch.Tensor) else value
