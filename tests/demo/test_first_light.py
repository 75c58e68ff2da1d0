"""The demo, small: the whole way from training to lineage, as a newcomer sees it."""

import json
import re

import pytest

from metaloom import Hub
from metaloom_demo import run
from metaloom_metalearn import MemoryJournal

pytest.importorskip("sklearn", reason="the demo's digits come with scikit-learn")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def figures(folder):
    return run(seed=1, quick=True, home=folder, as_json=True)


@pytest.mark.timeout(400)
def test_the_figures_have_the_keys_of_the_benchmark_contract(figures):
    found = json.loads(json.dumps(figures.to_json()))
    for setting in ("5w1s", "5w5s"):
        row = found["few_shot"][setting]
        assert all(20 < row[k] <= 100 for k in ("library", "scratch", "pixels", "random"))
    assert {"program", "rmse_library", "rmse_frozen", "rmse_scratch"} <= set(found["sum"])
    assert {"program", "seconds", "exact"} <= set(found["list"])
    assert {"program", "exact"} <= set(found["reuse"])


def test_programs_are_exact_on_inputs_longer_than_any_example(figures):
    assert figures.list.exact == 1.0
    assert figures.reuse.exact == 1.0


def test_the_harder_program_uses_the_easier_one(figures, folder):
    assert "doubled_evens(xs)" in figures.reuse.source
    with Hub.open(folder) as hub:
        family = hub.lineage("demo/doubled-evens-and-total")
        assert "demo/doubled-evens@1" in {node.label for node in family.parents.nodes}


def test_a_block_that_saw_the_classes_of_an_episode_is_excluded(figures):
    for row in figures.few_shot:
        assert "demo/digit" in row.excluded
        assert not any("digit" in name for name in row.chosen)


def test_the_sum_is_better_than_its_controls(figures):
    assert figures.sum.rmse_library < min(figures.sum.rmse_frozen, figures.sum.rmse_scratch)


def test_the_report_is_one_page_that_asks_for_nothing_else(figures, folder):
    page = (folder / "report.html").read_text()
    assert page.count("<svg") >= 5
    assert page.count("data:image/png;base64,") > 50
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "doubled_evens(xs)" in page
    assert "prefers-color-scheme: dark" in page
    assert "max-width: 640px" in page


def test_a_second_run_takes_its_blocks_from_the_library(figures, folder):
    from metaloom_demo.library import character_block
    from metaloom_demo.scale import QUICK

    journal = MemoryJournal()
    with Hub.open(folder) as hub:
        block = character_block(hub, 1, QUICK, journal)
    assert str(block.reference) == "demo/characters@1"
    assert journal.events == []
