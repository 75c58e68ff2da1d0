"""Episodes: tasks of one shape stacked along a task axis, so that a learner takes them at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch

from metaloom_metalearn.tasks import Examples, Task, TaskSource
from metaloom_registry import InvalidTask, Type
from metaloom_registry import Tensor as TensorType


@dataclass(frozen=True)
class Episodes:
    """`tasks` tasks; every tensor begins with the axis of tasks.

    support_x [tasks, s, ...], support_y [tasks, s, ...]; query_x [tasks, q, ...], query_y alike.
    For classification the outputs are int64 labels below `classes`; else `classes` is 0.
    `drawn`, int64 [tasks, classes], says which class of the source each label stands for, where
    the source tells.
    """

    support_x: torch.Tensor
    support_y: torch.Tensor
    query_x: torch.Tensor
    query_y: torch.Tensor
    classes: int = 0
    drawn: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.support_x)

    def to(self, device: torch.device | str) -> Episodes:
        """The same episodes on a device."""
        return self._each(lambda tensor: tensor.to(device))

    def take(self, tasks: slice) -> Episodes:
        """Some of the tasks."""
        return self._each(lambda tensor: tensor[tasks])

    def without_answers(self) -> Episodes:
        """The same episodes, all outputs of the query -1: what a method may see that is judged."""
        return replace(self, query_y=torch.full_like(self.query_y, -1))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Episodes:
        return Episodes(
            change(self.support_x),
            change(self.support_y),
            change(self.query_x),
            change(self.query_y),
            self.classes,
            None if self.drawn is None else change(self.drawn),
        )


@runtime_checkable
class EpisodeSource(Protocol):
    """A task source that draws many tasks of one shape at once."""

    def episodes(self, count: int, generator: torch.Generator) -> Episodes:
        """Draw `count` tasks; equal generators draw equal ones."""
        ...


def draw_episodes(
    source: TaskSource | EpisodeSource, count: int, generator: torch.Generator
) -> Episodes:
    """`count` tasks of any source, stacked. Raises InvalidTask where their shapes differ."""
    if isinstance(source, EpisodeSource):
        return source.episodes(count, generator)
    return stack_tasks([source.sample(generator) for _ in range(count)])


def stack_tasks(tasks: Sequence[Task]) -> Episodes:
    """Tasks with a query and one tensor argument as episodes. Raises InvalidTask."""
    if not tasks:
        raise InvalidTask("there is no task to stack; give at least one")
    columns: list[list[torch.Tensor]] = [[], [], [], []]
    for task in tasks:
        if task.query is None or len(task.query) == 0:
            raise InvalidTask(f"the task {task.name!r} has no query; episodes are trained on it")
        for column, values in zip(
            columns, (*_tensors(task, task.support), *_tensors(task, task.query)), strict=True
        ):
            if column and values.shape != column[0].shape:
                raise InvalidTask(
                    f"the task {task.name!r} has the shape {list(values.shape)} where the tasks "
                    f"before it have {list(column[0].shape)}; only tasks of one shape stack"
                )
            column.append(values)
    stacked = [torch.stack(column) for column in columns]
    return Episodes(stacked[0], stacked[1], stacked[2], stacked[3], classes_of(tasks[0].want))


def classes_of(type_: Type) -> int:
    """k of `label[k]` and `logits[k]`; 0 for other types and where k is open."""
    if isinstance(type_, TensorType) and type_.kind in ("label", "logits"):
        size = type_.dimensions[0]
        return size if isinstance(size, int) else 0
    return 0


def _tensors(task: Task, examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    if len(examples.inputs) != 1 or not isinstance(examples.inputs[0], torch.Tensor):
        raise InvalidTask(f"the task {task.name!r} : {task.type} does not take one tensor")
    outputs = examples.outputs
    return examples.inputs[0], outputs if isinstance(outputs, torch.Tensor) else torch.as_tensor(
        outputs
    )
