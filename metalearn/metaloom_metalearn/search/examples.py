"""A task's examples as the hard engine's values, checked against the task's type."""

from __future__ import annotations

from typing import Any

from metaloom_metalearn.keyed import is_keyed, read_keyed
from metaloom_metalearn.tasks import Examples, Task
from metaloom_registry import Constructed, InvalidTask, Tensor, Type, uncurried
from metaloom_registry.types import parts

_INT64 = 1 << 63
_PLAIN: dict[str, type] = {"bool": bool, "float": float, "text": str}


def plain_examples(task: Task) -> list[tuple[tuple[Any, ...], Any]]:
    """The inputs and the output of each support example, tensors as `Item`s.

    Raises InvalidTask, naming the example and the place, where a value is not of its type: ragged
    lists, a truth value among integers, an integer beyond 64 bits, NaN.
    """
    return checked_examples(task.support, task.type)


def checked_examples(examples: Examples, type_: Type) -> list[tuple[tuple[Any, ...], Any]]:
    """The inputs and the output of each example of a function type, as hard values."""
    given, want = uncurried(type_)
    if len(examples.inputs) != len(given):
        raise InvalidTask(
            f"the examples have {len(examples.inputs)} inputs each, but {type_} takes {len(given)}"
        )
    found = []
    for i in range(len(examples)):
        inputs = tuple(
            hard_value(column[i], t, f"input {j + 1} of example {i + 1}")
            for j, (column, t) in enumerate(zip(examples.inputs, given, strict=True))
        )
        found.append((inputs, hard_value(examples.outputs[i], want, f"output of example {i + 1}")))
    return found


def hard_value(value: Any, type_: Type, place: str) -> Any:
    """The value as the hard engine's. Raises InvalidTask where it is not of its type."""
    if holds_tensors(type_):
        from metaloom_metalearn.engines.hard.items import wrapped  # noqa: PLC0415 - loads torch

        return wrapped(_checked(value, type_, place))
    return _checked(value, type_, place)


def holds_tensors(type_: Type) -> bool:
    """Whether a value of the type is made of tensors, so that torch is needed."""
    return any(isinstance(part, Tensor) for part in parts(type_))


def contradictions(examples: list[tuple[tuple[Any, ...], Any]]) -> list[tuple[int, int]]:
    """Pairs of examples, counted from 0, with the same inputs and different outputs."""
    first: dict[Any, int] = {}
    found = []
    for i, (inputs, output) in enumerate(examples):
        other = first.setdefault(inputs, i)
        if examples[other][1] != output:
            found.append((other, i))
    return found


def _checked(value: Any, type_: Type, place: str) -> Any:
    if isinstance(type_, Tensor):
        if not hasattr(value, "shape"):
            raise _misfit(value, type_, place)
        return value
    if not isinstance(type_, Constructed):
        raise InvalidTask(f"the {place} has the type {type_}, of which no example can be given")
    if type_.name == "int":
        if isinstance(value, bool) or not isinstance(value, int):
            raise _misfit(value, type_, place)
        if not -_INT64 <= value < _INT64:
            raise InvalidTask(f"the {place} holds {value}, which does not fit into 64 bits")
        return value
    if type_.name == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type_.name in _PLAIN:
        if not isinstance(value, _PLAIN[type_.name]):
            raise _misfit(value, type_, place)
        if value != value:
            raise InvalidTask(f"the {place} holds NaN; leave the example out")
        return value
    if type_.name == "list":
        if not isinstance(value, tuple | list):
            raise _misfit(value, type_, place)
        return tuple([_checked(item, type_.arguments[0], place) for item in value])
    if type_.name == "tuple":
        if not isinstance(value, tuple | list) or len(value) != len(type_.arguments):
            raise _misfit(value, type_, place)
        held = zip(value, type_.arguments, strict=True)
        return tuple(_checked(item, item_type, place) for item, item_type in held)
    if is_keyed(type_):
        return read_keyed(value, type_, lambda v, t: _checked(v, t, place), f"the {place}")
    if type_.name == "store":
        return _checked(value, type_.arguments[0], place)
    if type_.name == "grid":
        return tuple(tuple(row) for row in value)
    return value


def _misfit(value: Any, type_: Type, place: str) -> InvalidTask:
    return InvalidTask(f"the {place} holds {str(value)[:60]!r}, which is no {type_}")


def check_task(task: Task) -> None:
    """Raise InvalidTask where the examples make no task.

    The values are not of the task's types (see `plain_examples`); tensors have other shapes, or
    hold NaN or infinity; labels are out of range; a classification shows one class alone.
    """
    for examples, what in ((task.support, "support"), (task.query, "query")):
        if examples is None:
            continue
        given, want = uncurried(task.type)
        if len(examples.inputs) != len(given):
            raise InvalidTask(
                f"the {what} examples have {len(examples.inputs)} inputs each, "
                f"but {task.type} takes {len(given)}"
            )
        for i, (column, type_) in enumerate(zip(examples.inputs, given, strict=True)):
            _check_column(column, type_, f"{what} input {i + 1}")
        _check_column(examples.outputs, want, f"{what} output")
    if isinstance(task.want, Tensor) and task.want.kind == "label":
        outputs: Any = task.support.outputs
        labels = {int(label) for label in outputs}
        if len(labels) == 1:
            raise InvalidTask(
                f"all {len(task.support)} support examples show the class {labels.pop()}; "
                "a classification needs two classes or more"
            )


def _check_column(column: Any, type_: Type, place: str) -> None:
    if isinstance(type_, Tensor) and hasattr(column, "shape"):
        _check_tensor(column, type_, place, rows=True)
        return
    for i in range(len(column)):
        _check_value(column[i], type_, f"{place} of example {i + 1}")


def _check_value(value: Any, type_: Type, place: str) -> None:
    if not holds_tensors(type_):
        _checked(value, type_, place)
    elif isinstance(type_, Tensor):
        if not hasattr(value, "shape"):
            raise _misfit(value, type_, place)
        _check_tensor(value, type_, place, rows=False)
    elif isinstance(type_, Constructed):
        if type_.name not in ("list", "tuple") or not isinstance(value, tuple | list):
            raise _misfit(value, type_, place)
        held = type_.arguments if type_.name == "tuple" else type_.arguments * len(value)
        for item, item_type in zip(value, held, strict=True):
            _check_value(item, item_type, place)


def _check_tensor(value: Any, type_: Tensor, place: str, rows: bool) -> None:
    shape = tuple(value.shape)[int(rows) :]
    wanted = () if type_.kind == "label" else type_.dimensions
    if len(shape) != len(wanted) or any(
        isinstance(w, int) and w != s for w, s in zip(wanted, shape, strict=False)
    ):
        raise InvalidTask(f"the {place} has the shape {list(shape)}, which is no {type_}")
    if type_.kind == "label":
        (classes,) = type_.dimensions
        if isinstance(classes, int) and not bool(((value >= 0) & (value < classes)).all()):
            raise InvalidTask(f"the {place} holds a label outside 0 to {classes - 1}")
    elif not bool(value.isfinite().all()):
        raise InvalidTask(f"the {place} holds NaN or infinity; leave the example out")
