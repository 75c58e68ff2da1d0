"""The benchmark on lists of digits: who sees which image, and what belongs to each list."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmarks.digit_programs import Scale, figures, line
from benchmarks.digits.lists import Images, Split, balanced, counted, cycled, summed
from benchmarks.digits.readings import distance
from torch import nn

from metaloom_metalearn import RecurrentControl, rmse


def images(count: int = 40) -> Images:
    """Images that show their own number."""
    labels = torch.arange(count) % 10
    return Images(torch.arange(count).float().reshape(-1, 1, 1, 1), labels)


def written(folder: Path, first: int, count: int) -> Path:
    pixels = np.zeros((count, 28, 28), np.uint8)
    pixels[:, 0, 0] = np.arange(first, first + count)
    folder.mkdir()
    np.savez(folder / "mnist.npz", images=pixels, labels=np.arange(count, dtype=np.uint8) % 10)
    return folder / "mnist.npz"


def shown(some: Images) -> set[int]:
    return {round(float(p) * 255) for p in some.pixels[:, 0, 0, 0]}


def test_recogniser_programs_and_tests_see_different_images(tmp_path: Path) -> None:
    split = Split.of(written(tmp_path / "a", 0, 100), None, torch.Generator().manual_seed(0))
    seen = [shown(split.recogniser), shown(split.programs), shown(split.test)]
    assert [len(one) for one in seen] == [60, 20, 20]
    assert set.union(*seen) == set(range(100))


def test_other_data_is_for_the_tests_alone(tmp_path: Path) -> None:
    train, test = written(tmp_path / "a", 0, 100), written(tmp_path / "b", 100, 50)
    split = Split.of(train, test, torch.Generator().manual_seed(0))
    assert len(split.recogniser) + len(split.programs) == 100
    assert shown(split.test) == set(range(100, 150))


def test_lists_carry_their_counts_and_sums() -> None:
    generator = torch.Generator().manual_seed(0)
    lists = counted(images(), 3, cycled((2, 3), 20), generator)
    assert {len(p) for p in lists.places} == {2, 3}
    for place, total in zip(lists.places, lists.totals, strict=True):
        assert int((images().labels[place] == 3).sum()) == total
    sums = summed(images(), [4] * 9, generator)
    for place, total in zip(sums.places, sums.totals, strict=True):
        assert int(images().labels[place].sum()) == total
    assert lists.take([1, 0]).totals == (lists.totals[1], lists.totals[0])
    assert lists.ragged().rows() == len(lists.examples()) == 20


def test_half_of_balanced_images_show_the_digit() -> None:
    some = balanced(images(), 3)
    assert len(some) == 72
    assert int((some.labels == 3).sum()) == 36


def test_the_figures_are_those_of_the_contract() -> None:
    facts = {"library": 0.2, "frozen": 0.4, "scratch": 1.0, "generated": 9, "trained": 2}
    tables = {"CS1": {"2%": {"count d1": facts, "count d2": facts | {"library": 0.4}}}}
    found = figures(tables, Scale())
    assert found["rmse"]["count_library"] == pytest.approx(0.3)
    assert found["rmse"]["sum_library"] is None
    assert (found["programs_generated"], found["programs_trained"]) == (9, 2)
    json.dumps(found)
    assert distance([1, 3], [1, 1]) == pytest.approx(2**0.5)


def test_an_lstm_that_stops_early_is_as_good_on_held_out_lists_as_it_ever_was() -> None:
    generator = torch.Generator().manual_seed(0)
    points = Images(torch.randn(40, 2, generator=generator), torch.arange(40) % 2)
    lists = summed(points, cycled((1, 2, 3), 60), generator)
    held = lists.take(range(20)).ragged(), lists.take(range(20)).wanted()
    rest = lists.take(range(20, 60))
    control = RecurrentControl(nn.Identity(), rate=3e-2, cell=nn.LSTMCell)

    def error(steps: int) -> float:
        generator = torch.Generator().manual_seed(1)
        model = control.fit(rest.ragged(), rest.wanted(), generator, steps, held=held)
        return rmse(model, *held)

    errors = [error(steps) for steps in (20, 60, 120)]
    assert errors == sorted(errors, reverse=True)


def test_a_line_of_the_table_names_its_task() -> None:
    facts = {"library": 0.2, "scratch": 1.0, "lists": 120, "trained": 0, "seconds": 1.5}
    said = line("CS1", "2%", "count d1", facts | {"program": "(lam $0)"})
    assert said.split()[:4] == ["CS1", "2%", "count", "d1"]
    assert said.endswith("library 0.2000, scratch 1.0000, lists 120, trained 0, 1.5 s, (lam $0)")
    assert line("SS", "2%", "sum", {"error": "nothing fits"}).endswith("nothing fits")
