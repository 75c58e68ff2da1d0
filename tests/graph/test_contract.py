"""The contract of benchmarks: one command line, one JSON object as the last line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.blocks.kinds import conv4
from benchmarks.blocks.loading import Subject, images, load_times
from benchmarks.contract import Options, run


def test_the_last_line_is_one_json_object(capsys):
    run("some_name", lambda options: {"seen": options.seed}, ["--seed", "7", "--quick", "--json"])
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["name"] == "some_name"
    assert line["metrics"] == {"seen": 7}
    assert line["config"]["quick"] is True


def test_folders_are_handed_on():
    seen: list[Options] = []

    def measure(options: Options) -> dict[str, int]:
        seen.append(options)
        return {}

    run("some_name", measure, ["--data", "a", "--train-data", "b"])
    assert seen == [Options(Path("a"), Path("b"), 0, False)]


def test_numbers_are_whole_and_fractions_need_not_be(capsys):
    kinds = {"numbers": {"count": "how many"}, "fractions": {"minutes": "how long"}}
    given = ["--count", "3", "--minutes", "0.5", "--json"]
    run("some_name", lambda options: {"long": options.fractions["minutes"]}, given, **kinds)
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert line["metrics"] == {"long": 0.5}
    assert (line["config"]["count"], line["config"]["minutes"]) == (3, 0.5)
    with pytest.raises(SystemExit):
        run("some_name", lambda options: {}, ["--count", "0.5"], **kinds)


def test_an_unknown_option_is_an_error():
    with pytest.raises(SystemExit):
        run("some_name", lambda options: {}, ["--fast"])


def test_a_conv4_loads_many_times_faster_than_torch_export_loads_it():
    subject = Subject("net", lambda: conv4(8), "image[1,28,28] -> vec[8]", images(1, 28, 28))
    found = load_times(subject, rounds=3, formats=frozenset())
    assert found["times_faster"]["pt2"] > 10
    assert found["bytes"]["block"] < found["bytes"]["pt2"]
    assert set(found["load_ms"]) == {"block", "published", "pt2", "pickle"}
