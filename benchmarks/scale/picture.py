"""How costs grow with the number of blocks, as a picture: an SVG with both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 40, 50
COLOURS = (
    "#1b6ca8", "#c0392b", "#27865a", "#8e5ea2", "#d68910", "#16a5a5", "#7f6000", "#5d6d7e",
    "#e0559b", "#3d3d9e", "#6aa121", "#a04000", "#2e4053", "#b03a7a", "#117864", "#935116",
)  # fmt: skip


def growth(costs: Mapping[int, Mapping[str, float]]) -> str:
    """`costs`: milliseconds of each kind, by the number of blocks."""
    sizes = sorted(costs)
    every = [value for found in costs.values() for value in found.values()]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))
    first, last = math.log10(sizes[0]), math.log10(max(sizes[-1], sizes[0] * 10))

    def x(size: float) -> float:
        return LEFT + (math.log10(size) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (math.log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">Milliseconds (95th percentile) by the number of '
        "blocks, SQLite</text>",
    ]
    for power in range(low, high + 1):
        at = y(10.0**power)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    for size in sizes:
        at = x(size)
        parts.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{size:,}</text>'
        )
    kinds = sorted(costs[sizes[-1]], key=lambda kind: -costs[sizes[-1]][kind])
    for place, kind in enumerate(kinds):
        colour = COLOURS[place % len(COLOURS)]
        points = [(x(size), y(costs[size][kind])) for size in sizes if kind in costs[size]]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        at = TOP + 16 + place * 22
        parts.append(
            f'<rect x="{WIDTH - RIGHT + 14}" y="{at - 9}" width="12" height="4" fill="{colour}"/>'
        )
        said = f"{kind.replace('_', ' ')}: {costs[sizes[-1]][kind]:.1f}"
        parts.append(f'<text x="{WIDTH - RIGHT + 32}" y="{at - 3}">{escape(said)}</text>')
    return "\n".join([*parts, "</svg>", ""])
