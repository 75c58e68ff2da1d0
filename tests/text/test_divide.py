"""Divide and conquer: covers of outputs by pieces, and decisions between terms."""

from __future__ import annotations

import itertools

import pytest

from metaloom_metalearn import Clock, Divide, solve
from metaloom_metalearn.search.division.decision import Predicates, decide, mask_of
from metaloom_metalearn.search.division.joining import Pieces, cover, parts_of
from metaloom_metalearn.search.enumeration.node import Node
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.grammar import Production, Slot
from metaloom_metalearn.search.grammar.mining import common_pieces
from metaloom_metalearn.search.judge import spread
from metaloom_metalearn.testing.search import Ticks
from metaloom_registry import Literal, MemoryLibrary, NoSolution, Primitive, Reference
from metaloom_registry.types import BOOL, TEXT, Type

from .conftest import by_example


def production(name: str, slots: tuple[Type, ...], result: Type, call, cost: float, choose=None):
    return Production(
        Reference.parse(f"test/{name}@1"), tuple(Slot((), t) for t in slots), result, cost, 1,
        call, call, call, choose,
    )  # fmt: skip


JOIN = production("join", (TEXT, TEXT), TEXT, lambda s, t: s + t, 1.0)
CHOICE = production(
    "if", (BOOL, TEXT, TEXT), TEXT, lambda p, s, t: s if p else t, 2.0, lambda p: 1 if p else 2
)


def leaf(cost: float, *values) -> Node:
    return Node(Literal(cost), (), values, cost, 1, failed=FAILED in values)


def make(head: Production, arguments: tuple[Node, ...], values: tuple) -> Node:
    cost = head.cost + sum(argument.cost for argument in arguments)
    return Node(head, arguments, values, cost, 1, failed=False)


def test_a_cover_is_the_cheapest_of_all_sequences_of_pieces() -> None:
    """Against trying every sequence of up to four pieces."""
    outputs = ("abab", "ccc")
    nodes = [
        leaf(2.0, "ab", "c"), leaf(9.0, "abab", "ccc"), leaf(1.5, "a", "cc"),
        leaf(1.0, "b", ""), leaf(3.5, "aba", "cc"), leaf(0.5, "x", "c"),
    ]  # fmt: skip
    pieces = Pieces(outputs, JOIN)
    assert pieces.add(nodes) == 6
    found = cover(pieces, 0b11, make)
    assert found is not None
    assert found.values == outputs
    costs = [
        sum(node.cost for node in chosen) + JOIN.cost * (len(chosen) - 1)
        for count in range(1, 5)
        for chosen in itertools.product(nodes, repeat=count)
        if all("".join(n.values[i] for n in chosen) == outputs[i] for i in range(2))
    ]
    assert found.cost == pytest.approx(min(costs))
    assert sum(part.cost for part in parts_of(found, JOIN)) < found.cost


def test_a_cover_of_some_rows_may_use_pieces_that_others_lack() -> None:
    pieces = Pieces(("ab", "cd"), JOIN)
    pieces.add([leaf(1.0, "a", "c"), leaf(1.0, "b", "x")])
    assert cover(pieces, 0b11, make) is None
    found = cover(pieces, 0b01, make)
    assert found is not None
    assert found.values == ("ab", "cx")


def test_a_literal_stands_in_every_output_and_is_no_whole_one() -> None:
    pieces = Pieces(("n: 1", "n: 2"), JOIN, literal=1.0, forbidden=frozenset({"n: "}))
    pieces.add([leaf(1.0, "1", "2")])
    found = cover(pieces, 0b11, make)
    assert found is not None
    parts = [part.values[0] for part in parts_of(found, JOIN)]
    assert "".join(parts) == "n: 1"
    assert len(parts) == 3
    assert cover(Pieces(("ab",), JOIN), 1, make) is None


def test_a_tree_is_the_cheapest_of_all_trees() -> None:
    wanted = ("p", "q", "q", "r")
    terms = {
        mask_of(node.values, wanted): node
        for node in (leaf(2.0, "p", "p", "p", "p"), leaf(1.0, "q", "q", "q", "r"),
                     leaf(1.0, "r", "r", "r", "r"), leaf(9.0, "p", "q", "q", "p"))
    }  # fmt: skip
    predicates = Predicates()
    assert predicates.add([
        leaf(3.0, True, False, False, False), leaf(1.0, True, True, False, False),
        leaf(0.1, FAILED, True, False, False), leaf(0.1, True, True, True, True),
    ]) == 2  # fmt: skip
    found = decide(terms, predicates, CHOICE, make, 0b1111)
    assert found is not None
    assert found.values == wanted
    assert found.cost == pytest.approx(2.0 + 3.0 + 2.0 + 1.0)
    assert decide(terms, predicates, CHOICE, make, 0b1111, below=7.0) is None
    assert decide({1: terms[1]}, predicates, CHOICE, make, 0b1111) is None


def test_rows_are_distinct_and_spread_over_lengths() -> None:
    examples = [(("x" * n,), "x" * n) for n in (1, 5, 5, 9, 3, 7)]
    rows = spread(examples, TEXT, 3)
    assert [len(examples[row][1]) for row in rows] == [9, 5, 1]
    assert len(spread(examples, TEXT, 10)) == 5
    assert len(spread(examples, TEXT, 1)) == 1


def test_pieces_of_examples_are_separators_and_words_that_come_again() -> None:
    texts = [(["Ada Lovelace, Dr"], ["Lovelace; Ada"]), (["Jo Re, Dr"], ["Re; Jo"])]
    found = common_pieces(texts)
    assert found[0] == " "
    assert {", ", "; ", ",", ";", "Dr"} <= set(found)
    assert "Jo" not in found


def test_what_needs_several_pieces_is_found(words: MemoryLibrary) -> None:
    task = by_example(
        "text -> text -> text",
        ("Launa", "Withers", "Withers, L."), ("Lakenya", "Edison", "Edison, L."),
        ("Brendan", "Hage", "Hage, B."),
    )  # fmt: skip
    solution = solve(task, words, clock=Clock(20), searches=[Divide()])
    assert solution.support_score is not None
    assert solution.support_score.value == 1.0
    assert solution.predict("Ada", "Byron") == "Byron, A."


def test_what_needs_a_decision_is_found(words: MemoryLibrary) -> None:
    names = ("concatenate", "upper", "all_digits", "text_length", "if")
    few = MemoryLibrary.of(
        [p for _, p in words.blocks.values() if isinstance(p, Primitive) and p.short in names]
    )
    rows = [("12", "12!"), ("ab", "AB"), ("7", "7!"), ("xyz", "XYZ"), ("305", "305!"), ("q", "Q")]
    solution = solve(by_example("text -> text", *rows), few, clock=Clock(20), searches=[Divide()])
    assert " if " in solution.source
    assert [solution.predict(given) for given in ("41", "rs")] == ["41!", "RS"]


def test_lists_are_put_together_too(words: MemoryLibrary) -> None:
    rows = [((1, 2, 3), (3, 2, 1, 1, 2, 3, 9)), ((4, 5), (5, 4, 4, 5, 9)), ((7,), (7, 7, 9))]
    solution = solve(
        by_example("list[int] -> list[int]", *rows), words, clock=Clock(20), searches=[Divide()]
    )
    assert solution.predict((6, 8)) == (8, 6, 6, 8, 9)


def test_a_counterexample_adds_rows(words: MemoryLibrary) -> None:
    """Twenty examples that the first rows do not tell apart from the identity."""
    rows = [(f"{'x' * i}y", f"{'x' * i}y") for i in range(2, 20)] + [("a.b", "a"), ("bc.d", "bc")]
    arm = Divide(rows=3)
    solution = solve(by_example("text -> text", *rows), words, clock=Clock(20), searches=[arm])
    assert solution.predict("u.v") == "u"
    assert solution.predict("xxy") == "xxy"


def test_alternatives_tell_how_sure_a_prediction_is(words: MemoryLibrary) -> None:
    rows = [("ab-cd", "ab"), ("xy-z", "xy"), ("no-p", "no")]
    solution = solve(by_example("text -> text", *rows), words, clock=Clock(20), searches=[Divide()])
    assert solution.alternatives
    assert all(other.exact for other in solution.alternatives[:2])
    assert solution.agreement("kl-m") > solution.agreement("abcdef-g")


def test_no_program_spells_out_an_output(words: MemoryLibrary) -> None:
    task = by_example("text -> text", ("aq", "%#=!"), ("bz", "&@?+"), ("cd", "cd"))
    try:
        text = solve(task, words, clock=Clock(0.5), searches=[Divide()]).text
    except NoSolution as error:
        text = str(error)
    assert "%" not in text
    assert "@" not in text


def test_it_ends_where_nothing_makes_what_is_wanted() -> None:
    task = by_example("text -> int", ("a", 1), ("b", 2))
    with pytest.raises(NoSolution, match="no block that may be used"):
        solve(task, MemoryLibrary.of([]), clock=Clock(1e7, Ticks()), searches=[Divide()])
