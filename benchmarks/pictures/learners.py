"""The comparisons of `benchmarks.learners` as pictures of the documents.

python -m benchmarks.learners --save && python -m benchmarks.pictures.learners
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.contract import RESULTS, ROOT

PICTURES = ROOT / "docs" / "pictures"
WIDTH, HEIGHT = 300, 240
LEFT, TOP, BOTTOM, KEY = 46, 34, 40, 150
COLOURS = (
    "#1b6ca8", "#c0392b", "#27865a", "#8e5ea2", "#d68910", "#16a5a5", "#7f6000", "#5d6d7e",
)  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """Lines over shared places on the x axis, each place with its label."""

    title: str
    below: str
    labels: Sequence[str]
    lines: Mapping[str, Sequence[float]]


def chart(title: str, panels: Sequence[Panel], low: float, high: float) -> str:
    """Panels side by side with one y axis from `low` to `high`, and the key on the right."""
    whole = LEFT + len(panels) * WIDTH + KEY
    names = list(panels[0].lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {TOP + HEIGHT + BOTTOM}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{whole}" height="{TOP + HEIGHT + BOTTOM}" fill="white"/>',
        f'<text x="8" y="15" font-size="13">{escape(title)}</text>',
    ]
    for place, name in enumerate(names):
        at = TOP + 16 + 17 * place
        parts.append(f'<path d="M{whole - KEY + 6} {at - 4}h18" {_stroke(place)}/>')
        parts.append(f'<text x="{whole - KEY + 30}" y="{at}">{escape(name)}</text>')
    for i, panel in enumerate(panels):
        parts += _panel(panel, names, LEFT + i * WIDTH, low, high)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, names: Sequence[str], left: int, low: float, high: float) -> Sequence[str]:
    inner = WIDTH - 24

    def x(place: float) -> float:
        return left + inner * place / max(1, len(panel.labels) - 1)

    def y(value: float) -> float:
        return TOP + HEIGHT * (1 - (min(value, high) - low) / (high - low))

    parts = [f'<text x="{left}" y="{TOP - 5}" fill="#444">{escape(panel.title)}</text>']
    for step in range(6):
        value = low + (high - low) * step / 5
        parts.append(f'<path d="M{left} {y(value):.1f}h{inner}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{left - 5}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    for place, label in enumerate(panel.labels):
        parts.append(
            f'<text x="{x(place):.1f}" y="{TOP + HEIGHT + 15}" text-anchor="middle">'
            f"{escape(label)}</text>"
        )
    parts.append(
        f'<text x="{left}" y="{TOP + HEIGHT + 31}" fill="#444">{escape(panel.below)}</text>'
    )
    for place, name in enumerate(names):
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(panel.lines[name]))
        parts.append(f'<polyline points="{points}" {_stroke(place)}/>')
    return parts


def _stroke(place: int) -> str:
    dash = ' stroke-dasharray="5 3"' if place >= len(COLOURS) else ""
    return f'fill="none" stroke="{COLOURS[place % len(COLOURS)]}" stroke-width="1.8"{dash}'


def draw(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The pictures by file name."""
    regression = dict(metrics["regression"])
    pretraining = regression.pop("pretraining")["error"][0]
    steps = next(iter(regression.values()))["steps"]
    errors = {name: found["error"] for name, found in regression.items()}
    errors["pretraining"] = [pretraining] * len(steps)
    heads, frozen = metrics["heads"], metrics["frozen"]
    shots = list(next(iter(heads.values())))

    def accuracies(found: Mapping[str, Mapping[str, float]]) -> list[float]:
        return [found[shot]["accuracy"] for shot in shots]

    return {
        "gradient-learners.svg": chart(
            "Squared error on new sinusoids after 5 steps on 10 points",
            [Panel("", "meta-training steps", [str(s) for s in steps], errors)],
            0,
            5,
        ),
        "heads.svg": chart(
            "Accuracy in % on new digits, by head",
            [Panel("", "examples a class", shots, {n: accuracies(f) for n, f in heads.items()})],
            70,
            100,
        ),
        "frozen-encoder.svg": chart(
            "Accuracy in % on new digits, by how the encoder is adapted",
            [
                Panel(
                    where,
                    "examples a class",
                    shots,
                    {name: accuracies(found[key]) for name, found in frozen.items()},
                )
                for where, key in (("digits", "digits"), ("the same in negative", "negative"))
            ],
            50,
            100,
        ),
    }


def main() -> None:
    """Draw what the last saved run measured."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS / "learners.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    PICTURES.mkdir(exist_ok=True)
    for name, picture in draw(metrics).items():
        (PICTURES / name).write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
