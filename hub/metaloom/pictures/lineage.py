"""A lineage as a picture: what a block came from on its left, what came of it on its right.

Primitives that the same things require share a box.  What a run took is drawn at the run, and not
again at what the run made.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from metaloom.pictures.layered import Box, Layout, layered

if TYPE_CHECKING:
    from metaloom.family import Family
    from metaloom_registry.catalogue import Edge, Node

_CHARACTER = 7.3  # width of a character of the 12 px monospace face, in pixels
_SMALL = 6.4  # of the 10.5 px one
_LONGEST = 38
_LINE = 14.0
_GAPS = (104.0, 16.0)
_PAD = 18.0

_COLOURS = {
    "block": ("#fff0d9", "#c77700"),
    "run": ("#e3f4ea", "#2b8a57"),
    "task": ("#e9e6fb", "#5b4bc4"),
    "primitive": ("#eef2f7", "#5b6b7f"),
}
_OTHER = ("#ffffff", "#8a94a3")
_INK, _PALE, _EDGE = "#1d2733", "#5b6b7f", "#8a94a3"


@dataclass(frozen=True, slots=True)
class _Card:
    """What a box shows: a name, lines below it, and on pointing at it all that is known."""

    kind: str
    name: str
    lines: tuple[str, ...]
    tip: str

    @property
    def size(self) -> tuple[float, float]:
        wide = max([len(self.name) * _CHARACTER, *(len(line) * _SMALL for line in self.lines), 60])
        return wide + 22, 26 + _LINE * len(self.lines)


def lineage_svg(family: Family) -> str:
    """Draw a family as an SVG document: a column a generation, a curve an edge, with its role.

    Labels are shown as text whatever they hold.
    """
    nodes = {node.key: node for node in (*family.parents.nodes, *family.children.nodes)}
    edges = _told_once(dict.fromkeys((*family.parents.edges, *family.children.edges)))
    cards, owner = _cards(nodes, edges, family.root.key)
    roles: dict[tuple[str, str], str] = {}
    for edge in edges:
        roles.setdefault((owner[edge.parent], owner[edge.child]), edge.role)
    sizes = {key: card.size for key, card in cards.items()}
    layout = layered(sizes, roles, family.root.key, _GAPS)
    curves = "".join(_curve(route) for route in layout.routes.values())
    labels = "".join(_roles(parent, roles, layout) for parent in {p: None for p, _ in roles})
    boxes = "".join(
        _box(card, layout.boxes[key], key == family.root.key) for key, card in cards.items()
    )
    complete = family.parents.complete and family.children.complete
    legend, wide = _legend({card.kind for card in cards.values()}, complete, layout.height + 34)
    width, height = max(layout.width, wide) + 2 * _PAD, layout.height + 44 + 2 * _PAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'aria-label="the lineage of {_text(family.root.label)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">'
        f'<path d="M0 0h{width:.0f}v{height:.0f}h-{width:.0f}z" fill="#ffffff"/>'
        f'<g transform="translate({_PAD},{_PAD})">{curves}{labels}{boxes}{legend}</g></svg>\n'
    )


def _told_once(edges: Iterable[Edge]) -> list[Edge]:
    """The edges without those that lead around a run: what it took to what it made."""
    edges = list(edges)
    made_by = {edge.child: edge.parent for edge in edges if edge.role == "made-by"}
    ends = {(edge.parent, edge.child) for edge in edges}
    return [e for e in edges if (e.parent, made_by.get(e.child, "")) not in ends]


def _cards(
    nodes: Mapping[str, Node], edges: Sequence[Edge], root: str
) -> tuple[dict[str, _Card], dict[str, str]]:
    """The boxes by their keys, and for each node the key of the box that it is in."""
    users: dict[str, list[str]] = {}
    for edge in edges:
        users.setdefault(edge.parent, []).append(edge.child)
    groups: dict[str | frozenset[str], list[Node]] = {}
    for key, node in nodes.items():
        shared = node.kind == "primitive" and key != root
        groups.setdefault(frozenset(users.get(key, ())) if shared else key, []).append(node)
    cards: dict[str, _Card] = {}
    owner: dict[str, str] = {}
    for members in groups.values():
        first = members[0]
        owner.update((node.key, first.key) for node in members)
        cards[first.key] = _alone(first) if len(members) == 1 else _together(members)
    return cards, owner


def _alone(node: Node) -> _Card:
    lines = (_short(node.detail),) if node.detail else ()
    tip = "\n".join(filter(None, (f"{node.kind} {node.label}", node.detail, node.key)))
    return _Card(node.kind, _ends(node.label), lines, tip)


def _together(members: Sequence[Node]) -> _Card:
    """Primitives in one box, a line or more for each namespace; a first version goes unsaid."""
    spaces: dict[str, list[str]] = {}
    for label in sorted(node.label for node in members):
        space, _, name = label.rpartition("/")
        spaces.setdefault(space, []).append(name.removesuffix("@1"))
    lines = [
        line
        for space, names in spaces.items()
        for line in textwrap.wrap(f"{space}: {', '.join(names)}", _LONGEST, subsequent_indent="  ")
    ]
    tip = "\n".join(node.label for node in members)
    return _Card("primitive", f"{len(members)} primitives", tuple(lines), tip)


def _box(card: _Card, box: Box, root: bool) -> str:
    fill, stroke = _COLOURS.get(card.kind, _OTHER)
    middle = box.x + box.width / 2
    lines = "".join(
        f'<text x="{middle:.1f}" y="{box.y + 17 + _LINE * i:.1f}" text-anchor="middle" '
        f'fill="{_PALE}" font-size="10.5" xml:space="preserve">{_text(line)}</text>'
        for i, line in enumerate(card.lines, 1)
    )
    return (
        f"<g><title>{_text(card.tip)}</title>"
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="7" fill="{fill}" stroke="{stroke}" stroke-width="{2.6 if root else 1.2}"/>'
        f'<text x="{middle:.1f}" y="{box.y + 17:.1f}" text-anchor="middle" fill="{_INK}" '
        f'font-weight="{"bold" if root else "normal"}">{_text(card.name)}</text>{lines}</g>'
    )


def _curve(route: Sequence[Box]) -> str:
    """From the right of the first box, through lanes, to the left of the last, with a tip there."""
    x, y = route[0].x + route[0].width, route[0].middle
    steps = [f"M{x:.1f} {y:.1f}"]
    for box in route[1:]:
        bend = (box.x - x) / 2
        steps.append(
            f"C{x + bend:.1f} {y:.1f} {box.x - bend:.1f} {box.middle:.1f} "
            f"{box.x:.1f} {box.middle:.1f}"
        )
        x, y = box.x, box.middle
        if box is not route[-1]:
            x += box.width
            steps.append(f"H{x:.1f}")
    tip = f"M{x - 7:.1f} {y - 3.5:.1f}L{x:.1f} {y:.1f}L{x - 7:.1f} {y + 3.5:.1f}"
    return (
        f'<path d="{"".join(steps)}{tip}" fill="none" stroke="{_EDGE}" stroke-width="1.3" '
        f'stroke-linejoin="round"/>'
    )


def _roles(parent: str, roles: Mapping[tuple[str, str], str], layout: Layout) -> str:
    """What the edges that leave a box mean, where they leave, on the side they turn away from."""
    box = layout.boxes[parent]
    mine = {ends: role for ends, role in roles.items() if ends[0] == parent}
    rise = sum(box.middle - layout.routes[ends][1].middle for ends in mine)
    y = box.middle + (13 if rise > 0 else -5)
    return (
        f'<text x="{box.x + box.width + 8:.1f}" y="{y:.1f}" fill="{_PALE}" font-size="10" '
        f'paint-order="stroke" stroke="#ffffff" stroke-width="3">'
        f"{_text(', '.join(dict.fromkeys(mine.values())))}</text>"
    )


def _legend(kinds: set[str], complete: bool, y: float) -> tuple[str, float]:
    """What the colours mean, and where there is more than is drawn, how to see it; its width."""
    marks, x = [], 0.0
    for kind, (fill, stroke) in _COLOURS.items():
        if kind in kinds:
            marks.append(
                f'<circle cx="{x + 6:.1f}" cy="{y - 4:.1f}" r="5" fill="{fill}" stroke="{stroke}"/>'
                f'<text x="{x + 16:.1f}" y="{y:.1f}" fill="{_PALE}" font-size="10.5">{kind}</text>'
            )
            x += 34 + len(kind) * _SMALL
    if not complete:
        more = "... there is more; a greater depth shows it"
        marks.append(
            f'<text x="{x + 6:.1f}" y="{y:.1f}" fill="{_PALE}" font-size="10.5">{more}</text>'
        )
        x += 6 + len(more) * _SMALL
    return "".join(marks), x


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _ends(label: str) -> str:
    """A label without its middle where it is long: its version stands at the end."""
    half = _LONGEST // 2
    return label if len(label) <= _LONGEST else f"{label[: half - 1]}…{label[-half:]}"


def _text(text: str) -> str:
    """The text as XML holds it: escaped, without the characters that XML forbids."""
    return escape("".join(c for c in text if c >= " " or c in "\n\t"))
