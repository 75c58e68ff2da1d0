"""Soft values: exact distributions, and gradients through programs to the networks in them."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from metaloom_heads import PRIMITIVES as HEADS
from metaloom_lists import PRIMITIVES as LISTS
from metaloom_metalearn import (
    Ragged,
    Soft,
    SoftBool,
    SoftInt,
    SoftLabel,
    TermModule,
    compile_term,
    concatenate,
    put,
    take,
)
from metaloom_registry import (
    Digest,
    EvaluationError,
    PrimitiveTable,
    Reference,
    TypeMismatch,
    parse_term,
    parse_type,
)

TABLE = PrimitiveTable((*LISTS, *HEADS))
READER = Reference(None, Digest.of(b"reader"))


def soft(text: str, reader: nn.Module | None = None, type_: str = "int") -> TermModule:
    return compile_term(
        parse_term(text, {**TABLE.short_names, "reader": READER}),
        lambda r: parse_type(type_) if r == READER else TABLE[r].signature,
        lambda r: reader if r == READER and reader is not None else TABLE[r],
        Soft(),
    )


def distribution(low: int, *weights: float) -> SoftInt:
    row = torch.tensor([weights], dtype=torch.float64)
    return SoftInt(row / row.sum(), low)


def as_dictionary(x: SoftInt) -> dict[int, float]:
    return {x.low + i: p for i, p in enumerate(x.probabilities[0].tolist()) if p > 1e-15}


weights = st.lists(st.floats(0.1, 1.0), min_size=1, max_size=5)
INTEGERS: list[tuple[str, Callable[[int, int], int]]] = [
    ("add", operator.add),
    ("subtract", operator.sub),
    ("multiply", operator.mul),
    ("min", min),
    ("max", max),
]
TRUTHS: list[tuple[str, Callable[[int, int], bool]]] = [
    ("equal", operator.eq),
    ("less", operator.lt),
    ("greater", operator.gt),
]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(weights, st.integers(-4, 4), weights, st.integers(-4, 4), st.sampled_from(INTEGERS))
def test_arithmetic_on_distributions_is_the_sum_over_all_pairs(
    a: list[float],
    low: int,
    b: list[float],
    other: int,
    operation: tuple[str, Callable[[int, int], int]],
) -> None:
    name, function = operation
    x, y = distribution(low, *a), distribution(other, *b)
    wanted: dict[int, float] = {}
    for (v, p), (w, q) in itertools.product(as_dictionary(x).items(), as_dictionary(y).items()):
        wanted[function(v, w)] = wanted.get(function(v, w), 0.0) + p * q
    assert as_dictionary(soft(name)(x, y)) == pytest.approx(wanted)


@settings(max_examples=30, derandomize=True, deadline=None)
@given(weights, weights, st.sampled_from(TRUTHS))
def test_comparison_of_distributions_is_the_sum_over_all_pairs(
    a: list[float], b: list[float], operation: tuple[str, Callable[[int, int], bool]]
) -> None:
    name, function = operation
    x, y = distribution(0, *a), distribution(1, *b)
    pairs = itertools.product(as_dictionary(x).items(), as_dictionary(y).items())
    wanted = sum(p * q for (v, p), (w, q) in pairs if function(v, w))
    assert float(soft(name)(x, y).probability[0]) == pytest.approx(wanted)


def test_certain_values_are_distributions_of_one_point() -> None:
    total = soft("(lam (fold add 3 $0))")(
        Ragged(torch.tensor([1, 2, 5, -4]), torch.tensor([3, 0, 1]))
    )
    assert total.mode().tolist() == [11, 3, -1]
    assert torch.equal(total.probabilities.sum(1), torch.ones(3))
    assert torch.equal(total.mean(), torch.tensor([11.0, 3.0, -1.0]))


def test_counting_gives_the_poisson_binomial_distribution() -> None:
    rows = torch.tensor([[0.3, 0.7], [0.9, 0.1], [0.5, 0.5]], dtype=torch.float64)
    count = soft("(lam (count (equal 1) $0))")(Ragged(SoftInt(rows), torch.tensor([3])))
    wanted = [0.0] * 4
    for values in itertools.product((0, 1), repeat=3):
        wanted[sum(values)] += float(torch.stack([rows[i, v] for i, v in enumerate(values)]).prod())
    assert count.probabilities[0].tolist() == pytest.approx(wanted)


def test_a_soft_choice_is_a_mixture() -> None:
    chance = SoftBool(torch.tensor([0.25]))
    mixed = soft("(lam (if $0 1 3))")(chance)
    assert mixed.low == 1
    assert mixed.probabilities.tolist() == [[0.25, 0.0, 0.75]]
    assert soft("(lam (if $0 false true))")(chance).probability.tolist() == [0.75]
    assert soft("(lam (or $0 (not $0)))")(chance).probability.tolist() == [1 - 0.75 * 0.25]
    vector = soft("(lam (lam (if $0 $1 $1)))")(torch.tensor([[2.0, 4.0]]), chance)
    assert vector.tolist() == [[2.0, 4.0]]


def test_a_soft_choice_between_lists_is_refused() -> None:
    with pytest.raises(TypeMismatch, match="between two values of the form Ragged has no soft"):
        soft("(lam (if $0 empty empty))")(SoftBool(torch.tensor([0.5])))


def test_a_range_that_grows_too_wide_is_refused() -> None:
    wide = SoftInt(torch.ones(1, 100) / 100, 0)
    with pytest.raises(EvaluationError, match="range over 9802 values; at most 4096"):
        soft("(lam (multiply $0 $0))")(wide)
    with pytest.raises(EvaluationError, match="too far apart"):
        soft("(lam (add $0 1))")(torch.tensor([0, 10_000]))


def test_rows_of_soft_values_are_picked_replaced_and_joined() -> None:
    one, other = distribution(0, 1, 1), distribution(3, 1)
    both = concatenate([one, other])
    assert (both.low, both.high) == (0, 3)
    assert take(both, torch.tensor([1, 0])).mode().tolist() == [3, 0]
    replaced = put(torch.tensor([7, 8]), torch.tensor([1]), other)
    assert replaced.mode().tolist() == [7, 3]


def sums(generator: torch.Generator, count: int) -> tuple[Ragged, torch.Tensor]:
    """Lists of noisy patterns of the digits 0 to 3, and their sums."""
    patterns = torch.eye(4)
    lengths = torch.randint(2, 5, (count,), generator=generator)
    digits = torch.randint(4, (int(lengths.sum()),), generator=generator)
    items = patterns[digits] + 0.1 * torch.randn(len(digits), 4, generator=generator)
    lists = Ragged(items, lengths)
    totals = torch.zeros(count, dtype=torch.int64).index_add(0, lists.owners(), digits)
    return lists, totals


SUM = "(lam (fold add 0 (map (lam (value (argmax (reader $0)))) $0)))"


def test_the_sum_of_a_list_trains_the_reader_of_its_items() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    reader = nn.Linear(4, 4)
    module = soft(SUM, reader, "vec[4] -> logits[4]")
    lists, totals = sums(generator, 60)
    optimiser = torch.optim.Adam(module.parameters(), 0.05)
    losses = []
    for _ in range(100):
        found = module(lists)
        chance = found.probabilities.gather(1, (totals - found.low)[:, None])[:, 0]
        loss = -chance.clamp(min=1e-9).log().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in reader.parameters())
    assert losses[-1] < 0.3 * losses[0]
    fresh, wanted = sums(generator, 100)
    assert float((module(fresh).mode() == wanted).float().mean()) > 0.9


def test_the_gradient_through_a_fold_is_the_one_finite_differences_give() -> None:
    reader = nn.Linear(4, 4).double()
    module = soft(SUM, reader, "vec[4] -> logits[4]")
    lists, _ = sums(torch.Generator().manual_seed(2), 3)
    lists = Ragged(lists.items.double(), lists.lengths)

    def expected(weight: torch.Tensor) -> torch.Tensor:
        state = {"blocks.0.weight": weight}
        found = torch.func.functional_call(module, state, (lists,))
        means: torch.Tensor = found.mean()
        return means.square().sum()

    assert torch.autograd.gradcheck(expected, (reader.weight.detach().requires_grad_(),))


def test_the_outermost_label_comes_out_as_logits() -> None:
    reader = nn.Linear(4, 3)
    module = soft("(lam (argmax (reader $0)))", reader, "vec[4] -> logits[3]")
    x = torch.randn(2, 4)
    assert torch.equal(module(x), reader(x))


def test_a_soft_label_does_not_join_a_certain_one() -> None:
    with pytest.raises(TypeMismatch, match="do not join with certain ones"):
        concatenate([SoftLabel(torch.zeros(1, 2)), torch.tensor([1])])
