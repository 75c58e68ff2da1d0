"""`metaloom solve --search`: one search by name, with its settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def evens(tmp_path: Path) -> Path:
    file = tmp_path / "evens.jsonl"
    file.write_text(
        '{"i": [1, 2, 3, 4], "o": [2, 4]}\n{"i": [5, 6], "o": [6]}\n'
        '{"i": [8, 8, 1], "o": [8, 8]}\n{"i": [7, 3, 9], "o": []}\n'
    )
    return file


def test_a_task_is_solved_by_the_search_that_is_named(metaloom: Command, evens: Path) -> None:
    done = metaloom("solve", evens, "--budget", "30s", "--search", "beam", "--set", "width=8")
    assert done.code == 0, done.err
    done = metaloom(
        "solve", evens, "--budget", "30s", "--search", "evolve", "--seed", "3", "--json"
    )
    assert done.json["search"] == "evolve"
    assert done.json["seed"] == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--search", "beem"), "did you mean 'beam'?"),
        (("--search", "beam", "--set", "depth=3"), "the search beam has no setting 'depth'"),
        (("--search", "beam", "--set", "width=0.5"), "the search beam takes as width int, not 0.5"),
        (("--search", "beam", "--set", "width=0"), "give 1 or more"),
        (("--set", "width=8"), "choose one with --search"),
    ],
)
def test_a_search_that_is_not_there_or_takes_no_such_setting_is_an_error(
    metaloom: Command, evens: Path, options: tuple[str, ...], said: str
) -> None:
    done = metaloom("solve", evens, *options)
    assert done.code != 0
    assert said in done.err
