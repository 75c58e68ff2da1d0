"""learn2learn's tasksets as sources of tasks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from metaloom_metalearn import Examples, Task, classes_of
from metaloom_registry import Arrow, InvalidTask, Type, parse_type


@dataclass(frozen=True)
class TasksetSource:
    """Tasks of a taskset, split class by class; see `taskset_source`."""

    taskset: Any
    type: Arrow
    shots: int

    def sample(self, generator: torch.Generator) -> Task:
        """One task. Raises InvalidTask where it is not of the type, or leaves no query."""
        with _seeded(generator):
            inputs, labels = self.taskset.sample()
        x, y = torch.as_tensor(inputs).float(), torch.as_tensor(labels).long()
        classes = classes_of(self.type.result)
        if y.dim() != 1 or len(y) == 0 or int(y.min()) < 0 or int(y.max()) >= classes:
            raise InvalidTask(
                f"the taskset gives labels {list(y.shape)} from {y.min() if len(y) else 'none'} to "
                f"{y.max() if len(y) else 'none'} for {self.type}; end its transforms with "
                "RemapLabels, and name as many classes as its NWays has"
            )
        earlier = (y[:, None] == y).tril(-1).sum(1)  # how many of its class stand before each
        support, query = (
            torch.nonzero(m)[:, 0] for m in (earlier < self.shots, earlier >= self.shots)
        )
        if len(query) == 0:
            raise InvalidTask(
                f"each class of the task has at most {self.shots} examples, so none is left to "
                "judge by; give KShots more than shots"
            )
        return Task(self.type, Examples((x[support],), y[support]), Examples((x[query],), y[query]))


def taskset_source(taskset: Any, type_: Type | str, shots: int) -> TasksetSource:
    """A `TaskDataset` of learn2learn as a task source.

    taskset: its transforms end with LoadData and RemapLabels.  type_: of the tasks, such as
    `image[1,28,28] -> label[5]`.  shots: the first that many of each class are the support.  What
    learn2learn draws from Python's, numpy's and torch's randomness follows the generator; give the
    taskset `num_tasks=-1`, because it remembers the tasks that it numbers.
    """
    parsed = parse_type(type_) if isinstance(type_, str) else type_
    if not isinstance(parsed, Arrow) or classes_of(parsed.result) == 0:
        raise InvalidTask(f"a taskset has tasks such as image[1,28,28] -> label[5], not {parsed}")
    if shots < 1:
        raise InvalidTask(f"{shots} examples of each class are no support; give at least 1")
    return TasksetSource(taskset, parsed, shots)


@contextmanager
def _seeded(generator: torch.Generator) -> Iterator[None]:
    """Python's, numpy's and torch's own randomness follow the generator, and come back after."""
    seed = int(torch.randint(1 << 31, (), generator=generator))
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
