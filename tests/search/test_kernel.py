"""The compiled engine makes the terms that the one in Python makes, with the same values."""

from __future__ import annotations

from functools import partial
from itertools import takewhile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Constants, Enumerate, Evaluator, Examples, Task, kernel_terms
from metaloom_metalearn.search.enumeration.bank import Bounds
from metaloom_metalearn.search.enumeration.engines import PlainTerms, fastest, misfit
from metaloom_metalearn.search.enumeration.enumerate import Enumeration
from metaloom_metalearn.search.enumeration.kernel.bank import KernelBank, code_lengths
from metaloom_metalearn.search.enumeration.kernel.machine import invoke, run
from metaloom_metalearn.search.enumeration.kernel.memory import FREE, STATUS, pointer_to
from metaloom_metalearn.search.enumeration.kernel.shapes import read
from metaloom_metalearn.search.enumeration.kernel.tables import Tables, compiled_form
from metaloom_metalearn.search.grammar.application import FAILED
from metaloom_metalearn.search.grammar.blocks import Blocks
from metaloom_metalearn.search.noise import code_length
from metaloom_metalearn.search.trace import Account
from metaloom_registry import (
    INT,
    Digest,
    EvaluationError,
    MemoryLibrary,
    Primitive,
    Reference,
    Use,
    parse_type,
    print_term,
    uncurried,
)

from .conftest import LISTS, library, primitive, problem_of, publish, task_of, term

HIGHEST = (1 << 63) - 1
INTEGERS = st.one_of(
    st.integers(-5, 12), st.integers(-HIGHEST - 1, HIGHEST),
    st.sampled_from([HIGHEST, -HIGHEST - 1, 1 << 31, 1 << 32, -1, 3037000499, 3037000500]),
)  # fmt: skip
VALUES = {
    "int": INTEGERS,
    "bool": st.booleans(),
    "list[int]": st.lists(INTEGERS, max_size=6).map(tuple),
    "list[list[int]]": st.lists(st.lists(INTEGERS, max_size=3).map(tuple), max_size=3).map(tuple),
    "(int, int)": st.tuples(INTEGERS, INTEGERS),
}
FIRST_ORDER = [
    p for p in PRIMITIVES
    if p.kernel and not any("->" in str(t) for t in uncurried(p.signature)[0])
]  # fmt: skip


def closed(primitive: Primitive) -> list[str]:
    """The types of the arguments and of the result, variables being int."""
    types = primitive.type.replace("(a, b)", "(int, int)").split(" -> ")
    return [t.replace("[a]", "[int]").replace("[list[a]]", "[list[int]]") for t in types]


def words(type_: str) -> str:
    return {"a": "int", "b": "int", "list[b]": "list[int]", "list[(a, b)]": "list[(int, int)]"}.get(
        type_.replace("list[(int, int)]", "list[(a, b)]"), type_
    )


def enumeration(problem: Any, engine: Any) -> Enumeration:
    found = Enumerate(engine=engine, constants=Constants(mined=2)).search(problem)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def tables() -> Tables:
    everything = enumeration(
        problem_of(task_of("list[int] -> list[int]", tuple, LISTS), library()), fastest
    )
    return Tables(everything.workshop.grammar, 10**6)


@settings(max_examples=300)
@given(data=st.data())
def test_a_compiled_primitive_has_the_values_and_errors_of_the_plain_one(
    data: st.DataObject, tables: Tables
) -> None:
    chosen = data.draw(st.sampled_from(FIRST_ORDER))
    *given_types, result = [words(t) for t in closed(chosen)]
    arguments: list[Any]
    if chosen.short in ("range", "repeat"):
        arguments = [data.draw(st.integers(-3, 50)) for _ in given_types]
    else:
        arguments = [data.draw(VALUES[t]) for t in given_types]
    assert chosen.scalar is not None
    assert chosen.kernel is not None
    try:
        wanted = chosen.scalar(*arguments)
    except Exception:
        wanted = FAILED
    form = compiled_form(chosen.kernel, len(arguments))
    places = [tables.keep(value) for value in arguments] + [0] * 4
    memory = tables.memory
    memory[STATUS], memory[FREE] = 0, 16
    word = _invoke(memory, form.address, len(arguments), *places[:4])
    found = FAILED if memory[STATUS] else read(word, parse_type(result), memory)
    assert found == wanted


def _invoke(memory: Any, address: int, arity: int, a: int, b: int, c: int, d: int) -> int:
    return int(CALL(memory, address, arity, a, b, c, d))


def _call() -> Any:
    from numba import njit

    @njit
    def call(array: Any, address: int, arity: int, a: int, b: int, c: int, d: int) -> int:
        return invoke(pointer_to(array.ctypes.data), address, arity, 0, a, b, c, d)

    return call


CALL = _call()


def _run() -> Any:
    from numba import njit

    @njit
    def call(array: Any, body: int, a: int, b: int, c: int, d: int) -> int:
        return run(pointer_to(array.ctypes.data), body, a, b, c, d)

    return call


RUN = _run()

TASKS = [
    ("list[int] -> list[int]", lambda xs: tuple(sorted(xs)), ()),
    ("list[int] -> int", lambda xs: sum(xs) + 1, ()),
    ("list[int] -> bool", lambda xs: len(xs) % 2 == 0, ()),
    ("list[int] -> list[bool]", lambda xs: tuple(x > 3 for x in xs), ()),
    ("list[int] -> list[int]", lambda xs: tuple(xs[1:]), ("fold", "cons", "append", "map", "add",
     "if", "empty", "equal", "filter", "unfold", "is_even", "flatten", "singleton", "and", "zip",
     "first")),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "function", "names"), TASKS)
def test_both_engines_make_the_same_terms_in_the_same_order(
    type_: str, function: Any, names: tuple[str, ...]
) -> None:
    found = []
    for engine in (PlainTerms, fastest):
        search = enumeration(problem_of(task_of(type_, function), library(*names)), engine)
        terms = []
        for node in search.nodes():
            if search.level > (26 if names else 23):
                break
            text = print_term(search.candidate(node).term)
            terms.append((text, round(node.cost, 9), node.values))
        levels = {
            nats: {k: n for k, n in c.items() if n} for nats, c in search.account.levels.items()
        }
        found.append((terms, levels))
        assert isinstance(search.terms, PlainTerms if engine is PlainTerms else KernelBank)
    (plain, plain_levels), (compiled, compiled_levels) = found
    assert plain == compiled
    shared = sorted(plain_levels.keys() & compiled_levels.keys())
    assert len(shared) > 20
    assert [plain_levels[nats] for nats in shared] == [compiled_levels[nats] for nats in shared]


@settings(max_examples=8, deadline=None)
@given(
    inputs=st.lists(st.lists(INTEGERS, max_size=5).map(tuple), min_size=2, max_size=5, unique=True)
)
def test_values_near_the_edge_of_64_bits_are_the_same_in_both_engines(
    inputs: list[tuple[int, ...]],
) -> None:
    names = ("add", "multiply", "map", "sum", "negate", "index", "modulo", "divide", "length")
    task = Task(parse_type("list[int] -> list[int]"), Examples((tuple(inputs),), tuple(inputs)))
    found = []
    for engine in (PlainTerms, fastest):
        search = enumeration(problem_of(task, library(*names)), engine)
        terms = []
        for node in search.nodes():
            if search.level > 21:
                break
            terms.append((print_term(search.candidate(node).term), node.values))
        found.append(terms)
    assert found[0] == found[1]


def test_the_compiled_engine_solves_what_the_other_does() -> None:
    task = task_of("list[int] -> list[int]", lambda xs: tuple(x * 2 for x in xs if x > 3))
    problem = problem_of(task, library())
    best = min(Enumerate(engine=kernel_terms).run(problem), key=lambda scored: scored.rank)
    assert best.exact
    run = Evaluator({p.reference: p for p in PRIMITIVES}.__getitem__).compile(best.candidate.term)
    assert run((1, 4, 9)) == (8, 18)


PROGRAMS = {
    "add3": ("int -> int", "(lam (add 3 $0))"),
    "evens": ("list[int] -> list[int]", "(lam (filter is_even $0))"),
    "more": ("int -> list[int] -> list[int]", "(lam (lam (map (add $1) $0)))"),
    "larger": ("int -> int -> int", "(lam (lam (if (greater $1 $0) $1 $0)))"),
    "highest": ("list[int] -> int", "(lam (fold {larger} 0 $0))"),
    "twice": ("(int -> int) -> list[int] -> list[int]", "(lam (lam (map $1 (map $1 $0))))"),
    "third": ("list[int] -> int", "(lam (index 2 $0))"),
    "above": ("list[int] -> list[int]", "(lam (filter (lam (greater $0 ({highest} $1))) $0))"),
}


def programs(*names: str) -> MemoryLibrary:
    """Some primitives and the programs above, which use one another."""
    known = library(*names)
    written: dict[str, str] = {}
    for name, (type_, text) in PROGRAMS.items():
        made = publish(known, name, type_, term(text.format(**written)), "program")
        written[name] = str(made)
    return known


@pytest.mark.parametrize(
    ("type_", "function"),
    [
        ("list[int] -> int", lambda xs: len(xs) % 3),
        ("list[int] -> list[int]", lambda xs: tuple(x + 3 for x in xs if x > 2)),
    ],
)
def test_programs_of_the_library_are_run_by_the_compiled_engine(type_: str, function: Any) -> None:
    names = ("add", "filter", "is_even", "map", "if", "greater", "fold", "index", "append", "sum")
    found = []
    for engine in (PlainTerms, fastest):
        search = enumeration(problem_of(task_of(type_, function), programs(*names)), engine)
        terms = []
        for node in search.nodes():
            if search.level > 32:
                break
            text = print_term(search.candidate(node).term)
            terms.append((text, round(node.cost, 9), node.values))
        made = {nats: counts["distinct"] for nats, counts in search.account.levels.items()}
        found.append((terms, [made[nats] for nats in sorted(made)[:31]]))
        assert isinstance(search.terms, PlainTerms if engine is PlainTerms else KernelBank)
    assert found[0] == found[1]
    assert sum(found[0][1]) > 500
    assert "@sha256" in found[0][0][-1][0]


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name != "twice"])
@settings(max_examples=30)
@given(data=st.data())
def test_a_program_has_the_values_and_errors_that_evaluation_gives_it(
    data: st.DataObject, tables: Tables, name: str
) -> None:
    known = programs()
    blocks = Blocks(problem_of(task_of("list[int] -> int", len), known), Account("enumerate"))
    reference = Reference(None, Digest.of(name.encode()))
    given_types, result = uncurried(parse_type(PROGRAMS[name][0]))
    arguments = [data.draw(VALUES[str(t)]) for t in given_types]
    try:
        wanted = blocks.evaluator.compile(Use(reference))(*arguments)
    except EvaluationError:
        wanted = FAILED
    program = blocks.programs.read(reference)
    assert program is not None
    body = tables.program(program)
    places = [tables.keep(value) for value in arguments] + [0] * 4
    memory = tables.memory
    memory[STATUS], memory[FREE] = 0, 16
    word = int(RUN(memory, body, *places[:4]))
    found = FAILED if memory[STATUS] else read(word, result, memory)
    assert found == wanted


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("int -> int", "(let (add 1 2) (lam (add $0 $1)))"),
        ("int -> int", "(lam ((if (is_even $0) (add 1) (add 2)) $0))"),
        ("(int -> int) -> int -> int", "(lam (lam ($1 ($1 $0))))"),
        ("int -> list[int]", "(lam (unfold (greater 3) (lam $0) (add 1) $0))"),
        ("int -> int", "(lam (odd $0))"),
    ],
)
def test_a_program_that_the_compiled_engine_cannot_run_is_searched_with_in_python(
    type_: str, text: str
) -> None:
    known = MemoryLibrary.of([*PRIMITIVES, odd := primitive("odd", "int -> int", abs)])
    body = term(text.replace("odd", str(odd.reference)))
    made = publish(known, "unfit", type_, body, "program")
    problem = problem_of(task_of("list[int] -> int", len), known)
    blocks = Blocks(problem, Account("enumerate"))
    assert blocks.programs.read(made) is None


def _below(search: Any, level: int, node: object) -> bool:
    return bool(search.level < level)


def test_more_rows_than_a_word_has_bits_are_told_apart() -> None:
    inputs = (*tuple((i, i % 3) for i in range(70)), ())
    task = task_of("list[int] -> int", lambda xs: xs[0] if xs else 7, inputs)
    found = []
    for engine in (PlainTerms, fastest):
        search = enumeration(problem_of(task, library("head", "last", "add", "sum")), engine)
        found.append([n.values for n in takewhile(partial(_below, search, 14), search.nodes())])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (
            problem_of(
                task_of("list[int] -> int", len),
                MemoryLibrary.of([*PRIMITIVES, primitive("odd", "int -> int", abs)]),
            ),
            "test/odd@1 has no compiled form",
        ),
        (
            problem_of(task_of("text -> text", str, ("ab", "c")), library()),
            "values of the type text have no compiled form",
        ),
        (
            problem_of(
                task_of("list[int] -> int", lambda xs: 0, (tuple(range(1001)), (1,))), library()
            ),
            "an example is too long, or an integer has more than 64 bits",
        ),
    ],
)
def test_what_has_no_compiled_form_is_searched_in_python(problem: Any, reason: str) -> None:
    search = enumeration(problem, fastest)
    assert isinstance(search.terms, PlainTerms)
    inputs = [(value,) for value in problem.task.support.inputs[0]]
    outputs = [(value, problem.task.want) for value in problem.task.support.outputs]
    assert misfit(search.workshop, inputs, outputs) == reason


def test_the_memory_bound_holds_in_the_compiled_engine() -> None:
    problem = problem_of(task_of("list[int] -> int", lambda xs: -1), library())
    search = Enumerate(engine=fastest, bounds=Bounds(cells=2000)).search(problem)
    assert search is not None
    for _ in search.nodes():
        pass
    assert any("the memory limit of 2000 kept values" in note for note in search.account.notes)


def test_memory_grows_with_what_is_kept(tables: Tables) -> None:
    before = len(tables.memory)
    words = [tables.keep(tuple(range(1000))) for _ in range(before // 1000)]
    assert len(tables.memory) > before
    assert read(int(words[-1]), parse_type("list[int]"), tables.memory) == tuple(range(1000))
    assert tables.shapes.types[INT] >= 0


def test_many_code_lengths_are_those_of_each():
    residuals = [[0, 0, 0], [1, -2, 0], [10**6, 3, -7], [0, 0, 1]]
    totals = np.array([sum(map(abs, each)) for each in residuals], float)
    assert code_lengths(totals, 3) == pytest.approx([code_length(each) for each in residuals])
    assert code_lengths(np.array([np.inf]), 3)[0] == np.inf
