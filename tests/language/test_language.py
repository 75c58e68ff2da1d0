"""The whole language, all plugins of plain values together: sound, and equal to its Python."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaloom_dictionaries import PRIMITIVES as DICTIONARIES
from metaloom_graphs import PRIMITIVES as GRAPHS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_memory import PRIMITIVES as MEMORY
from metaloom_metalearn import Evaluator, Limits
from metaloom_metalearn.search.grammar.grammar import Function, grammar_of
from metaloom_metalearn.search.grammar.universe import universe_of
from metaloom_recursion import PRIMITIVES as RECURSION
from metaloom_registry import (
    Arrow,
    Entry,
    EvaluationError,
    FrozenDict,
    Primitive,
    PrimitiveTable,
    Term,
    Type,
    TypeMismatch,
    check,
    frozen_value,
    infer,
    parse_term,
    parse_type,
    primitive_entry,
    print_term,
    python_module,
    term_from_json,
    term_to_json,
    uncurried,
)
from metaloom_registry.testing import interpret, terms, values
from metaloom_text import PRIMITIVES as TEXT

PLUGINS: dict[str, tuple[Primitive, ...]] = {
    "lists": LISTS, "text": TEXT, "dictionaries": DICTIONARIES, "graphs": GRAPHS, "memory": MEMORY,
    "recursion": RECURSION,
}  # fmt: skip
TABLE = PrimitiveTable([p for primitives in PLUGINS.values() for p in primitives])
SMALL = PrimitiveTable(
    [p for p in TABLE if p.short not in ("while", "iterate", "fixpoint", "fix", "unfold")]
)
TYPES = (
    "dict[text, int] -> list[text]",
    "list[text] -> dict[text, int]",
    "dict[int, list[int]] -> dict[int, int]",
    "set[int] -> set[int] -> set[int]",
    "list[int] -> set[int]",
    "graph[int] -> dict[int, list[int]]",
    "int -> graph[int] -> int",
    "list[(text, text)] -> graph[text]",
    "dict[(int, bool), bool] -> bool",
    "store[dict[text, int]] -> text -> (int, store[dict[text, int]])",
)


def test_every_short_name_means_one_primitive_of_all_plugins() -> None:
    shared = {p.short for p in TABLE} - set(TABLE.short_names)
    assert not shared


@settings(
    max_examples=80, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.sampled_from(TYPES), st.data())
def test_a_well_typed_program_has_a_typed_value_the_same_everywhere_or_says_why_not(
    text: str, data: st.DataObject
) -> None:
    type_ = parse_type(text)
    arguments = []
    result = type_
    term = data.draw(terms(type_, SMALL))
    while isinstance(result, Arrow):
        arguments.append(data.draw(values(result.argument)))
        result = result.result
    check(term, type_, lambda reference: TABLE[reference].signature)
    assert parse_term(print_term(term)) == term
    assert term_from_json(term_to_json(term)) == term
    found = outcome(term, *arguments)
    if isinstance(found, EvaluationError):
        for sign in ("TypeError", "AttributeError", "KeyError", "unhashable", "cannot be applied"):
            assert sign not in str(found), "it failed for a type reason"
        return
    expected = interpret(term, TABLE.__getitem__)
    for argument in arguments:
        expected = expected(argument)
    assert expected == found
    assert order_of(expected) == order_of(found)
    assert order_of(in_python(term, *arguments)) == order_of(found)


def outcome(term: Term, *arguments: Any) -> Any:
    """The value, or the error there is instead."""
    try:
        return Evaluator(TABLE.__getitem__, Limits(steps=3_000, items=300)).value(term, *arguments)
    except EvaluationError as error:
        return error


def in_python(term: Term, *arguments: Any) -> Any:
    names: dict[str, Any] = {}
    exec(python_module(term, TABLE.__getitem__), names)
    return frozen_value(names["solution"](*map(thawed, arguments)))


def thawed(value: Any) -> Any:
    """The value as Python programs have it; a tuple of two may be a pair, of more is a list."""
    if isinstance(value, FrozenDict):
        return {key: thawed(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return set(value)
    return value


def order_of(value: Any) -> Any:
    """The value with the order of its keys told."""
    if isinstance(value, FrozenDict):
        return [(key, order_of(item)) for key, item in value.items()]
    return tuple(map(order_of, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("(put (range 3) 1 empty_dict)", r"list\[int\]"),
        ("(insert (lam $0) empty_set)", "a -> a"),
        ("(lam (add_node (keys $0) empty_graph))", r"list\[a\]"),
        ("(lam (to_set (map (lam (insert $0 empty_set)) $0)))", r"set\[a\]"),
    ],
)
def test_a_key_that_nothing_could_be_found_by_is_a_type_error(text: str, key: str) -> None:
    with pytest.raises(TypeMismatch, match=f"keys of the type {key}; keys are int"):
        infer(parse_term(text, TABLE.short_names), lambda r: TABLE[r].signature)


@pytest.mark.parametrize("type_", ["list[int] -> list[int]", "list[int] -> int", "text -> text"])
def test_a_task_on_lists_or_text_has_the_same_grammar_with_all_plugins(type_: str) -> None:
    def made(*names: str) -> dict[Type, list[tuple[str, float]]]:
        given_, want = uncurried(parse_type(type_))
        entries = [primitive_entry(p) for name in names for p in PLUGINS[name]]
        entries = [entry for entry in entries if "recursion" not in entry.tags]
        universe = universe_of(given_, want, [entry.type for entry in entries])

        def function(entry: Entry) -> Function:
            return Function(TABLE[entry.reference].scalar or repr)

        grammar = grammar_of(entries, [0.0] * len(entries), function, universe, {}, given_)
        return {
            held: [(str(one.reference), one.cost) for one in productions]
            for held, productions in grammar.productions.items()
        }

    assert made("lists", "text") == made(*PLUGINS)
