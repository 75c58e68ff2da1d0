"""The pictures of "How search works" show what a trace holds."""

from __future__ import annotations

import importlib.util
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from metaloom_metalearn import Improvement, Trace

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "search_pictures.py"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("search_pictures", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "search_pictures", module)
    spec.loader.exec_module(module)
    return module


def trace() -> Trace:
    made = Trace()
    account = made.arm("enumerate")
    account.counts["scored"] = 9
    account.levels[3.0] = Counter(generated=10, distinct=4)
    account.levels[3.5] = Counter(generated=1000, distinct=90, failed=2)
    made.best.append(Improvement(0.1, "enumerate", "(lam (f<g> $0))", 60.0, 1))
    made.best.append(Improvement(0.5, "enumerate", "(lam $0)", 12.0, 6))
    return made


def test_every_level_has_its_bars_with_their_numbers(drawing: ModuleType) -> None:
    picture = ElementTree.fromstring(drawing.levels(trace()))
    titles = [title.text for title in picture.iter(f"{SVG}title")]
    assert "3 nats: 4 distinct" in titles
    assert "3.5 nats: 1000 generated" in titles


def test_every_improvement_is_a_dot_lower_than_the_one_before(drawing: ModuleType) -> None:
    runs = [drawing.Run("enumerate", trace(), 1.0)]
    picture = ElementTree.fromstring(drawing.improvements(runs))
    dots = list(picture.iter(f"{SVG}circle"))
    heights = [float(dot.attrib["cy"]) for dot in dots]
    assert len(dots) == 2
    assert heights[1] > heights[0]
    assert "(lam (f<g> $0)): 1 right, 60.0 nats at 0.10 s" in [
        title.text for dot in dots for title in dot
    ]
    assert "enumerate: 9 tried" in [text.text for text in picture.iter(f"{SVG}text")]
