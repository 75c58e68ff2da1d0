"""The evidence in the choice of the examples."""

from __future__ import annotations

import math

import pytest

from metaloom_lists import PRIMITIVES
from metaloom_metalearn import Clock, Enumerate, Examples, Task, solve
from metaloom_metalearn.search.enumeration.engines import PlainTerms
from metaloom_metalearn.search.evidence import DESIGNED, DRAWN, Evidence
from metaloom_registry import EvaluationError, MemoryLibrary, parse_type

TYPE = parse_type("list[int] -> bool")
SEVENS = (
    ((3, 7, 12), True), ((7,), True), ((9, 11, 2), False), ((7, 7, 10, 8), True), ((5,), False),
    ((12, 7), True), ((8, 2, 2, 9), False), ((7, 20, 13), True), ((20, 0, 9), False),
)  # fmt: skip


def evidence_of(examples: tuple[tuple[tuple[int, ...], bool], ...]) -> Evidence:
    found = Evidence.of(TYPE, [((given,), output) for given, output in examples])
    assert found is not None
    return found


def test_what_is_rare_among_inputs_like_the_examples_is_spoken_for() -> None:
    evidence = evidence_of(SEVENS)
    assert evidence.nats(lambda xs: 7 in xs) > evidence.nats(lambda xs: min(xs) % 2 == 1) + 1


def test_the_evidence_is_the_log_likelihood_ratio_of_the_two_ways_to_come_by_the_inputs() -> None:
    evidence = evidence_of((((1,), True), ((2,), False), ((3,), False)))
    every, none = (DRAWN + 0.5) / (DRAWN + 1), 0.5 / (DRAWN + 1)
    ratio = (1 / 3) / every * ((2 / 3) / none) ** 2
    wanted = math.log(1 - DESIGNED + DESIGNED * ratio)
    assert evidence.nats(lambda xs: True) == pytest.approx(wanted)


def test_where_a_program_has_no_value_it_does_not_have_the_output() -> None:
    def failing(xs: tuple[int, ...]) -> bool:
        raise EvaluationError("no value")

    evidence = evidence_of((((1,), True), ((2,), False)))
    ratio = (0.5 / (0.5 / (DRAWN + 1))) ** 2
    assert evidence.nats(failing) == pytest.approx(math.log(1 - DESIGNED + DESIGNED * ratio))


def test_inputs_like_an_example_have_its_shape_and_integers_between_the_extremes_of_all() -> None:
    type_ = parse_type("list[(int, bool)] -> int -> bool")
    examples = [((((1, True), (5, False)), 9), True), (((), -2), False)]
    evidence = Evidence.of(type_, examples)
    assert evidence is not None
    for pairs, number in evidence.like[0]:
        assert len(pairs) == 2
        assert all(type(truth) is bool and -2 <= n <= 9 for n, truth in pairs)
        assert -2 <= number <= 9
    assert all(pairs == () for pairs, _ in evidence.like[1])


@pytest.mark.parametrize(
    ("type_", "examples"),
    [
        ("list[int] -> int", [(((1,),), 1), (((2,),), 2)]),
        ("list[int] -> bool", [(((1,),), True), (((2,),), True)]),
        ("text -> bool", [(("a",), True), (("b",), False)]),
        ("list[int] -> bool", [(((1,) * 1000,), True), (((2,),), False)]),
    ],
)
def test_there_is_none_for_other_outputs_one_output_other_inputs_and_large_ones(
    type_: str, examples: list[tuple[tuple[object, ...], object]]
) -> None:
    assert Evidence.of(parse_type(type_), examples) is None


def test_a_program_that_explains_the_examples_ranks_before_a_shorter_one() -> None:
    inputs, outputs = zip(*SEVENS, strict=True)
    task = Task(TYPE, Examples((inputs,), outputs))
    solution = solve(
        task,
        MemoryLibrary.of(PRIMITIVES),
        clock=Clock(20),
        searches=[Enumerate(engine=PlainTerms)],
    )
    assert solution.text == "(lam (lists/contains@1 7 $0))"
    assert solution.score < solution.cost
    shorter = [s for s in solution.alternatives if s.candidate.cost < solution.cost]
    assert shorter
    assert all(s.score > solution.score for s in shorter)
