"""What the registry remembers of work on a task: the task's digest, and the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from metaloom_registry import Digest, Json, dump_canonical

if TYPE_CHECKING:
    from metaloom_metalearn import Examples, Task


def task_digest(task: Task) -> Digest:
    """The identity of a task: its type and its examples, support and query; not its name."""
    return Digest.of(
        dump_canonical(
            {
                "type": str(task.type),
                "support": _examples(task.support),
                "query": None if task.query is None else _examples(task.query),
            }
        )
    )


def _examples(examples: Examples) -> Json:
    return {
        "inputs": [_value(column) for column in examples.inputs],
        "outputs": _value(examples.outputs),
    }


def _value(value: Any) -> Json:
    """A value as JSON; a tensor by its dtype, shape and the digest of its bytes."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return [[_value(key), _value(item)] for key, item in value.items()]
    if isinstance(value, set | frozenset):
        return sorted((_value(item) for item in value), key=dump_canonical)
    if isinstance(value, Sequence):
        return [_value(item) for item in value]
    array = value.detach().cpu().contiguous().numpy()
    return {
        "dtype": str(array.dtype),
        "shape": list(array.shape),
        "digest": str(Digest.of(array.tobytes())),
    }
