"""What the support of a task must hold, whatever it came from."""

from __future__ import annotations

from metaloom_metalearn.tasks import Task
from metaloom_registry import InvalidTask, Tensor


def require_classes(task: Task) -> None:
    """Raises InvalidTask where a classification task shows fewer than two classes."""
    want = task.want
    if not isinstance(want, Tensor) or want.kind != "label":
        return
    labels = list(map(int, task.support.outputs))
    if len(set(labels)) == 1:
        raise InvalidTask(
            f"the support of the task {task.name!r} shows one class only, {labels[0]}; "
            "a classifier needs examples of at least two"
        )
