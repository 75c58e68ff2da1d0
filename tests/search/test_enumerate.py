"""Enumeration: complete up to equality, exact in its values, cheapest first, within its bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_metalearn import (
    Bounds,
    Clock,
    Constants,
    Enumerate,
    Evaluator,
    Examples,
    Patience,
    Problem,
    Task,
    Uniform,
)
from metaloom_metalearn.search.enumeration.bank import Bank, Workshop
from metaloom_metalearn.search.enumeration.enumerate import Enumeration
from metaloom_metalearn.search.enumeration.node import Node, term_of
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.blocks import Blocks
from metaloom_metalearn.search.grammar.grammar import Grammar, level_of
from metaloom_metalearn.search.resolver import Resolver
from metaloom_metalearn.search.trace import Account
from metaloom_registry import (
    INT,
    EvaluationError,
    MemoryLibrary,
    Type,
    check,
    list_of,
    parse_type,
    print_term,
)

from .conftest import LISTS, NAMES, library, primitive, problem_of, task_of, term


def enumeration(problem: Problem, arm: Enumerate | None = None) -> Enumeration:
    found = (arm or Enumerate()).search(problem)
    assert found is not None
    return found


def in_order(xs: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(xs))


def solve_text(problem: Problem, arm: Enumerate | None = None) -> str:
    best = min((arm or Enumerate()).run(problem), key=lambda scored: scored.rank)
    assert best.exact
    return print_term(best.candidate.term, NAMES)


def bank_of(problem: Problem, rows: int = 20) -> Bank:
    account = Account("test")
    grammar = Blocks(problem, account).grammar(
        [((x,), y) for x, y in zip(problem.task.support.inputs[0], problem.task.support.outputs)],  # noqa: B905
        Constants(mined=0),
    )
    workshop = Workshop(grammar, problem.clock, Bounds(rows=rows), account.counts)
    outputs = [(y, problem.task.want) for y in problem.task.support.outputs]
    inputs = [(x,) for x in problem.task.support.inputs[0]]
    return Bank(workshop, problem.task.given, inputs, outputs)


def by_brute_force(
    grammar: Grammar, given: Type, rows: list[Any], type_: Type, level: int
) -> Iterator[tuple[Any, ...]]:
    """The values of every term at a level, found with no sharing and no pruning at all."""
    if type_ == given and level == level_of(grammar.variables[type_]):
        yield tuple(rows)
    for constant in grammar.constants.get(type_, ()):
        if constant.level == level:
            yield (constant.literal.value,) * len(rows)
    for production in grammar.productions[type_]:
        rest = level - production.level
        slots = production.slots
        for levels in product(range(1, rest + 1), repeat=len(slots)):
            if sum(levels) != rest:
                continue
            columns = [
                list(by_brute_force(grammar, given, rows, slot.result, at))
                for slot, at in zip(slots, levels, strict=True)
            ]
            for arguments in product(*columns):
                yield tuple(production.safe(*row) for row in zip(*arguments, strict=True))


def test_it_keeps_exactly_the_distinct_values_that_brute_force_finds():
    problem = problem_of(
        task_of("list[int] -> int", len, LISTS[:4]),
        library("add", "head", "tail", "length", "multiply"),
    )
    bank = bank_of(problem)
    rows = [environment[0] for environment in bank.environments]
    for type_ in (INT, list_of(INT)):
        found: set[Any] = set()
        for level in range(1, 22):
            wanted = set(by_brute_force(bank.workshop.grammar, list_of(INT), rows, type_, level))
            wanted = {v for v in wanted if not all(x is FAILED for x in v)}
            new = [node.values for pool in bank.level(type_, level) for node in pool]
            assert set(new) == wanted - found
            assert len(new) == len(set(new))
            found |= wanted
        assert len(found) > 5


def test_the_values_of_every_term_are_those_the_evaluator_gives():
    problem = problem_of(task_of("list[int] -> list[int]", in_order, LISTS[:5]), library())
    bank = bank_of(problem)
    evaluator = Evaluator(Resolver(problem.library, problem.entries))
    checked = functions = 0
    for type_ in (INT, list_of(INT)):
        for level in range(1, 30):
            for node in islice(bank.level(type_, level)[1], 40):
                compiled = evaluator.compile(term_of(node, 1))
                for value, environment in zip(node.values, bank.environments, strict=True):
                    assert evaluated(compiled, environment) == value, print_term(term_of(node, 1))
                checked += 1
                functions += "(lam (lists/" in print_term(term_of(node, 1))[4:]
    assert checked > 500
    assert functions > 10


def evaluated(compiled: Any, environment: tuple[Any, ...]) -> Any:
    try:
        return compiled(*environment)
    except EvaluationError:
        return FAILED


def test_every_term_has_its_type_and_the_cost_that_the_grammar_gives_it():
    problem = problem_of(task_of("list[int] -> list[int]", in_order), library())
    resolver = Resolver(problem.library, problem.entries)
    bank = bank_of(problem)
    for level in range(1, 28):
        for node in islice(bank.level(list_of(INT), level)[1], 25):
            check(term_of(node, 1), problem.task.type, resolver.type_of)
            assert node.cost == pytest.approx(written_cost(node))


def written_cost(node: Node) -> float:
    """The cost of a node by its productions; extra where functions ignore a parameter."""
    if not node.arguments:
        return node.cost
    inner = sum(written_cost(argument) for argument in node.arguments)
    own = node.cost - sum(argument.cost for argument in node.arguments)
    assert own >= -1e-9
    return own + inner


def test_costs_are_the_negative_logarithms_of_probabilities():
    problem = problem_of(task_of("list[int] -> list[int]", in_order), library())
    grammar = Blocks(problem, Account("test")).grammar([((LISTS[0],), LISTS[0])], Constants())
    for type_ in (INT, list_of(INT)):
        costs = [p.cost for p in grammar.productions[type_]]
        costs += [c.cost for c in grammar.constants[type_]] + [grammar.variables[type_]]
        assert math.fsum(math.exp(-cost) for cost in costs) == pytest.approx(1.0)


def test_terms_come_cheapest_level_first():
    problem = problem_of(task_of("list[int] -> int", sum), library("add", "head", "sum", "tail"))
    costs = [candidate.cost for candidate in enumeration(problem).ask(30)]
    assert len(costs) == 30
    # costs are rounded to levels of half a nat, a production at a time
    assert all(later > earlier - 1.5 for earlier, later in pairwise(costs))


@pytest.mark.parametrize(
    ("type_", "function", "wanted"),
    [
        ("list[int] -> int", lambda xs: sum(xs) + 1, "(lam (add 1 (sum $0)))"),
        ("list[int] -> list[int]", lambda xs: tuple(x for x in xs if x > 4), None),
        ("list[int] -> list[int]", lambda xs: tuple(x + len(xs) for x in xs), None),
        ("list[int] -> bool", lambda xs: len(xs) > 2, None),
        ("list[int] -> list[bool]", lambda xs: tuple(x % 2 == 0 for x in xs), None),
        ("list[int] -> int", lambda xs: len(set(xs)), "(lam (length (unique $0)))"),
    ],
)  # fmt: skip
def test_it_finds_programs(type_, function, wanted):
    problem = problem_of(task_of(type_, function), library())
    best = min(Enumerate().run(problem), key=lambda scored: scored.rank)
    assert best.exact
    evaluator = Evaluator(Resolver(problem.library, problem.entries))
    for x in LISTS:
        assert evaluator.value(best.candidate.term, x) == function(x)


def test_a_function_may_use_the_inputs_of_the_task():
    problem = problem_of(
        task_of("list[int] -> list[int]", lambda xs: tuple(x + xs[-1] for x in xs)),
        library("map", "add", "last"),
    )
    assert solve_text(problem) == "(lam (map (lam (add $0 (last $1))) $0))"


def test_a_fold_over_two_variables_is_found_without_a_primitive_for_it():
    problem = problem_of(
        task_of("list[int] -> int", lambda xs: math.prod(xs)), library("fold", "multiply")
    )
    text = solve_text(problem, Enumerate(Constants(strict=False)))  # 1 is an output
    assert text.startswith("(lam (fold (lam (lam (multiply $")
    assert text.endswith(" 1 $0))")


def test_functions_within_functions_are_found():
    xss = (((1, 2), (3,)), ((4,), ()), ((5, 6, 7),), ((0, 9), (1, 1)))
    problem = problem_of(
        task_of(
            "list[list[int]] -> list[list[int]]",
            lambda xss: tuple(tuple(x + x for x in xs) for xs in xss),
            xss,
        ),
        library("map", "add"),
    )
    assert solve_text(problem) == "(lam (map (lam (map (lam (add $0 $0)) $0)) $0))"


def test_several_inputs_are_several_variables():
    pairs = ((0, LISTS[0]), (1, LISTS[2]), (2, LISTS[4]), (3, LISTS[6]))
    ns, lists = zip(*pairs, strict=True)
    outputs = tuple(sum(xs[:n]) for n, xs in pairs)
    task = Task(parse_type("int -> list[int] -> int"), Examples((ns, lists), outputs))
    assert solve_text(problem_of(task, library("take", "sum"))) == "(lam (lam (sum (take $1 $0))))"


def test_what_fails_on_one_example_may_be_right_on_the_others():
    problem = problem_of(
        task_of("list[int] -> int", lambda xs: xs[0] if xs else 0),
        library("if", "is_empty", "head"),
    )
    arm = Enumerate(Constants(strict=False))  # 0 is the output for the empty list
    assert solve_text(problem, arm) == "(lam (if (is_empty $0) 0 (head $0)))"


def test_a_solution_is_followed_by_alternatives():
    task = task_of("list[int] -> int", sum, ((1, 2), (3, 8), (4, 0, 5)))
    problem = replace(problem_of(task, library()), clock=Clock(1.0, lambda: 0.0))
    arm = Enumerate(patience=Patience(nats=4.0, alternatives=4))
    found = [s for s in arm.run(problem) if s.exact]
    assert len(found) <= 5
    assert len(found) > 1
    assert len({print_term(s.candidate.term) for s in found}) == len(found)


def test_a_block_that_raises_or_returns_nonsense_does_not_stop_the_search():
    def broken(xs: Any) -> int:
        raise RuntimeError("broken")

    blocks = MemoryLibrary.of(
        [
            primitive("broken", "list[int] -> int", broken),
            primitive("sum", "list[int] -> int", sum),
        ]
    )
    problem = problem_of(task_of("list[int] -> int", sum), blocks)
    assert min(Enumerate().run(problem), key=lambda s: s.rank).exact
    assert problem.trace.arm("enumerate").counts["failed"] >= 0


def test_a_loop_that_no_list_bounds_is_cut_short():
    def forever(step: Any, seed: int) -> int:
        while True:
            seed = step(seed)

    blocks = MemoryLibrary.of(
        [
            primitive("forever", "(int -> int) -> int -> int", forever),
            primitive("add", "int -> int -> int", lambda x, y: x + y),
        ]
    )
    problem = problem_of(task_of("int -> int", lambda n: 3 * n, (1, 5, 8, 12)), blocks)
    assert min(Enumerate().run(problem), key=lambda s: s.rank).exact


def test_lists_that_double_in_every_step_stay_within_memory():
    rows = tuple(tuple(range(n)) for n in (40, 30, 20, 50))
    problem = problem_of(
        task_of("list[int] -> int", lambda xs: 7 * len(xs) + 3, rows),
        library("fold", "concat", "length", "add"),
        budget=60_000,
    )
    list(Enumerate().run(problem))  # (fold (lam (lam (concat $1 $1))) $0 $0) would need 2^50 items


def test_long_lists_are_searched():
    rows = (tuple(range(100_000)), (5, 2), tuple(range(3)), (1,))
    problem = problem_of(task_of("list[int] -> int", sum, rows), library("sum", "tail", "length"))
    assert solve_text(problem) == "(lam (sum $0))"


def test_the_memory_limit_ends_the_search_and_says_so():
    problem = problem_of(task_of("list[int] -> list[int]", lambda xs: (77, 78)), library())
    list(Enumerate(bounds=Bounds(cells=20_000)).run(problem))
    notes = " ".join(problem.trace.arm("enumerate").notes)
    assert "the memory limit of 20000 kept values was reached; shorter or fewer" in notes


def test_the_deadline_ends_the_search_and_keeps_what_was_found():
    problem = problem_of(
        task_of("list[int] -> list[int]", lambda xs: xs if len(xs) < 3 else (77, 88, 99)),
        library(),
        budget=3000,
    )
    found = list(Enumerate().run(problem))
    assert found
    assert problem.clock.elapsed() < 3200
    assert any("the time is up" in note for note in problem.trace.arm("enumerate").notes)


def test_contradictory_examples_are_named_and_the_best_partial_term_is_given():
    task = task_of("list[int] -> int", sum, ((1, 2), (1, 2), (3,), (4, 4), (2,), (9,), (1,), (1,)))
    outputs = (3, 4, *task.support.outputs[2:])
    task = Task(task.type, Examples(task.support.inputs, outputs))
    problem = problem_of(task, library("sum", "head", "length"), budget=30_000)
    best = min(Enumerate().run(problem), key=lambda s: s.rank)
    assert print_term(best.candidate.term, NAMES) == "(lam (sum $0))"
    assert best.right == (True, False, True, True, True, True)
    assert "examples 1 and 2 have the same input and different outputs" in problem.trace.warnings[0]


def test_a_prior_makes_its_blocks_cheaper():
    class Sums:
        def log_weights(self, task, entries):
            return [3.0 if entry.name == "lists/sum" else 0.0 for entry in entries]

    task = task_of("list[int] -> int", sum)
    plain = problem_of(task, library())
    favoured = type(plain)(task, plain.library, plain.entries, Clock(1e6), prior=Sums())
    costs = [
        next(s for s in Enumerate().run(p) if s.exact).candidate.cost for p in (plain, favoured)
    ]
    assert costs[1] < costs[0] - 1
    assert Uniform().log_weights(task, plain.entries) == [0.0] * len(plain.entries)


def test_the_trace_counts_by_level():
    problem = problem_of(task_of("list[int] -> int", lambda xs: sum(xs) + len(xs)), library())
    list(Enumerate().run(problem))
    account = problem.trace.arm("enumerate")
    assert account.counts["generated"] > account.counts["distinct"] > 0
    by_level = sum(level["generated"] for level in account.levels.values())
    assert 0 < by_level <= account.counts["generated"]
    assert list(account.levels) == sorted(account.levels)


@settings(max_examples=15)
@given(st.integers(0, 4), st.integers(0, 4))
def test_compositions_of_list_operations_are_recovered(first: int, second: int):
    operations = {
        "tail": lambda xs: xs[1:],
        "reverse": lambda xs: xs[::-1],
        "init": lambda xs: xs[:-1],
        "sort": lambda xs: tuple(sorted(xs)),
        "unique": lambda xs: tuple(dict.fromkeys(xs)),
    }
    names = list(operations)
    one, other = operations[names[first]], operations[names[second]]
    problem = problem_of(task_of("list[int] -> list[int]", lambda xs: other(one(xs))), library())
    best = min(Enumerate().run(problem), key=lambda s: s.rank)
    assert best.exact
    reference = term(f"(lam ({names[second]} ({names[first]} $0)))")
    evaluator = Evaluator(Resolver(problem.library, problem.entries))
    assert all(
        evaluator.value(best.candidate.term, x) == evaluator.value(reference, x) for x in LISTS[:6]
    )
