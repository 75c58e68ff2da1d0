"""Shortest paths over edges whose weights are not negative (Dijkstra 1959)."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from metaloom_graphs.structure import Graph, row_of, transpose
from metaloom_registry import EvaluationError, FrozenDict, Primitive

HIGHEST = (1 << 63) - 1


def _distances(node: Any, g: Graph) -> dict[Any, int]:
    row_of(node, g)
    place = {one: i for i, one in enumerate(g)}
    far = {node: 0}
    done: set[Any] = set()
    waiting = [(0, place[node], node)]
    while waiting:
        so_far, _, start = heappop(waiting)
        if start in done:
            continue
        done.add(start)
        for end, cost in g[start].items():
            if cost < 0:
                raise EvaluationError("an edge of negative weight has no place in shortest paths")
            total = so_far + cost
            if end not in far or total < far[end]:
                far[end] = total
                heappush(waiting, (total, place[end], end))
    if any(total > HIGHEST for total in far.values()):
        raise EvaluationError("an integer overflows 64 bits")
    return far


def distances(node: Any, g: Graph) -> FrozenDict[Any, int]:
    far = _distances(node, g)
    return FrozenDict((one, far[one]) for one in g if one in far)


def distance(start: Any, end: Any, g: Graph) -> int:
    far = _distances(start, g)
    if end not in far:
        raise _no_path(start, end)
    return far[end]


def shortest_path(start: Any, end: Any, g: Graph) -> tuple[Any, ...]:
    row_of(start, g)
    to = _distances(end, transpose(g))
    if start not in to:
        raise _no_path(start, end)
    path = [start]
    while path[-1] != end:
        row, left = g[path[-1]], to[path[-1]]
        if 0 in row.values():
            raise EvaluationError("an edge of weight 0 makes shortest paths endless")
        path.append(next(v for v, cost in row.items() if v in to and cost + to[v] == left))
    return tuple(path)


def _no_path(start: Any, end: Any) -> EvaluationError:
    return EvaluationError(f"no path leads from {str(start)[:40]!r} to {str(end)[:40]!r}")


_EDGES = "[(u, v) for _ in g for u in g for v in g[u]]"
_FROM = (
    "reduce(lambda far, e: {**far, e[1]: min(far[e[0]] + g[e[0]][e[1]], "
    "far.get(e[1], far[e[0]] + g[e[0]][e[1]]))} if e[0] in far else far, "
    f"{_EDGES}, {{start: 0}})"
)
_TO = (
    "reduce(lambda far, e: {**far, e[0]: min(far[e[1]] + g[e[0]][e[1]], "
    "far.get(e[0], far[e[1]] + g[e[0]][e[1]]))} if e[1] in far else far, "
    f"{_EDGES}, {{end: 0}})"
)
_REDUCE = ("from functools import reduce",)

PATHS = (
    Primitive(
        "graphs/distances", 1, "a -> graph[a] -> dict[a, int]",
        "How far each node is that edges lead to from this one: the least sum of weights.",
        ("start", "g"), distances,
        source=f"(lambda far: {{w: far[w] for w in g if w in far}})({_FROM})", imports=_REDUCE,
        examples=(
            ("(distances 1 (add_edge 1 2 7 empty_graph))", FrozenDict({1: 0, 2: 7})),
            ("(distances 1 (add_edge 1 3 9 (add_edge 2 3 1 (add_edge 1 2 7 empty_graph))))",
             FrozenDict({1: 0, 2: 7, 3: 8})),
        ),
    ),
    Primitive(
        "graphs/distance", 1, "a -> a -> graph[a] -> int",
        "The least sum of weights from the first node to the second; none where no path leads.",
        ("start", "end", "g"), distance,
        source=f"{_FROM}[end]", imports=_REDUCE,
        examples=(
            ("(distance 1 2 (add_edge 1 2 7 empty_graph))", 7),
            ("(distance 2 2 (add_edge 1 2 7 empty_graph))", 0),
        ),
    ),
    Primitive(
        "graphs/shortest_path", 1, "a -> a -> graph[a] -> list[a]",
        "The nodes of a shortest path; none where no path leads, or an edge of it weighs 0.",
        ("start", "end", "g"), shortest_path,
        source=(
            "(lambda to: reduce(lambda path, _: path if path[-1] == end else [*path, "
            "next(w for w in g[path[-1]] if w in to "
            "and g[path[-1]][w] + to[w] == to[path[-1]])], g, [start]))"
            f"({_TO})"
        ),
        imports=_REDUCE,
        examples=(
            ("(shortest_path 1 2 (add_edge 1 2 7 empty_graph))", (1, 2)),
            ("(shortest_path 1 3 (add_edge 1 3 9 (add_edge 2 3 1 (add_edge 1 2 7 empty_graph))))",
             (1, 2, 3)),
        ),
    ),
)  # fmt: skip
"""The primitives on shortest paths."""
