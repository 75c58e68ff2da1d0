"""What a graph is made of: nodes, edges, weights."""

from __future__ import annotations

from typing import Any, TypeAlias

from metaloom_registry import EvaluationError, FrozenDict, Primitive

MAX_NODES = 100_000

Row: TypeAlias = FrozenDict[Any, int]
Graph: TypeAlias = FrozenDict[Any, Row]


def row_of(node: Any, g: Graph) -> Row:
    """The successors of a node. Raises EvaluationError where the graph does not have it."""
    try:
        return g[node]
    except KeyError:
        raise EvaluationError(f"the graph has no node {str(node)[:40]!r}") from None


def weight(start: Any, end: Any, g: Graph) -> int:
    try:
        return row_of(start, g)[end]
    except KeyError:
        raise EvaluationError(
            f"the graph has no edge from {str(start)[:40]!r} to {str(end)[:40]!r}"
        ) from None


def edges(g: Graph) -> tuple[tuple[Any, Any], ...]:
    return tuple([(start, end) for start, row in g.items() for end in row])


def graph_of(rows: dict[Any, dict[Any, int]]) -> Graph:
    """The graph of these rows. Raises EvaluationError where it is too large."""
    if len(rows) > MAX_NODES:
        raise EvaluationError(
            f"a graph of {len(rows)} nodes is larger than the {MAX_NODES} allowed"
        )
    return FrozenDict((node, FrozenDict(row)) for node, row in rows.items())


def from_edges(pairs: tuple[tuple[Any, Any], ...]) -> Graph:
    rows: dict[Any, dict[Any, int]] = {}
    for start, end in pairs:
        rows.setdefault(start, {})[end] = 1
        rows.setdefault(end, {})
    return graph_of(rows)


def add_node(node: Any, g: Graph) -> Graph:
    return graph_of({**g, node: g.get(node, FrozenDict())})


def add_edge(start: Any, end: Any, cost: int, g: Graph) -> Graph:
    row = {**g.get(start, {}), end: cost}
    return graph_of({**g, start: row, end: row if start == end else g.get(end, FrozenDict())})


def transpose(g: Graph) -> Graph:
    rows: dict[Any, dict[Any, int]] = {node: {} for node in g}
    for start, row in g.items():
        for end, cost in row.items():
            rows[end][start] = cost
    return graph_of(rows)


_LINE = FrozenDict({1: FrozenDict({2: 7}), 2: FrozenDict()})

STRUCTURE = (
    Primitive(
        "graphs/empty_graph", 1, "graph[a]", "The graph without nodes.", (), FrozenDict,
        source="{}",
        examples=(("(order empty_graph)", 0), ("(add_edge 1 2 7 empty_graph)", _LINE)),
    ),
    Primitive(
        "graphs/add_node", 1, "a -> graph[a] -> graph[a]",
        "The graph with this node too, which comes last where it is new.", ("node", "g"), add_node,
        source="{**g, node: g.get(node, {})}",
        examples=(
            ("(add_node 1 empty_graph)", FrozenDict({1: FrozenDict()})),
            ("(add_node 1 (add_edge 1 2 7 empty_graph))", _LINE),
        ),
    ),
    Primitive(
        "graphs/add_edge", 1, "a -> a -> int -> graph[a] -> graph[a]",
        "The graph with an edge of this weight from the first to the second, and both nodes.",
        ("start", "end", "cost", "g"), add_edge,
        source=(
            "{**g, start: {**g.get(start, {}), end: cost}, "
            "**({} if start == end else {end: g.get(end, {})})}"
        ),
        examples=(
            ("(add_edge 1 2 7 empty_graph)", _LINE),
            ("(weight 1 2 (add_edge 1 2 3 (add_edge 1 2 7 empty_graph)))", 3),
        ),
    ),
    Primitive(
        "graphs/from_edges", 1, "list[(a, a)] -> graph[a]",
        "The graph of these edges, each of weight 1, and of their ends.", ("pairs",), from_edges,
        source=(
            "{node: {end: 1 for start, end in pairs if start == node} "
            "for pair in pairs for node in pair}"
        ),
        examples=(
            ("(from_edges (edges (add_edge 1 2 7 empty_graph)))",
             FrozenDict({1: FrozenDict({2: 1}), 2: FrozenDict()})),
            ("(from_edges (edges empty_graph))", FrozenDict()),
        ),
    ),
    Primitive(
        "graphs/nodes", 1, "graph[a] -> list[a]", "The nodes, in the order they were put in.",
        ("g",), tuple,
        source="list(g)",
        examples=(("(nodes (add_edge 3 2 1 empty_graph))", (3, 2)), ("(nodes empty_graph)", ())),
    ),
    Primitive(
        "graphs/edges", 1, "graph[a] -> list[(a, a)]",
        "The two ends of each edge, by the order of the nodes.", ("g",), edges,
        source="[(start, end) for start in g for end in g[start]]",
        examples=(
            ("(edges (add_edge 3 2 1 empty_graph))", ((3, 2),)),
            ("(edges (add_edge 1 2 1 (add_edge 2 1 1 empty_graph)))", ((2, 1), (1, 2))),
        ),
    ),
    Primitive(
        "graphs/order", 1, "graph[a] -> int", "How many nodes the graph has.", ("g",), len,
        source="len(g)",
        examples=(("(order (add_edge 3 2 1 empty_graph))", 2), ("(order empty_graph)", 0)),
    ),
    Primitive(
        "graphs/has_edge", 1, "a -> a -> graph[a] -> bool",
        "Whether there is an edge from the first to the second.",
        ("start", "end", "g"), lambda start, end, g: end in g.get(start, ()),
        source="end in g.get(start, ())",
        examples=(
            ("(has_edge 1 2 (add_edge 1 2 7 empty_graph))", True),
            ("(has_edge 2 1 (add_edge 1 2 7 empty_graph))", False),
        ),
    ),
    Primitive(
        "graphs/weight", 1, "a -> a -> graph[a] -> int",
        "The weight of the edge from the first to the second; none where there is no edge.",
        ("start", "end", "g"), weight,
        source="g[start][end]",
        examples=(
            ("(weight 1 2 (add_edge 1 2 7 empty_graph))", 7),
            ("(weight 2 1 (transpose (add_edge 1 2 7 empty_graph)))", 7),
        ),
    ),
    Primitive(
        "graphs/neighbours", 1, "a -> graph[a] -> list[a]",
        "The nodes that an edge leads to from this one.",
        ("node", "g"), lambda node, g: tuple(row_of(node, g)),
        source="list(g[node])",
        examples=(
            ("(neighbours 1 (add_edge 1 2 7 empty_graph))", (2,)),
            ("(neighbours 2 (add_edge 1 2 7 empty_graph))", ()),
        ),
    ),
    Primitive(
        "graphs/degree", 1, "a -> graph[a] -> int", "How many edges lead from this node.",
        ("node", "g"), lambda node, g: len(row_of(node, g)),
        source="len(g[node])",
        examples=(
            ("(degree 1 (add_edge 1 2 7 empty_graph))", 1),
            ("(degree 2 (add_edge 1 2 7 empty_graph))", 0),
        ),
    ),
    Primitive(
        "graphs/transpose", 1, "graph[a] -> graph[a]", "The graph with every edge turned round.",
        ("g",), transpose,
        source="{node: {start: g[start][node] for start in g if node in g[start]} for node in g}",
        examples=(
            ("(edges (transpose (add_edge 1 2 7 empty_graph)))", ((2, 1),)),
            ("(transpose (transpose (add_edge 1 2 7 empty_graph)))", _LINE),
        ),
    ),
)  # fmt: skip
"""The primitives on nodes and edges."""
