"""What edges lead to: reachable nodes, connected components, topological order."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Any

from metaloom_graphs.structure import Graph, row_of
from metaloom_registry import EvaluationError, Primitive


def reachable(node: Any, g: Graph) -> frozenset[Any]:
    row_of(node, g)
    seen, waiting = {node}, [node]
    while waiting:
        for end in g[waiting.pop()]:
            if end not in seen:
                seen.add(end)
                waiting.append(end)
    return frozenset(seen)


def successors(nodes: frozenset[Any], g: Graph) -> frozenset[Any]:
    return frozenset(end for node in nodes for end in row_of(node, g))


def components(g: Graph) -> tuple[tuple[Any, ...], ...]:
    """Union-find, each part known by its first node."""
    place = {node: i for i, node in enumerate(g)}
    parent = dict(zip(g, g, strict=True))

    def root(node: Any) -> Any:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for start, row in g.items():
        for end in row:
            one, other = sorted((root(start), root(end)), key=place.__getitem__)
            parent[other] = one
    parts: dict[Any, list[Any]] = {}
    for node in g:
        parts.setdefault(root(node), []).append(node)
    return tuple(map(tuple, parts.values()))


def topological_order(g: Graph) -> tuple[Any, ...]:
    """Kahn 1962, always the first node that may come next."""
    nodes = tuple(g)
    place = {node: i for i, node in enumerate(nodes)}
    before = dict.fromkeys(g, 0)
    for row in g.values():
        for end in row:
            before[end] += 1
    ready = [place[node] for node in g if not before[node]]
    heapify(ready)
    found: list[Any] = []
    while ready:
        found.append(nodes[heappop(ready)])
        for end in g[found[-1]]:
            before[end] -= 1
            if not before[end]:
                heappush(ready, place[end])
    if len(found) < len(g):
        raise EvaluationError("a graph with a cycle has no topological order")
    return tuple(found)


TRAVERSAL = (
    Primitive(
        "graphs/successors", 1, "set[a] -> graph[a] -> set[a]",
        "The nodes that an edge leads to from one of these.", ("nodes", "g"), successors,
        source="{end for node in nodes for end in g[node]}",
        examples=(
            ("(successors (reachable 1 (add_edge 1 2 7 empty_graph)) (add_edge 1 2 7 empty_graph))",
             frozenset({2})),
            ("(successors (reachable 2 (add_edge 1 2 7 empty_graph)) (add_edge 1 2 7 empty_graph))",
             frozenset()),
        ),
    ),
    Primitive(
        "graphs/reachable", 1, "a -> graph[a] -> set[a]",
        "The nodes that edges lead to from this one, itself included.", ("node", "g"), reachable,
        source="reduce(lambda seen, _: seen | {end for u in seen for end in g[u]}, g, {node})",
        imports=("from functools import reduce",),
        examples=(
            ("(reachable 1 (add_edge 1 2 7 empty_graph))", frozenset({1, 2})),
            ("(reachable 2 (add_edge 1 2 7 empty_graph))", frozenset({2})),
        ),
    ),
    Primitive(
        "graphs/components", 1, "graph[a] -> list[list[a]]",
        "The nodes that edges hold together, in either direction, by their first node.",
        ("g",), components,
        source=(
            "(lambda part: [[u for u in g if part[u] == i] for i in dict.fromkeys(part.values())])"
            "(reduce(lambda part, _: "
            "{u: min(part[v] for v in g if v == u or v in g[u] or u in g[v]) for u in g}, "
            "g, {u: i for i, u in enumerate(g)}))"
        ),
        imports=("from functools import reduce",),
        examples=(
            ("(components (add_node 3 (add_edge 2 1 7 empty_graph)))", ((2, 1), (3,))),
            ("(components empty_graph)", ()),
        ),
    ),
    Primitive(
        "graphs/topological_order", 1, "graph[a] -> list[a]",
        "The nodes, each after all that lead to it, else as they stand; none of a cycle.",
        ("g",), topological_order,
        source=(
            "reduce(lambda done, _: [*done, next(u for u in g if u not in done "
            "and all(v in done for v in g if u in g[v]))], g, [])"
        ),
        imports=("from functools import reduce",),
        examples=(
            ("(topological_order (transpose (add_edge 1 2 7 empty_graph)))", (2, 1)),
            ("(topological_order empty_graph)", ()),
        ),
    ),
)  # fmt: skip
"""The primitives on what edges lead to."""
