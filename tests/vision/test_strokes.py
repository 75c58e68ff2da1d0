"""Invented characters: seeded, in range, the same character again, drawn as the digits were."""

from __future__ import annotations

import pytest
import torch

from metaloom_heads import prototypes
from metaloom_metalearn import ArrayEpisodes, compare, with_head
from metaloom_metalearn.testing.task_source import TaskSourceSuite
from metaloom_vision import (
    Characters,
    Style,
    digit_tasks,
    digits,
    draw,
    invent,
    invented_characters,
    stroke_tasks,
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestEpisodesOfInventedCharacters(TaskSourceSuite):
    @pytest.fixture
    def source(self) -> ArrayEpisodes:
        return ArrayEpisodes(invented_characters(20, 6, seeded(0)), ways=5, shots=1, queries=3)


class TestTasksOfInventedCharactersBySettings(TaskSourceSuite):
    @pytest.fixture
    def source(self) -> ArrayEpisodes:
        return stroke_tasks(ways=4, shots=2, queries=3, characters=30, size=12)


class TestTasksOfRealDigitsBySettings(TaskSourceSuite):
    @pytest.fixture
    def source(self) -> ArrayEpisodes:
        return digit_tasks()


def test_equal_seeds_invent_and_draw_equal_characters_and_others_others() -> None:
    one, same, other = (invented_characters(5, 3, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.inputs, same.inputs)
    assert not torch.equal(one.inputs, other.inputs)
    assert one.classes == same.classes
    assert not set(one.classes) & set(other.classes)


@pytest.mark.parametrize("size", [8, 16, 28])
def test_drawings_are_ink_between_0_and_1_that_fills_the_height(size: int) -> None:
    images = draw(invent(40, seeded(0)), 5, size, seeded(1))
    assert images.shape == (40, 5, 1, size, size)
    assert float(images.min()) == 0
    assert float(images.max()) == 1
    used = (images > 0).any(-1).float().mean()
    assert used > 0.85


def test_the_ink_is_spread_as_in_the_real_digits() -> None:
    real, invented = digits().inputs, invented_characters(300, 5, seeded(0)).inputs
    assert float(invented.mean()) == pytest.approx(float(real.mean()), rel=0.15)
    assert float((invented > 0).float().mean()) == pytest.approx(
        float((real > 0).float().mean()), rel=0.15
    )
    assert torch.equal((invented * 16).round(), invented * 16)


def test_a_straight_stroke_of_a_steady_hand_is_a_bar() -> None:
    steady = Style(jitter=0, turn=0, lean=0, stretch=0, pen=(0.25, 0.25))
    line = torch.stack([torch.zeros(6), torch.linspace(0, 1, 6)], 1)
    bar = Characters(line[None, None], torch.ones(1, 1, dtype=torch.bool))
    image = draw(bar, 1, 8, seeded(0), steady)[0, 0, 0]
    assert float(image[:, 3:5].mean()) > 0.85
    assert float(image[:, :2].sum() + image[:, 6:].sum()) == 0


def test_strokes_that_are_not_there_leave_no_ink() -> None:
    characters = invent(10, seeded(0), Style(strokes=(1.0, 0.0, 0.0)))
    assert characters.present.tolist() == [[True, False, False]] * 10
    elsewhere = characters.points.clone()
    elsewhere[:, 1:] = 5.0
    moved = Characters(elsewhere, characters.present)
    assert torch.equal(draw(characters, 2, 8, seeded(0)), draw(moved, 2, 8, seeded(0)))


def test_two_drawings_of_a_character_are_nearer_than_two_characters() -> None:
    source = ArrayEpisodes(invented_characters(50, 8, seeded(0)), ways=5, shots=3, queries=5)
    found = compare({"pixels": with_head(torch.nn.Flatten(), prototypes)}, source, 50, seeded(1))
    assert 70 < found.accuracy("pixels").mean < 97
