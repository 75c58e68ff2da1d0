"""Between the values of a task, one an example, and batched values; reading inverts writing.

`from_batch(to_batch(values, type_), type_) == values` for every type that has a batched form.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from metaloom_metalearn.engines.batched.soft import SoftInt
from metaloom_metalearn.engines.batched.values import BatchedValue, Ragged, Support
from metaloom_metalearn.tasks import Examples, Values
from metaloom_registry import Constructed, InvalidTask, Tensor, Type, TypeMismatch

_DTYPES = {
    "int": torch.int64,
    "bool": torch.bool,
    "float": torch.float64,
}
_TENSOR_DTYPES = {"float32": torch.float32, "int64": torch.int64}


def to_batch(
    values: Values | Sequence[Any], type_: Type, device: torch.device | str = "cpu"
) -> BatchedValue:
    """The values of n examples as one batched value of n rows.

    Raises TypeMismatch where the type has no batched form (text, sets, dictionaries, graphs), and
    InvalidTask where a value does not have the type's shape.
    """
    if isinstance(type_, Tensor):
        return _tensor(values, type_).to(device)
    if isinstance(type_, Constructed):
        if type_.name in _DTYPES:
            return _plain(values, type_).to(device)
        nested = _nested(values, type_)
        if type_.name == "list":
            lengths = torch.tensor([len(one) for one in nested], dtype=torch.int64, device=device)
            items = tuple(item for one in nested for item in one)
            return Ragged(to_batch(items, type_.arguments[0], device), lengths)
        if type_.name == "tuple":
            return tuple(
                to_batch(tuple(one[i] for one in nested), part, device)
                for i, part in enumerate(type_.arguments)
            )
    raise TypeMismatch(f"{type_} has no batched form; evaluate the program on plain values instead")


def from_batch(value: BatchedValue, type_: Type) -> Values:
    """The values of a batch, one a row: a stacked tensor for a tensor type, else a tuple.

    A `SoftInt` gives its likeliest values.
    """
    if isinstance(type_, Tensor) and isinstance(value, torch.Tensor):
        return value
    if isinstance(value, SoftInt):
        value = value.mode()
    if isinstance(value, Ragged) and isinstance(type_, Constructed):
        ends = [0, *value.lengths.cumsum(0).tolist()]
        items = from_batch(value.items, type_.arguments[0]) if ends[-1] else ()
        return tuple(tuple(items[start:end]) for start, end in pairwise(ends))
    if isinstance(value, tuple) and isinstance(type_, Constructed):
        columns = (from_batch(v, t) for v, t in zip(value, type_.arguments, strict=True))
        return tuple(zip(*columns, strict=True))
    if isinstance(value, torch.Tensor):
        return tuple(value.tolist())
    raise TypeMismatch(f"a {type(value).__name__} is not a batch of {type_}")


def to_support(
    examples: Examples, given: Type, want: Type, device: torch.device | str = "cpu"
) -> Support:
    """The examples of a task of one argument as a value of the type `examples[given, want]`."""
    classes = want.dimensions[0] if isinstance(want, Tensor) and want.kind == "label" else 0
    return Support(
        to_batch(examples.inputs[0], given, device),
        to_batch(examples.outputs, want, device),
        classes if isinstance(classes, int) else int(max(examples.outputs)) + 1,
    )


def _nested(values: Values | Sequence[Any], type_: Constructed) -> Sequence[Any]:
    """The values of a list or tuple type, each a sequence."""
    found = tuple(values)
    if type_.name in ("list", "tuple"):
        for one in found:
            if not isinstance(one, tuple | list | torch.Tensor):
                raise InvalidTask(f"{str(one)[:60]!r} is no {type_}; give it as a tuple")
    return found


def _tensor(values: Values | Sequence[Any], type_: Tensor) -> torch.Tensor:
    shape = tuple(d if isinstance(d, int) else -1 for d in type_.dimensions)
    shape = () if type_.kind == "label" else shape
    dtype = _TENSOR_DTYPES[type_.dtype]
    if not isinstance(values, torch.Tensor):
        if not len(values):
            return torch.zeros((0, *(max(d, 0) for d in shape)), dtype=dtype)
        parts = [_item(value, type_) for value in values]
        odd = next((p for p in parts if p.shape != parts[0].shape), None)
        if odd is not None:
            raise InvalidTask(
                f"values of {type_} have the shapes {list(parts[0].shape)} and {list(odd.shape)}; "
                "all values of one argument need one shape"
            )
        values = torch.stack(parts)
    found = tuple(values.shape[1:])
    if not _fits(found, shape):
        many = found and _fits(found[1:], shape)
        raise InvalidTask(
            f"a value of the shape {list(found)} is no {type_}"
            + ("; `predict` takes one item, `predict_many` several" if many else "")
        )
    if type_.kind == "image" and values.dtype == torch.uint8:
        raise InvalidTask(
            f"a value of {type_} is of bytes, and floats of 0 to 1 are wanted; divide it by 255"
        )
    return values.to(dtype)


def _fits(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is the wanted one, of which -1 leaves a size open."""
    return len(found) == len(wanted) and all(
        w in (-1, f) for w, f in zip(wanted, found, strict=True)
    )


def _item(value: Any, type_: Tensor) -> torch.Tensor:
    try:
        return torch.as_tensor(value)
    except (RuntimeError, TypeError, ValueError):
        raise InvalidTask(f"{value!r:.60} is no {type_}; give a tensor or nested lists") from None


def _plain(values: Values | Sequence[Any], type_: Constructed) -> torch.Tensor:
    if isinstance(values, torch.Tensor):
        return values.to(_DTYPES[type_.name])
    try:
        return torch.tensor(list(values), dtype=_DTYPES[type_.name])
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise InvalidTask(f"these values are not all {type_}: {error}") from None
