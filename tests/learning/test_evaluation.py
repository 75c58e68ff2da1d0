"""Accuracy over episodes: intervals, pairing, and methods that cannot look at the answers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloom_heads import nearest, prototypes
from metaloom_metalearn import (
    ArrayEpisodes,
    Episodes,
    Interval,
    LabelledArrays,
    Support,
    compare,
    fresh_head,
    with_head,
    with_learner,
)
from metaloom_registry import InvalidTask


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def source() -> ArrayEpisodes:
    centres = torch.rand(8, 1, 3, 3, generator=seeded(0))
    labels = torch.arange(8).repeat_interleave(10)
    noise = 0.4 * torch.randn(80, 1, 3, 3, generator=seeded(1))
    arrays = LabelledArrays(
        (centres[labels] + noise).clamp(0, 1), labels, tuple("abcdefgh"), "test/noisy"
    )
    return ArrayEpisodes(arrays, 4, 2, 5)


def test_an_interval_is_the_mean_and_its_standard_error() -> None:
    interval = Interval.of([1.0, 2.0, 3.0, 6.0])
    assert interval.mean == 3.0
    assert interval.half == pytest.approx(1.96 * (14 / 3) ** 0.5 / 2)
    assert interval.low < 3 < interval.high
    assert str(interval) == "3.00 ± 2.12"
    with pytest.raises(InvalidTask, match="1 episodes have no confidence interval"):
        Interval.of([1.0])


def test_the_interval_covers_the_mean_nineteen_times_in_twenty() -> None:
    draws = torch.randn(2000, 50, generator=seeded(0), dtype=torch.float64)
    covered = [Interval.of(row) for row in draws]
    share = sum(one.low < 0 < one.high for one in covered) / len(covered)
    assert 0.93 < share < 0.96


def test_methods_are_compared_on_the_same_episodes(source: ArrayEpisodes) -> None:
    def one_by_one(episodes: Episodes) -> torch.Tensor:
        rows = []
        for x, y, q in zip(episodes.support_x, episodes.support_y, episodes.query_x, strict=True):
            rows.append(prototypes(Support(x.flatten(1), y, 4), q.flatten(1)).argmax(1))
        return torch.stack(rows)

    result = compare(
        {
            "prototypes": with_head(nn.Flatten(), prototypes),
            "looped": one_by_one,
            "nearest": with_head(nn.Flatten(), nearest),
            "first": lambda episodes: torch.zeros_like(episodes.query_y),
        },
        source,
        30,
        seeded(3),
        chunk=7,
    )
    assert result.accuracy("first").mean == 25.0
    assert result.difference("prototypes", "looped").mean == 0.0
    assert result.best(["first", "nearest"]) == "nearest"
    paired = result.difference("prototypes", "first")
    assert paired.n == 30
    assert paired.mean == pytest.approx(result.accuracy("prototypes").mean - 25.0)
    assert paired.low > 10


def test_a_learner_is_a_method(source: ArrayEpisodes) -> None:
    learner = fresh_head(4, steps=30)
    result = compare({"head": with_learner(nn.Flatten(), learner, seeded(0))}, source, 5, seeded(1))
    assert result.accuracy("head").mean > 40


def test_the_answers_are_hidden_from_the_methods(source: ArrayEpisodes) -> None:
    def peek(episodes: Episodes) -> torch.Tensor:
        assert bool((episodes.query_y == -1).all())
        return episodes.query_y

    assert compare({"peek": peek}, source, 4, seeded(0)).accuracy("peek").mean == 0.0


def test_a_method_that_does_not_answer_every_query_is_refused(source: ArrayEpisodes) -> None:
    with pytest.raises(InvalidTask, match=r"'few' gives \[2, 1\] for queries \[2, 20\]"):
        compare({"few": lambda e: e.query_y[:, :1]}, source, 2, seeded(0))
