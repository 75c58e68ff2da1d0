"""The curves of `benchmarks.strategies` as a picture of "How search works".

python -m benchmarks.strategies --save && python -m benchmarks.pictures.strategies
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.contract import RESULTS
from benchmarks.pictures.learners import PICTURES, Panel, chart


def drawn(metrics: Mapping[str, Any]) -> str:
    """The share of tasks solved against seconds of processor time, a line a search."""
    times = list(next(iter(metrics["solved"].values())))
    lines = {
        name: [100 * number / metrics["tasks"] for number in each.values()]
        for name, each in metrics["solved"].items()
    }
    title = f"Share of {metrics['tasks']} list tasks solved, in percent"
    panel = Panel("each search alone", "seconds of processor time a task", times, lines)
    return chart(title, [panel], 0.0, 100.0)


if __name__ == "__main__":
    kept = json.loads((RESULTS / "strategies.json").read_text(encoding="utf-8"))
    picture = drawn(kept["metrics"])
    (PICTURES / "search-strategies.svg").write_text(picture, encoding="utf-8")
