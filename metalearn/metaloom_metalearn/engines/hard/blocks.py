"""Trained blocks and batched primitives in the hard engine, which knows one value at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from metaloom_metalearn.engines.batched.features import applied
from metaloom_metalearn.engines.batched.values import (
    BatchedValue,
    Ragged,
    Rows,
    concatenate,
    rows_of,
    take,
)
from metaloom_metalearn.engines.hard.items import Item, unwrapped, wrapped
from metaloom_registry import (
    Arrow,
    Constructed,
    EvaluationError,
    Primitive,
    Reference,
    Type,
    Variable,
    uncurried,
)

_DTYPES = {bool: torch.bool, int: torch.int64, float: torch.float64}


class TrainedFunction:
    """A trained block as a function of one item, in eval mode, its outputs kept by content."""

    def __init__(self, reference: Reference, module: nn.Module) -> None:
        self.reference = reference
        self.module = module
        self._known: dict[Any, Any] = {}

    def __call__(self, item: Any) -> Any:
        if item not in self._known:
            self.warm([item])
        return self._known[item]

    def warm(self, items: Sequence[Any]) -> None:
        """Compute what is not yet known of these items, in batches."""
        new = list(dict.fromkeys(item for item in items if item not in self._known))
        if not new:
            return
        outputs = self.batched(concatenate([_batch_of_one(item, None) for item in new]))
        for i, item in enumerate(new):
            self._known[item] = _value(take(outputs, torch.tensor([i])), None)

    def batched(self, batch: BatchedValue) -> BatchedValue:
        """The block on a whole batch. Raises EvaluationError where it does not fit the block."""
        try:
            return applied(self.module, batch)
        except EvaluationError:
            raise
        except Exception as error:
            raise EvaluationError(f"the block {self.reference} fails: {error}") from error


class Blocks:
    """What the evaluator needs of torch; made when a tensor, a module or a batched form appears."""

    def __init__(self) -> None:
        self.trained: dict[Reference, TrainedFunction] = {}

    def function(self, reference: Reference, module: object) -> TrainedFunction:
        """A trained block as a function. Raises EvaluationError on what is no module."""
        if not isinstance(module, nn.Module):
            raise EvaluationError(
                f"the block {reference} is a {type(module).__name__}; "
                "wanted is a primitive, a term or a torch module"
            )
        found = self.trained[reference] = TrainedFunction(reference, module)
        return found

    def warm(self, reference: Reference, items: Sequence[Any]) -> None:
        if reference in self.trained:
            self.trained[reference].warm([wrapped(item) for item in items])

    def wrapped(self, value: Any) -> Any:
        return wrapped(value)

    def unwrapped(self, value: Any) -> Any:
        return unwrapped(value)

    def scalar(self, primitive: Primitive) -> Callable[..., Any]:
        """The batched form of a primitive on a batch of one."""
        batched = primitive.batched
        assert batched is not None
        types, result = uncurried(primitive.signature)
        taken = types[: len(primitive.parameters)]
        for argument in reversed(types[len(primitive.parameters) :]):
            result = Arrow(argument, result)

        def call(*arguments: Any) -> Any:
            rows = [_batch_of_one(a, t) for a, t in zip(arguments, taken, strict=True)]
            with torch.no_grad():
                return _value(batched(*rows), result)

        return call


def _batch_of_one(value: Any, type_: Type | None) -> BatchedValue:
    """A plain value as a batched value of one row; `type_` tells lists from tuples."""
    if isinstance(value, Item):
        return value.tensor[None]
    if isinstance(value, bool | int | float):
        return torch.tensor([value], dtype=_DTYPES[type(value)])
    if isinstance(value, tuple):
        arguments = type_.arguments if isinstance(type_, Constructed) else ()
        if isinstance(type_, Constructed) and type_.name == "tuple":
            return tuple(_batch_of_one(v, t) for v, t in zip(value, arguments, strict=True))
        items = [_batch_of_one(item, arguments[0] if arguments else None) for item in value]
        return Ragged(concatenate(items) if items else None, torch.tensor([len(items)]))
    if isinstance(value, TrainedFunction):
        return value.batched
    if callable(value) and isinstance(type_, Arrow):
        return _batched_function(value, type_)
    if isinstance(value, Rows):
        return value
    raise EvaluationError(
        f"a {type(value).__name__} has no batched form, which the primitive wants"
    )


def _batched_function(function: Callable[[Any], Any], type_: Arrow) -> BatchedValue:
    def call(batch: BatchedValue) -> BatchedValue:
        count = rows_of(batch)
        if count is None:
            return _batch_of_one(function(_value(batch, type_.argument)), type_.result)
        results = [
            _batch_of_one(
                function(_value(take(batch, torch.tensor([i])), type_.argument)), type_.result
            )
            for i in range(count)
        ]
        return concatenate(results)

    return call


def _value(batch: BatchedValue, type_: Type | None) -> Any:
    """The one row of a batch as a plain value; `type_` tells labels from integers."""
    if isinstance(batch, torch.Tensor):
        if isinstance(type_, Constructed) or (isinstance(type_, Variable) and batch.ndim == 1):
            return batch[0].item()
        return Item(batch[0])
    if isinstance(batch, Ragged):
        count = int(batch.lengths[0])
        item = type_.arguments[0] if isinstance(type_, Constructed) else None
        return tuple(_value(take(batch.items, torch.tensor([i])), item) for i in range(count))
    if isinstance(batch, tuple):
        parts: Sequence[Type | None] = (
            type_.arguments if isinstance(type_, Constructed) else [None] * len(batch)
        )
        return tuple(_value(b, t) for b, t in zip(batch, parts, strict=True))
    if isinstance(batch, Rows):
        return batch
    if callable(batch):
        result = type_.result if isinstance(type_, Arrow) else None
        argument = type_.argument if isinstance(type_, Arrow) else None
        return lambda value: _value(batch(_batch_of_one(value, argument)), result)
    raise EvaluationError(f"a {type(batch).__name__} is not a batch of one value")
