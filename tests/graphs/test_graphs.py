"""Graphs: the primitives against brute force, as terms of smaller parts, and found by search."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_dictionaries import PRIMITIVES as DICTIONARIES
from metaloom_graphs import PRIMITIVES
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import Clock, Enumerate, Evaluator, Patience, Task, parse_jsonl, solve
from metaloom_recursion import PRIMITIVES as RECURSION
from metaloom_registry import (
    Digest,
    Entry,
    EvaluationError,
    FrozenDict,
    MemoryLibrary,
    PrimitiveTable,
    Reference,
    infer,
    parse_term,
    parse_type,
    print_term,
)
from metaloom_registry.testing import values

TABLE = PrimitiveTable((*PRIMITIVES, *DICTIONARIES, *LISTS, *RECURSION))
GRAPHS = values(parse_type("graph[int]")).filter(bool)

REACHABLE = """(lam (lam (fixpoint
    (lam (union $0 (to_set (flatten (map (lam (neighbours $0 $2)) (to_list $0))))))
    (insert $1 empty_set))))"""
RELAX = """(lam (lam (lam (if (has_key (first $0) $1)
    (put (second $0) (min (add (lookup (first $0) $1) (weight (first $0) (second $0) $2))
        (get (add (lookup (first $0) $1) (weight (first $0) (second $0) $2)) (second $0) $1)) $1)
    $1))))"""
DISTANCES = f"""(lam (lam (fixpoint
    (lam (fold (lam (lam ({RELAX} $3 $1 $0))) $0 (edges $1)))
    (put $1 0 empty_dict))))"""
"""Shortest paths as a fold over the edges, again and again (Bellman 1958, Ford 1956)."""


def value(text: str, *arguments: Any) -> Any:
    term = parse_term(text, TABLE.short_names)
    infer(term, lambda reference: TABLE[reference].signature)
    return Evaluator(TABLE.__getitem__).value(term, *arguments)


def graph(**rows: dict[str, int]) -> FrozenDict[str, FrozenDict[str, int]]:
    return FrozenDict((node, FrozenDict(row)) for node, row in rows.items())


CITY = graph(a={"b": 4, "c": 1}, b={"d": 1}, c={"b": 1}, d={}, e={"d": 1})


def test_the_primitives_say_of_a_graph_what_is_so() -> None:
    assert value("neighbours", "a", CITY) == ("b", "c")
    assert value("degree", "a", CITY) == 2
    assert value("reachable", "c", CITY) == {"c", "b", "d"}
    assert value("components", graph(a={"c": 1}, b={}, c={}, d={"b": 2})) == (
        ("a", "c"),
        ("b", "d"),
    )
    assert value("topological_order", CITY) == ("a", "c", "b", "e", "d")
    assert value("distances", "a", CITY) == {"a": 0, "b": 2, "c": 1, "d": 3}
    assert value("shortest_path", "a", "d", CITY) == ("a", "c", "b", "d")


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("neighbours", ("z", CITY), "the graph has no node 'z'"),
        ("reachable", ("z", CITY), "the graph has no node 'z'"),
        ("distance", ("a", "z", CITY), "no path leads from 'a' to 'z'"),
        ("distance", ("d", "a", CITY), "no path leads from 'd' to 'a'"),
        ("shortest_path", ("a", "z", CITY), "the graph has no node 'z'"),
        ("shortest_path", ("d", "a", CITY), "no path leads from 'd' to 'a'"),
        ("weight", ("d", "a", CITY), "no edge from 'd' to 'a'"),
        ("topological_order", (graph(a={"b": 1}, b={"a": 1}),), "a cycle has no topological order"),
        ("distances", ("a", graph(a={"a": -1})), "negative weight has no place"),
        ("shortest_path", ("a", "b", graph(a={"b": 0}, b={})), "weight 0 makes shortest paths"),
        ("distance", ("a", "c", graph(a={"b": (1 << 63) - 1}, b={"c": 1}, c={})), "overflows"),
    ],
)  # fmt: skip
def test_what_is_not_in_a_graph_is_told(text: str, arguments: Any, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        value(text, *arguments)


def test_a_graph_of_many_nodes_is_walked_without_recursion() -> None:
    count = 20_000
    long = FrozenDict((i, FrozenDict({i + 1: 1} if i < count - 1 else {})) for i in range(count))
    assert value("distance", 0, count - 1, long) == count - 1
    assert len(value("topological_order", long)) == len(value("reachable", 0, long)) == count
    assert value("components", long) == (tuple(range(count)),)
    full: FrozenDict[int, Any] = FrozenDict(dict.fromkeys(range(100_000), FrozenDict()))
    with pytest.raises(EvaluationError, match="larger than the 100000 allowed"):
        value("(add_node -1)", full)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(GRAPHS, st.data())
def test_reachable_and_shortest_paths_are_terms_of_smaller_parts(
    g: Any, data: st.DataObject
) -> None:
    start = data.draw(st.sampled_from(list(g)))
    assert value(REACHABLE, start, g) == value("reachable", start, g)
    assert value(DISTANCES, start, g) == value("distances", start, g)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(GRAPHS, st.data())
def test_the_primitives_agree_with_brute_force(g: Any, data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(list(g)))
    walks = [(start, *rest) for n in range(len(g)) for rest in permutations(set(g) - {start}, n)]
    lengths: dict[Any, int] = {}
    for walk in walks:
        steps = list(pairwise(walk))
        if all(v in g[u] for u, v in steps):
            length = sum(g[u][v] for u, v in steps)
            lengths[walk[-1]] = min(length, lengths.get(walk[-1], length))
    assert value("distances", start, g) == lengths
    assert value("reachable", start, g) == set(lengths)
    parts = value("components", g)
    assert sorted(node for part in parts for node in part) == sorted(g)
    assert all(any({u, v} <= set(part) for part in parts) for u, row in g.items() for v in row)


def task(*lines: str, type_: str) -> Task:
    header = f'{{"type": "{type_}", "allow": ["recursion"]}}'
    return parse_jsonl("\n".join([header, *lines]))


def library(names: str, **programs: str) -> MemoryLibrary:
    """Some primitives, and programs as blocks over all of them."""
    made = MemoryLibrary.of([TABLE[TABLE.short_names[name]] for name in names.split()])
    for name, text in programs.items():
        term = parse_term(text, TABLE.short_names)
        digest = Digest.of(print_term(term).encode())
        type_ = infer(term, lambda reference: TABLE[reference].signature)
        made.add(Entry(Reference(None, digest), digest, "program", type_, f"me/{name}"), term)
    for digest, (entry, primitive) in MemoryLibrary.of(TABLE).blocks.items():
        if digest not in made.blocks:  # of a type that no search makes
            made.blocks[digest] = (replace(entry, type=parse_type("store[int]")), primitive)
    return made


def test_a_search_finds_reachability_of_smaller_parts() -> None:
    parts = library(
        "fixpoint insert empty_set union",
        step="""(lam (lam
            (union $0 (to_set (flatten (map (lam (neighbours $0 $2)) (to_list $0)))))))""",
    )
    solution = solve(
        task(
            '{"inputs": ["a", [["a", "b"], ["b", "c"], ["c", "d"], ["d", "e"], ["e", "f"]]], '
            '"o": ["a", "b", "c", "d", "e", "f"]}',
            '{"inputs": ["c", {"a": ["b"], "b": ["c"], "c": ["d"], "d": []}], "o": ["c", "d"]}',
            '{"inputs": ["x", {"x": ["x"], "y": ["x"]}], "o": ["x"]}',
            type_="text -> graph[text] -> set[text]",
        ),
        parts,
        clock=Clock(30.0),
        searches=[Enumerate()],
    )
    assert "fixpoint" in solution.text
    assert solution.predict("e", CITY) == {"d", "e"}


WALKED = ("reachable", "components", "distances", "distance", "shortest_path")
"""The primitives that follow edges further than one step."""


def test_reachability_is_found_from_single_steps_among_all_primitives() -> None:
    chain = [["a", "b"], ["b", "c"], ["c", "d"], ["d", "e"], ["e", "f"]]
    round_ = [["a", "b"], ["b", "a"], ["a", "c"], ["d", "c"], ["d", "e"]]
    split = [["p", "q"], ["p", "r"], ["r", "s"], ["s", "r"], ["t", "p"], ["t", "u"]]
    shown = [
        (chain, "a", "abcdef"), (chain, "e", "ef"), (chain, "f", "f"), (round_, "b", "abc"),
        (round_, "d", "cde"), (split, "p", "pqrs"), (split, "t", "pqrstu"), (split, "s", "rs"),
    ]  # fmt: skip
    lines = [
        json.dumps({"inputs": [start, edges], "o": list(reached)})
        for edges, start, reached in shown
    ]
    clock = Clock(20.0, time.process_time)
    solution = solve(
        task(*lines, type_="text -> graph[text] -> set[text]"),
        MemoryLibrary.of([p for p in TABLE if p.short not in WALKED]),
        clock=clock,
        searches=[Enumerate(patience=Patience(alternatives=0))],
    )
    assert solution.right == len(shown)
    assert clock.elapsed() < 10
    assert solution.predict("e", CITY) == {"d", "e"}
    assert solution.predict("a", CITY) == {"a", "b", "c", "d"}


def test_a_search_finds_shortest_paths_as_a_fold_over_edges() -> None:
    parts = library("fixpoint fold edges", relax=RELAX, start="(lam (put $0 0 empty_dict))")
    solution = solve(
        task(
            '{"inputs": ["a", {"a": {"b": 4, "c": 1}, "b": {"d": 1}, "c": {"b": 1}, "d": {}}], '
            '"o": {"a": 0, "b": 2, "c": 1, "d": 3}}',
            '{"inputs": ["b", {"d": {}, "c": {"d": 2}, "a": {"d": 7}, "b": {"a": 1, "c": 5}}], '
            '"o": {"b": 0, "a": 1, "c": 5, "d": 7}}',
            '{"inputs": ["e", [["b", "a"], ["c", "b"], ["d", "c"], ["e", "d", 3]]], '
            '"o": {"e": 0, "d": 3, "c": 4, "b": 5, "a": 6}}',
            type_="text -> graph[text] -> dict[text, int]",
        ),
        parts,
        clock=Clock(60.0),
        searches=[Enumerate(patience=Patience(alternatives=0))],
    )
    assert solution.right == 3
    assert "lists/fold@1" in solution.text
    assert "fixpoint" in solution.text
    assert solution.predict("e", CITY) == {"e": 0, "d": 1}
