"""A lineage as a picture: what a block came from on its left, what came of it on its right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metaloom.family import Family
    from metaloom_registry.catalogue import Lineage, Node

_CHARACTER = 7.2  # width of a character of the 12 px monospace face, in pixels
_LONGEST = 30
_HEIGHT = 40.0
_GAP_X = 92.0
_GAP_Y = 14.0
_PAD = 16.0

_COLOURS = {
    "block": ("#fff0d9", "#c77700"),
    "primitive": ("#eef2f7", "#5b6b7f"),
    "run": ("#e3f4ea", "#2b8a57"),
    "task": ("#e9e6fb", "#5b4bc4"),
}


def lineage_svg(family: Family) -> str:
    """Draw a family as an SVG document: a column a generation, a curve an edge, with its role.

    Labels are shown as text whatever they hold.
    """
    columns = _columns(family)
    places = _places(columns)
    nodes = {node.key: node for column in columns.values() for node in column}
    edges = dict.fromkeys((*family.parents.edges, *family.children.edges))
    lines = [_curve(places[e.parent], places[e.child], e.role) for e in edges]
    boxes = [_box(nodes[key], place, key == family.root.key) for key, place in places.items()]
    width = max(x + w for x, _, w in places.values()) + _PAD
    height = max(y for _, y, _ in places.values()) + _HEIGHT + _PAD
    more = not (family.parents.complete and family.children.complete)
    note = (
        f'<text x="{_PAD}" y="{height + 8:.0f}" fill="#5b6b7f">... there is more; '
        "a greater depth shows it</text>"
        if more
        else ""
    )
    height += 20 if more else 0
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="the lineage of {_text(family.root.label)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">'
        f"{''.join(lines)}{''.join(boxes)}{note}</svg>\n"
    )


def _columns(family: Family) -> dict[int, list[Node]]:
    """The nodes by generation: parents below 0, the root at 0, children above."""
    columns: dict[int, list[Node]] = {0: [family.root]}
    known = {family.root.key}
    for lineage, sign in ((family.parents, -1), (family.children, 1)):
        for depth, level in enumerate(_levels(lineage)):
            new = [node for node in level if node.key not in known]
            known.update(node.key for node in new)
            if new:
                columns.setdefault(sign * (depth + 1), []).extend(new)
    return dict(sorted(columns.items()))


def _levels(lineage: Lineage) -> Sequence[Sequence[Node]]:
    """The nodes of a lineage by their distance from its root, without the root."""
    nodes = {node.key: node for node in lineage.nodes}
    steps: dict[str, list[str]] = {}
    for edge in lineage.edges:
        near, far = edge.child, edge.parent
        if lineage.direction == "children":
            near, far = far, near
        steps.setdefault(near, []).append(far)
    levels: list[list[Node]] = []
    reached, frontier = {lineage.root}, [lineage.root]
    while frontier:
        frontier = list(
            dict.fromkeys(f for key in frontier for f in steps.get(key, ()) if f not in reached)
        )
        reached.update(frontier)
        if frontier:
            levels.append([nodes[key] for key in frontier])
    return levels


def _places(columns: Mapping[int, Sequence[Node]]) -> dict[str, tuple[float, float, float]]:
    """The left, top and width of each node, in pixels; columns are centred on each other."""
    tallest = max(len(column) for column in columns.values()) * (_HEIGHT + _GAP_Y) - _GAP_Y
    places = {}
    x = _PAD
    for column in columns.values():
        width = max(_width(node) for node in column)
        y = _PAD + (tallest - len(column) * (_HEIGHT + _GAP_Y) + _GAP_Y) / 2
        for node in column:
            places[node.key] = (x, y, width)
            y += _HEIGHT + _GAP_Y
        x += width + _GAP_X
    return places


def _width(node: Node) -> float:
    longest = max(len(_short(node.label)), len(_short(node.detail)), 8)
    return longest * _CHARACTER + 20


def _box(node: Node, place: tuple[float, float, float], root: bool) -> str:
    x, y, width = place
    fill, stroke = _COLOURS.get(node.kind, ("#ffffff", "#8a94a3"))
    middle = x + width / 2
    return (
        f"<g><title>{_text(node.kind)} {_text(node.label)}\n{_text(node.detail)}\n"
        f"{_text(node.key)}</title>"
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT}" rx="6" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{2.6 if root else 1.2}"/>'
        f'<text x="{middle:.1f}" y="{y + 17:.1f}" text-anchor="middle" fill="#1d2733" '
        f'font-weight="{"bold" if root else "normal"}">{_text(_short(node.label))}</text>'
        f'<text x="{middle:.1f}" y="{y + 32:.1f}" text-anchor="middle" fill="#5b6b7f" '
        f'font-size="10.5">{_text(_short(node.detail))}</text></g>'
    )


def _curve(parent: tuple[float, float, float], child: tuple[float, float, float], role: str) -> str:
    """From the right of the parent to the left of the child, wherever they stand."""
    x1, y1 = parent[0] + parent[2], parent[1] + _HEIGHT / 2
    x2, y2 = child[0], child[1] + _HEIGHT / 2
    bend = max(abs(x2 - x1) / 2, 30.0)
    return (
        f'<path d="M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} '
        f'{x2:.1f} {y2:.1f}" fill="none" stroke="#8a94a3" stroke-width="1.3"/>'
        f'<text x="{(x1 + x2) / 2:.1f}" y="{(y1 + y2) / 2 - 4:.1f}" text-anchor="middle" '
        f'fill="#5b6b7f" font-size="10">{_text(role)}</text>'
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _text(text: str) -> str:
    """The text as XML holds it: escaped, without the characters that XML forbids."""
    return escape("".join(c for c in text if c >= " " or c in "\n\t"))
