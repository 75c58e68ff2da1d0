"""The pictures of the learners are well-formed and hold every line."""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks.pictures.learners import draw

SVG = "{http://www.w3.org/2000/svg}"


def test_every_method_has_a_line_in_every_panel() -> None:
    by_shots = {shots: {"accuracy": 60.0 + int(shots)} for shots in ("1", "5", "20")}
    metrics = {
        "heads": {"prototypes": by_shots, "ridge": by_shots},
        "frozen": {"lora": {"digits": by_shots, "negative": by_shots}},
        "regression": {
            "maml": {"steps": [0, 10], "error": [4.0, 1.0]},
            "pretraining": {"error": [3.0]},
        },
    }
    lines = {
        name: len(list(ElementTree.fromstring(picture).iter(f"{SVG}polyline")))
        for name, picture in draw(metrics).items()
    }
    assert lines == {"gradient-learners.svg": 2, "heads.svg": 2, "frozen-encoder.svg": 2}
