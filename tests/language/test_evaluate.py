"""The hard engine."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Clock, Evaluator, Limits
from metaloom_registry import (
    Apply,
    EvaluationError,
    Lambda,
    NotFound,
    ParseError,
    Primitive,
    PrimitiveTable,
    Reference,
    parse_term,
    parse_type,
)
from metaloom_registry.testing import interpret, terms, values

BROKEN = Primitive("me/broken", 1, "int -> int", "Fails.", ("x",), lambda x: {}[x])
ENDLESS = Primitive("me/text", 1, "text -> text", "Twice.", ("x",), lambda x: x + x)
TABLE = PrimitiveTable((*PRIMITIVES, BROKEN, ENDLESS))
EVENS = Reference.parse("me/evens@1")
SELF = Reference.parse("me/self@1")
OPEN = Reference.parse("me/open@1")


def read(text):
    return parse_term(text, TABLE.short_names)


PROGRAMS = {
    EVENS: read("(lam (filter is_even $0))"),
    SELF: read("(lam (me/self@1 $0))"),
    OPEN: read("(add $0 1)"),
}


def resolve(reference):
    return PROGRAMS[reference] if reference in PROGRAMS else TABLE[reference]


def value(text, *arguments, **limits):
    return Evaluator(resolve, Limits(**limits)).value(read(text), *arguments)


@pytest.mark.parametrize(
    ("text", "arguments", "wanted"),
    [
        ("(lam (map (lam (multiply 2 $0)) (filter is_even $0)))", [(1, 2, 4)], (4, 8)),
        ("(lam (lam (subtract $1 $0)))", [7, 3], 4),
        ("subtract", [7, 3], 4),
        ("(subtract 7)", [3], 4),
        ("(lam (map (lam (map (lam (map (lam (add $3 (add $2 (add $1 $0)))) $2)) $1)) $0))",
         [()], ()),
        ("(lam (let (sum $0) (map (lam (subtract $0 $1)) $1)))", [(1, 2)], (-2, -1)),
        ("((lam (lam (subtract $1 $0))) 5 2)", [], 3),
        ("(lam (me/evens@1 (me/evens@1 $0)))", [(1, 2, 3, 4)], (2, 4)),
        ("(map (slice 1 -1) (singleton (range 5)))", [], ((1, 2, 3),)),
        ("(fold (if true add subtract) 0 (range 4))", [], 6),
        ("(if true 1 (head empty))", [], 1),
        ("(and false (is_even (head empty)))", [], False),
        ("(or true (is_even (head empty)))", [], True),
        ("(lam (add (let $0 (add $0 1)) (let $0 (add $0 $1))))", [1], 4),
        ("(lam (lam (lam (lam $3))))", [1, 2, 3, 4], 1),
    ],
)  # fmt: skip
def test_a_term_has_its_value(text, arguments, wanted):
    assert value(text, *arguments) == wanted


def test_a_compiled_term_takes_fewer_arguments_and_gives_functions():
    compiled = Evaluator(resolve).compile(read("(lam (lam (lam (add $2 (add $1 $0)))))"))
    assert compiled(1, 2, 3) == compiled(1)(2)(3) == compiled(1, 2)(3) == compiled()(1)(2)(3) == 6
    twice = Evaluator(resolve).compile(read("(lam (add $0))"))
    assert twice(1, 2) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(add 9223372036854775807 1)", "overflows 64 bits"),
        ("(sum (repeat 2 9223372036854775807))", "overflows 64 bits"),
        ("(head empty)", "an empty list has no head"),
        ("(divide 1 0)", "divided by zero"),
        ("(modulo 1 0)", "modulo zero"),
        ("(index 3 (range 3))", "has none at 3"),
        ("(me/broken@1 3)", "me/broken fails: KeyError: 3"),
        ("(map me/broken@1 (range 3))", "me/broken fails: KeyError: 0"),
        ("(range 100001)", "longer than the 100000 allowed"),
        ("(repeat 9223372036854775807 1)", "longer than the 100000 allowed"),
        ("(fold (lam (lam (concat $1 $1))) (range 2) (range 60))", "longer than|more than"),
        ("(fold (lam (lam (flatten (cons $1 (singleton $1))))) (range 2) (range 60))", "longer"),
        ('(fold (lam (lam (me/text@1 $1))) "ab" (range 60))', "longer than|more than"),
        ("(map (lam (range 99999)) (range 99999))", "more than 1000000 steps"),
        ("(map (lam (map (lam (add $0 1)) (range 9999))) (range 9999))", "more than 1000000 steps"),
        ("(unfold (lam false) (lam $0) (lam $0) 1)", "longer than|more than"),
        ("(fold (lam (lam (map (add 1) $1))) (range 99999) (range 99999))", "more than"),
        ('((hole "int -> int") 1)', "the hole of type int -> int is not filled"),
        ("(lam $1)", r"\$1 is bound by nothing: 1 variables"),
        ("(1 2)", "1 cannot be applied"),
        ("(me/self@1 1)", "uses itself"),
        ("(me/open@1 1)", "bound by nothing"),
        ("(is_prime 10000000000000)", "too large to be tested"),
    ],
)
def test_what_has_no_value_is_an_evaluation_error_that_says_why(text, message):
    with pytest.raises(EvaluationError, match=message):
        value(text)


def test_arguments_beyond_those_a_term_takes_are_an_error():
    with pytest.raises(EvaluationError, match="2 arguments, too many"):
        value("(lam (add 1 $0))", 1, 2)


def test_a_missing_block_is_not_found():
    with pytest.raises(NotFound, match="no installed plugin ships"):
        value("(lists/nope@1 1)")


def composed(count):
    """`add 1` composed with itself `count` times, at 0."""
    return f"(fold (lam (lam (lam ($2 (add 1 $0))))) (lam $0) (range {count}) 0)"


def test_functions_in_functions_never_exhaust_the_stack():
    assert value(composed(150)) == 150
    with pytest.raises(EvaluationError, match="too deeply"):
        value(composed(20_000))
    deep = read("$0")
    for _ in range(20_000):
        deep = Lambda(deep)
    with pytest.raises(EvaluationError, match="too deeply"):
        Evaluator(resolve).compile(Apply(deep, deep))


def test_small_limits_hold_to_the_step():
    assert value("(map (lam $0) (range 4))", steps=12) == (0, 1, 2, 3)
    with pytest.raises(EvaluationError, match="more than 11 steps"):
        value("(map (lam $0) (range 4))", steps=11)
    with pytest.raises(EvaluationError, match="list of 4 items is longer than the 3 allowed"):
        value("(range 4)", items=3)
    with pytest.raises(ParseError, match="must be above 0"):
        Limits(steps=0)


def test_time_is_looked_at_while_a_term_runs():
    seconds = iter(range(1000))
    ticking = Evaluator(resolve, Limits(seconds=5.0), now=lambda: float(next(seconds)))
    with pytest.raises(EvaluationError, match=r"longer than 5\.0 s"):
        ticking.value(read("(sum (map (lam (sum (range 100))) (range 1000)))"))
    clock = Clock(1.0, now=iter([0.0, 0.5, 2.0]).__next__)
    late = Evaluator(resolve, Limits(clock=clock))
    with pytest.raises(EvaluationError, match="the deadline has passed"):
        late.value(read("(sum (map (lam (sum (range 100))) (range 1000)))"))


def test_every_evaluation_has_the_whole_budget():
    compiled = Evaluator(resolve, Limits(steps=300)).compile(read("(lam (map (lam $0) $0))"))
    for _ in range(10):
        assert len(compiled(tuple(range(140)))) == 140


def test_symbolic_work_never_imports_torch():
    program = (
        "import sys\n"
        "from metaloom_metalearn import Evaluator\n"
        "from metaloom_registry import PrimitiveTable, parse_term, python_source, infer\n"
        "from metaloom_lists import PRIMITIVES\n"
        "table = PrimitiveTable(PRIMITIVES)\n"
        "term = parse_term('(map (add 1) (range 3))', table.short_names)\n"
        "assert Evaluator(table.__getitem__).value(term) == (1, 2, 3)\n"
        "python_source(term, table.__getitem__)\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_random_well_typed_terms_have_the_value_of_the_plain_interpreter(data):
    type_ = data.draw(st.sampled_from(["list[int] -> list[int]", "list[int] -> bool"]))
    term = data.draw(terms(parse_type(type_), TABLE))
    xs = data.draw(values(parse_type("list[int]")))
    evaluator = Evaluator(resolve, Limits(steps=5_000, items=500))
    found = outcome(evaluator, term, xs)
    if isinstance(found, EvaluationError):
        for sign in ("TypeError", "AttributeError", "IndexError", "cannot be applied"):
            assert sign not in str(found), "it failed for a type reason"
        return
    assert interpret(term, TABLE.__getitem__)(xs) == found


def outcome(evaluator, term, argument):
    """The value, or the error there is instead."""
    try:
        return evaluator.value(term, argument)
    except EvaluationError as error:
        return error
