"""A layered drawing of a directed acyclic graph: every edge goes from left to right.

Sugiyama, Tagawa and Toda 1981, in a short form: a node stands one layer beyond the farthest it is
joined to on the way to the root; an edge that skips layers keeps a lane free in each; a layer is
ordered by where its neighbours nearer to the root stand, and moved towards them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Edge: TypeAlias = tuple[str, str]
"""From the node on the left to the one on the right."""

_Lane: TypeAlias = tuple[Edge, int]
"""The place of an edge in a layer that it crosses."""

LANE = 10.0
"""Height of a lane, in the unit of the sizes."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a node is: its left, top, width and height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The height at which edges come and go."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Layout:
    """Boxes by node, and the boxes that each edge passes: two at least, lanes between them."""

    boxes: Mapping[str, Box]
    routes: Mapping[Edge, Sequence[Box]]
    width: float
    height: float


def layered(
    sizes: Mapping[str, tuple[float, float]],
    edges: Iterable[Edge],
    root: str,
    gaps: tuple[float, float],
) -> Layout:
    """Place nodes of a width and a height each, which edges join to the root at any distance.

    `gaps` are those between layers and between the boxes of one.  The top left box is at 0, 0.
    """
    edges = list(dict.fromkeys(edges))
    layers = _layers(sizes, edges, root)
    lanes = {
        edge: [(edge, i) for i in range(layers[edge[0]] + 1, layers[edge[1]])] for edge in edges
    }
    columns: dict[int, list[str | _Lane]] = {}
    for node in sizes:
        columns.setdefault(layers[node], []).append(node)
    for lane in (lane for passed in lanes.values() for lane in passed):
        columns.setdefault(lane[1], []).append(lane)
    near = _neighbours(edges, lanes)
    tops: dict[str | _Lane, float] = {}
    heights: dict[str | _Lane, float] = {node: size[1] for node, size in sizes.items()}
    heights.update((lane, LANE) for passed in lanes.values() for lane in passed)
    for i in sorted(columns, key=abs):
        _stack(columns[i], near, tops, heights, gaps[1])
    least = min(tops.values())
    boxes: dict[str | _Lane, Box] = {}
    x = 0.0
    for i in sorted(columns):
        width = max((sizes[n][0] for n in columns[i] if isinstance(n, str)), default=0.0)
        for item in columns[i]:
            boxes[item] = Box(x, tops[item] - least, width, heights[item])
        x += width + gaps[0]
    return Layout(
        {node: boxes[node] for node in sizes},
        {e: [boxes[e[0]], *(boxes[lane] for lane in lanes[e]), boxes[e[1]]] for e in edges},
        x - gaps[0],
        max(box.y + box.height for box in boxes.values()),
    )


def _layers(nodes: Iterable[str], edges: Sequence[Edge], root: str) -> dict[str, int]:
    """The layer of each node: that of the root is 0, and edges lead to higher ones."""
    layers = {root: 0}
    order = _topological(nodes, edges)
    after: dict[str, list[str]] = {}
    before: dict[str, list[str]] = {}
    for left, right in edges:
        after.setdefault(left, []).append(right)
        before.setdefault(right, []).append(left)
    for node in order[order.index(root) :]:
        if node in layers:
            for other in after.get(node, ()):
                layers[other] = max(layers.get(other, 0), layers[node] + 1)
    for node in reversed(order[: order.index(root) + 1]):
        if node in layers:
            for other in before.get(node, ()):
                layers[other] = min(layers.get(other, 0), layers[node] - 1)
    return {node: layers.get(node, 0) for node in order}


def _topological(nodes: Iterable[str], edges: Sequence[Edge]) -> list[str]:
    """The nodes, what is on the left of an edge before what is on its right."""
    after: dict[str, list[str]] = {node: [] for node in nodes}
    missing = dict.fromkeys(after, 0)
    for left, right in edges:
        after[left].append(right)
        missing[right] += 1
    order = [node for node, count in missing.items() if count == 0]
    for node in order:
        for other in after[node]:
            missing[other] -= 1
            if missing[other] == 0:
                order.append(other)
    return order


def _neighbours(
    edges: Sequence[Edge], lanes: Mapping[Edge, Sequence[_Lane]]
) -> dict[str | _Lane, list[str | _Lane]]:
    near: dict[str | _Lane, list[str | _Lane]] = {}
    for edge in edges:
        chain: list[str | _Lane] = [edge[0], *lanes[edge], edge[1]]
        for one, other in pairwise(chain):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    return near


def _stack(
    column: list[str | _Lane],
    near: Mapping[str | _Lane, Sequence[str | _Lane]],
    tops: dict[str | _Lane, float],
    heights: Mapping[str | _Lane, float],
    gap: float,
) -> None:
    """Put a layer in order and one below the other, each as near to its neighbours as it goes."""
    wanted: dict[str | _Lane, float] = {}
    for item in column:
        placed = [tops[n] + heights[n] / 2 for n in near.get(item, ()) if n in tops]
        wanted[item] = sum(placed) / len(placed) if placed else 0.0
    column.sort(key=wanted.__getitem__)
    end, moved = float("-inf"), 0.0
    for item in column:
        tops[item] = max(end + gap, wanted[item] - heights[item] / 2)
        end = tops[item] + heights[item]
        moved += tops[item] + heights[item] / 2 - wanted[item]
    for item in column:
        tops[item] -= moved / len(column)
