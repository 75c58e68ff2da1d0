"""The suite that a task source passes: subclass it and say which source.

class TestMine(TaskSourceSuite):
    @pytest.fixture
    def source(self): return Mine()
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import pytest
import torch

from metaloom_metalearn.episodes import EpisodeSource, stack_tasks
from metaloom_metalearn.tasks import Examples, Task, TaskSource, Values
from metaloom_registry import Tensor, is_closed


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _equal(one: Values, other: Values) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    return one == other


def _columns(examples: Examples) -> tuple[Values, ...]:
    return (*examples.inputs, examples.outputs)


def _same(one: Task, other: Task) -> bool:
    parts = [(one.support, other.support)]
    if one.query is not None and other.query is not None:
        parts.append((one.query, other.query))
    return one.type == other.type and all(
        _equal(a, b) for x, y in parts for a, b in zip(_columns(x), _columns(y), strict=True)
    )


class TaskSourceSuite(ABC):
    """What holds of every source of tasks."""

    @pytest.fixture
    @abstractmethod
    def source(self) -> TaskSource:
        """The source under test."""

    def test_equal_generators_draw_equal_tasks(self, source: TaskSource) -> None:
        assert _same(source.sample(_seeded(1)), source.sample(_seeded(1)))

    def test_one_generator_draws_one_task_after_another(self, source: TaskSource) -> None:
        generator = _seeded(1)
        tasks = [source.sample(generator) for _ in range(4)]
        assert not all(_same(tasks[0], task) for task in tasks[1:])

    def test_torchs_own_randomness_is_left_alone(self, source: TaskSource) -> None:
        before = torch.get_rng_state()
        source.sample(_seeded(1))
        assert torch.equal(before, torch.get_rng_state())

    def test_the_values_are_of_the_tasks_type(self, source: TaskSource) -> None:
        task = source.sample(_seeded(1))
        assert is_closed(task.type)
        for examples in filter(None, (task.support, task.query)):
            assert len(examples) > 0
            for column, part in zip(_columns(examples), (*task.given, task.want), strict=True):
                if isinstance(part, Tensor):
                    _check(column, part)
                else:
                    assert isinstance(column, tuple)

    def test_support_and_query_share_no_example(self, source: TaskSource) -> None:
        task = source.sample(_seeded(1))
        assert task.query is not None
        first, second = task.support.inputs[0], task.query.inputs[0]
        if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
            both = torch.cat([first, second]).flatten(1)
            near = torch.cdist(both.double(), both.double())
            assert bool((near[: len(first), len(first) :] > 0).all())
        else:
            assert not set(first) & set(second)

    def test_many_tasks_at_once_have_the_shape_of_one(self, source: TaskSource) -> None:
        if not isinstance(source, EpisodeSource):
            pytest.skip("draws one task at a time")
        one = stack_tasks([source.sample(_seeded(1))])
        many = source.episodes(3, _seeded(1))
        assert len(many) == 3
        assert many.classes == one.classes
        for name in ("support_x", "support_y", "query_x", "query_y"):
            assert getattr(many, name).shape[1:] == getattr(one, name).shape[1:]
            assert getattr(many, name).dtype == getattr(one, name).dtype


def _check(column: Values, wanted: Tensor) -> None:
    assert isinstance(column, torch.Tensor)
    assert str(column.dtype) == f"torch.{wanted.dtype}"
    assert bool(torch.isfinite(column).all())
    if wanted.kind == "label":
        size = wanted.dimensions[0]
        assert column.dim() == 1
        assert int(column.min()) >= 0
        assert isinstance(size, int)
        assert int(column.max()) < size
        return
    assert tuple(column.shape[1:]) == wanted.dimensions
    if wanted.kind == "image":
        assert float(column.min()) >= 0
        assert float(column.max()) <= 1
