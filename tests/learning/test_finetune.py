"""Fine-tuning of a block and of a fresh head, against closed forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from metaloom_metalearn import (
    Clock,
    Diverged,
    Examples,
    Learner,
    adam,
    fine_tune,
    fresh_head,
    maml,
    natural_loss,
    sgd,
)
from metaloom_metalearn.learners.baseline import FreshHead
from metaloom_metalearn.learners.finetune import FineTune
from metaloom_metalearn.testing.learner import LearnerSuite, small_network
from metaloom_registry import InvalidTask, ParseError


class TestFineTuning(LearnerSuite):
    @pytest.fixture
    def learner(self) -> FineTune:
        return fine_tune(steps=20, optimiser=adam(0.05))


class TestFineTuningInBatches(LearnerSuite):
    @pytest.fixture
    def learner(self) -> FineTune:
        return fine_tune(steps=40, optimiser=sgd(0.2), batch=6)


class TestAFreshHead(LearnerSuite):
    @pytest.fixture
    def learner(self) -> FreshHead:
        return fresh_head(3, steps=30)

    @pytest.fixture
    def model(self) -> nn.Module:
        return small_network(5)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_step_of_gradient_descent_is_worked_out_by_hand() -> None:
    """y = w x from w = 1 on (1, 3): the gradient is -4, so a rate of 0.1 gives 1.4."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    support = Examples((torch.ones(1, 1),), (3.0,))
    adapted = fine_tune(steps=1, optimiser=sgd(0.1))(model, support, seeded(0))
    assert adapted.losses == (4.0,)
    assert adapted.model.weight.item() == pytest.approx(1.4)  # type: ignore[operator]


def test_a_fresh_head_finds_the_least_squares_solution() -> None:
    features = torch.randn(20, 3, generator=seeded(0), dtype=torch.float64)
    wanted = features @ torch.tensor([1.0, -2.0, 0.5]).double() + 0.7
    learner = fresh_head(1, steps=400, optimiser=sgd(0.2))
    adapted = learner(nn.Identity(), Examples((features,), wanted), seeded(0))
    torch.testing.assert_close(adapted.predict(features)[:, 0], wanted, rtol=1e-4, atol=1e-4)
    assert adapted.changed == ("head.weight", "head.bias")


def test_only_the_chosen_parameters_change() -> None:
    model = small_network(3)
    images = torch.randn(6, 1, 6, 6, generator=seeded(1), dtype=torch.float64)
    support = Examples((images,), torch.arange(6) % 3)
    learner = fine_tune(steps=2, optimiser=sgd(0.1), chosen=lambda name: name == "5.bias")
    adapted = learner(model, support, seeded(0))
    moved = {
        name
        for (name, old), new in zip(
            model.named_parameters(), adapted.model.parameters(), strict=True
        )
        if not torch.equal(old, new)
    }
    assert moved == {"5.bias"}
    assert all(parameter.requires_grad for parameter in adapted.model.parameters())


def test_nothing_to_change_is_refused() -> None:
    with pytest.raises(InvalidTask, match="no parameter to change"):
        fine_tune(steps=1)(nn.Flatten(), Examples((torch.ones(1, 1),), (3.0,)), seeded(0))


def test_it_stops_at_the_deadline_with_what_it_has() -> None:
    times = iter(range(100))
    clock = Clock(budget=4, now=lambda: float(next(times)))
    model = nn.Linear(1, 1)
    support = Examples((torch.ones(1, 1),), (3.0,))
    adapted = fine_tune(steps=50, clock=clock)(model, support, seeded(0))
    assert len(adapted.losses) == 3


def test_a_rate_that_is_too_high_is_named() -> None:
    support = Examples((torch.full((1, 1), 1e3),), (3.0,))
    with pytest.raises(Diverged, match="lower the learning rate"):
        fine_tune(steps=100, optimiser=sgd(10.0))(nn.Linear(1, 1), support, seeded(0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: fine_tune(steps=-1),
        lambda: fresh_head(2, steps=-1),
        lambda: maml(steps=-1, lr=0.1),
        lambda: maml(steps=1, lr=-0.1),
        lambda: maml(steps=1, lr=math.nan),
        lambda: fine_tune(lr=-0.1),
    ],
)
def test_steps_and_rates_that_are_none_are_refused(make: Callable[[], Learner]) -> None:
    with pytest.raises(ParseError, match=r"is not a (number of steps|learning rate)"):
        make()


def test_a_rate_stands_for_adam_and_not_beside_an_optimiser() -> None:
    model, support = nn.Linear(1, 1), Examples((torch.ones(1, 1),), (3.0,))
    one = fine_tune(steps=2, lr=0.3)(model, support, seeded(0))
    other = fine_tune(steps=2, optimiser=adam(0.3))(model, support, seeded(0))
    assert one.losses == other.losses
    with pytest.raises(ParseError, match=r"both an optimiser and lr=0.3"):
        fine_tune(optimiser=adam(0.3), lr=0.3)


@pytest.mark.parametrize(
    ("outputs", "width"),
    [(torch.tensor([0, 2, 1]), 3), (torch.rand(3), 1), (torch.rand(3, 2), 2)],
)
def test_a_fresh_head_has_as_many_outputs_as_the_examples_ask_for(
    outputs: torch.Tensor, width: int
) -> None:
    support = Examples((torch.rand(3, 4, generator=seeded(0)),), outputs)
    adapted = fresh_head(steps=1)(nn.Identity(), support, seeded(0))
    assert adapted.predict(*support.inputs).shape == (3, width)


def test_a_fresh_head_goes_on_vectors_only() -> None:
    with pytest.raises(InvalidTask, match=r"not on \[2, 1, 6, 6\]"):
        fresh_head(2)(nn.Identity(), Examples((torch.ones(2, 1, 6, 6),), (0, 1)), seeded(0))


def test_labels_call_for_cross_entropy_and_numbers_for_squared_error() -> None:
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    assert float(natural_loss(logits, torch.tensor([0, 1]))) == pytest.approx(0.6931, abs=1e-4)
    assert float(natural_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 0.0]))) == 5.0
    assert float(natural_loss(torch.tensor([[1.0], [3.0]]), torch.tensor([1, 1])[:, None])) == 2.0
