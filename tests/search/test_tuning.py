"""Continuous choices: holes for numbers, the tuners that fill them, and the arm that uses both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_heads import ridge, ridge_of_strength, softmax_regression
from metaloom_metalearn import (
    Candidate,
    Clock,
    Examples,
    Problem,
    RandomTuner,
    Range,
    Scored,
    Search,
    Support,
    Task,
    Tunable,
    Tuner,
    Tuners,
    parzen,
    solve,
    tune,
)
from metaloom_metalearn.search.arm import Arm
from metaloom_metalearn.search.strategies.few_shot_tuning import HeldOut
from metaloom_metalearn.search.strategies.tuning import COUNTS, RATES, Choice
from metaloom_metalearn.testing.search import ArmSuite, SearchSuite, Ticks
from metaloom_registry import (
    Digest,
    Entry,
    Library,
    MemoryLibrary,
    MissingExtra,
    ParseError,
    Reference,
    TypeMismatch,
    parse_term,
    parse_type,
    print_term,
)
from metaloom_registry.types import FLOAT, INT
from metaloom_vectors import PRIMITIVES as VECTORS

OPEN = '(lam (pack/f@1 (hole "float") (pack/g@1 (hole "int") $0)))'


class Half(torch.nn.Module):
    """The squares of two of four signals, zeros for the others, and noise: [n, 8] -> [n, 6]."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        seen = torch.zeros(len(x), 4)
        seen[:, self.first : self.first + 2] = x[:, self.first : self.first + 2] ** 2
        return torch.cat([seen, x[:, 4:6]], 1)


def encoders() -> Library:
    """Two blocks that each see half of what tells the classes apart."""
    library = MemoryLibrary.of((*HEADS, *VECTORS))
    for name, first in (("left", 0), ("right", 2)):
        digest = Digest.of(name.encode())
        reference, type_ = Reference(None, digest), parse_type("vec[8] -> vec[6]")
        library.add(Entry(reference, digest, "graph", type_, name), Half(first))
    return library


def rows(examples: Examples) -> torch.Tensor:
    (column,) = examples.inputs
    return torch.stack([torch.as_tensor(row) for row in column])


def four_classes(examples: int, seed: int) -> Examples:
    """Four signals of any sign among eight numbers, of which the largest tells the class."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(examples, 8, generator=generator)
    labels = torch.arange(examples) % 4
    x[torch.arange(examples), labels] += 4.0
    x *= torch.where(torch.rand(x.shape, generator=generator) < 0.5, -1.0, 1.0)
    return Examples((tuple(x),), labels)


def problem(budget: float = 20_000.0) -> Problem:
    task = Task(parse_type("vec[8] -> label[4]"), four_classes(24, 0), name="signals")
    library = encoders()
    entries = tuple(library.candidates(task.want, task.given, 100))
    generator = torch.Generator().manual_seed(0)
    return Problem(task, library, entries, Clock(budget, Ticks()), generator=generator)


def quick() -> Arm:
    return tune(trials=20, limit=8)


class TestTuningIsASearch(SearchSuite):
    @pytest.fixture(params=[parzen, RandomTuner])
    def make(self, request: pytest.FixtureRequest) -> Callable[[Problem], Search]:
        tuner: Tuners = request.param

        def begin(problem: Problem) -> Search:
            search = tune(trials=400, tuner=tuner).search(problem)
            assert search is not None
            return search

        return begin

    def problem(self, budget: float = 20_000.0) -> Problem:
        return problem(budget)

    def scored(self, problem: Problem, candidate: Candidate) -> Scored:
        """A candidate is taken to be exact where it is right on most of what was held out."""
        scored = HeldOut(problem).scored(candidate)
        return replace(scored, loss=0.0) if sum(scored.right) >= 20 else scored


class TestTuneIsAnArm(ArmSuite):
    @pytest.fixture
    def arm(self) -> Arm:
        return quick()

    @pytest.fixture
    def problem(self) -> Problem:
        return problem()

    def again(self) -> Problem:
        return problem()


def test_the_numbers_of_a_solution_stand_in_its_program():
    made = problem()
    task = replace(made.task, query=four_classes(200, 1))
    solution = solve(
        task, made.library, clock=made.clock, searches=[quick()], generator=made.generator
    )
    assert "hole" not in solution.text
    assert any(head in solution.text for head in ("ridge_of_strength", "softmax_regression"))
    assert solution.query_score is not None
    assert solution.query_score.value > 0.7


def test_two_encoders_mixed_are_found_to_be_better_than_either():
    made = problem()
    best = min(tune(trials=40).run(made), key=lambda one: one.score)
    assert "vectors/mix" in print_term(best.candidate.term)
    alone = tune(trials=40)
    without = [e for e in made.entries if "mix" not in e.name]
    other = replace(problem(), entries=tuple(without))
    assert best.loss < min(one.loss for one in alone.run(other))


MINE = """(lam (lam (heads/argmax@1 (heads/softmax_regression@1 (hole "float") 20 $1 $0))))"""


def test_a_composition_of_ones_own_is_tuned_first() -> None:
    made = problem()
    mine = Tunable(parse_term(MINE), (Choice(FLOAT, Range(0.5, 0.6)),))
    (first, *_) = tune(trials=5, limit=1, compositions=[mine]).run(made)
    text = print_term(first.candidate.term)
    assert text.startswith("(lam (lam (heads/argmax@1 (heads/softmax_regression@1 0.5")


@pytest.mark.parametrize(
    "text",
    [
        '(lam (lam (heads/softmax_regression@1 (hole "float") 20 $1 $0)))',
        '(lam (heads/ridge_of_strength@1 (hole "float") $0))',
    ],
)
def test_a_composition_of_another_type_is_refused(text: str) -> None:
    with pytest.raises(TypeMismatch):
        list(tune(compositions=[Tunable.of(parse_term(text))]).run(problem()))


@pytest.mark.parametrize("make", [parzen, RandomTuner])
def test_numbers_keep_to_their_range_and_type(make: Tuners):
    tunable = Tunable(parse_term(OPEN), (Choice(FLOAT, Range(-1.0, 2.0)), Choice(INT, Range(3, 5))))
    tuner = make([tunable], 7)
    for _ in range(30):
        trial = tuner.ask()
        tuner.tell(trial, 1.0)
        number, count = trial.numbers
        assert -1.0 <= number <= 2.0
        assert round(count) in (3, 4, 5)
        assert f"(pack/g@1 {round(count)} $0)" in print_term(tunable.filled(trial.numbers))


def test_floats_are_written_to_three_digits():
    tunable = Tunable.of(parse_term(OPEN))
    assert print_term(tunable.filled((0.0123456, 17.4))) == (
        "(lam (pack/f@1 0.0123 (pack/g@1 17 $0)))"
    )


def best_of(tuner: Tuner, trials: int) -> float:
    """The least of a bowl over the logarithms of two numbers, with a decoy composition."""
    lowest = math.inf
    for _ in range(trials):
        trial = tuner.ask()
        rate, steps = trial.numbers
        nats = math.log(rate / 0.3) ** 2 + math.log(steps / 40) ** 2 + 5 * trial.which
        tuner.tell(trial, nats)
        lowest = min(lowest, nats)
    return lowest


def test_what_a_tuner_is_told_makes_it_better_than_chance():
    tunables = [Tunable.of(parse_term(OPEN))] * 2
    told = [best_of(parzen(tunables, seed), 30) for seed in range(5)]
    blind = [best_of(RandomTuner(tunables, seed), 30) for seed in range(5)]
    assert sum(told) < sum(blind) / 2


def test_a_trial_without_a_value_is_told_too():
    tuner = parzen([Tunable.of(parse_term(OPEN))], 0)
    tuner.tell(tuner.ask(), math.inf)
    assert tuner.ask().number == 1


def test_the_usual_ranges_are_those_of_rates_and_counts():
    tunable = Tunable.of(parse_term(OPEN))
    assert [choice.range for choice in tunable.choices] == [RATES, COUNTS]


def test_choices_have_to_fit_the_holes():
    with pytest.raises(TypeMismatch, match="holes of the types float, int, and its choices are of"):
        Tunable(parse_term(OPEN), (Choice(FLOAT, RATES),))
    with pytest.raises(TypeMismatch, match="a hole of type text is no continuous choice"):
        Tunable.of(parse_term('(lam (pack/f@1 (hole "text")))'))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Range(2.0, 1.0), "the lower one first"),
        (lambda: Range(0.0, 1.0, logarithmic=True), "above 0 for a logarithmic scale"),
        (lambda: Range(0.0, math.nan), "finite ends"),
        (lambda: tune(trials=0), "one or more of each"),
    ],
)
def test_what_leaves_nothing_to_choose_is_refused(make: Callable[[], object], said: str):
    with pytest.raises(ParseError, match=said):
        make()


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("metaloom_metalearn.search.strategies.tuning.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="metaloom\\[tuning\\]"):
        list(tune().run(problem()))


def test_a_task_without_a_head_that_takes_numbers_has_nothing_to_tune():
    made = problem()
    plain = tuple(e for e in made.entries if not str(e.type).startswith("float"))
    assert tune().applies(made)
    assert not tune().applies(replace(made, entries=plain))


def support_and_query() -> tuple[Support, torch.Tensor]:
    examples = four_classes(24, 0)
    return (
        Support(rows(examples), examples.outputs, 4),
        rows(four_classes(10, 1)),
    )


def test_a_head_sees_each_query_with_its_own_number():
    support, query = support_and_query()
    strength = torch.tensor([0.1, 10.0] * 5)
    logits = ridge_of_strength(strength, support, query)
    for i in range(10):
        torch.testing.assert_close(logits[i], ridge(support, query, float(strength[i]))[i])
    assert ridge_of_strength(strength[:0], support, query[:0]).shape == (0, 4)


def test_a_linear_classifier_descends_as_autograd_says():
    support, query = support_and_query()
    x = support.x
    assert isinstance(x, torch.Tensor)
    layer = torch.nn.Linear(8, 4)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    mean, size = x.mean(0), (x - x.mean(0)).square().sum(1).mean().sqrt()
    for _ in range(7):
        loss = torch.nn.functional.cross_entropy(layer((x - mean) / size), support.y)
        for parameter, slope in zip(
            layer.parameters(), torch.autograd.grad(loss, list(layer.parameters())), strict=True
        ):
            parameter.data -= 0.5 * slope
    rate, steps = torch.full((10,), 0.5), torch.full((10,), 7)
    logits = softmax_regression(rate, steps, support, query)
    torch.testing.assert_close(logits, layer((query - mean) / size))
