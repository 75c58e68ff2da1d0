"""Which parameters learners change: by pattern, and by the groups that blocks come with."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from metaloom_metalearn import (
    Episodes,
    Learner,
    Plan,
    adam,
    adaptable,
    anil,
    boil,
    fine_tune,
    imaml,
    maml,
    maml_pp,
    matching_names,
    meta_sgd,
    meta_train,
    reptile,
    sgd,
    trainable,
)
from metaloom_metalearn.learners.maml import MAML
from metaloom_metalearn.testing.learner import (
    LearnerSuite,
    MetaLearnerSuite,
    small_network,
    small_support,
)
from metaloom_registry import InvalidTask

GROUPS = {"frozen": ["0.weight", "1.weight"], "slow": ["1.bias"], "fast": ["5.weight"]}


class TestAnilAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> MAML:
        return anil(steps=20, lr=0.7, head="5.*")


class TestAnilIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> MAML:
        return anil(steps=2, lr=0.3, head="5.*")


class TestBoilAdapts(LearnerSuite):
    @pytest.fixture
    def learner(self) -> MAML:
        return boil(steps=30, lr=0.7, head="5.*")


class TestBoilIsMetaTrained(MetaLearnerSuite):
    @pytest.fixture
    def learner(self) -> MAML:
        return boil(steps=2, lr=0.3, head="5.*")


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def grouped() -> nn.Module:
    """Within another module, as a block is within a program."""
    inside = small_network(3)
    inside.parameter_groups = GROUPS  # type: ignore[assignment]
    return nn.Sequential(inside)


def test_anil_changes_the_head_and_boil_the_rest() -> None:
    model, support = small_network(3), small_support()
    assert anil(1, 0.1, "5.*")(model, support, seeded()).changed == ("5.weight", "5.bias")
    assert boil(1, 0.1, "5.*")(model, support, seeded()).changed == (
        "0.weight", "1.weight", "1.bias",
    )  # fmt: skip


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    with pytest.raises(InvalidTask, match=r"begin with 0.weight, 1.weight, 1.bias, and at least"):
        anil(1, 0.1)(small_network(3), small_support(), seeded())


def test_the_groups_of_a_block_bound_what_may_change(grouped: nn.Module) -> None:
    names = [name for name, _ in grouped.named_parameters()]
    assert list(filter(adaptable(grouped), names)) == ["0.5.weight", "0.5.bias"]
    assert list(filter(adaptable(grouped, matching_names("*.bias")), names)) == ["0.5.bias"]
    assert list(filter(trainable(grouped), names)) == ["0.1.bias", "0.5.weight", "0.5.bias"]
    grouped[0].parameter_groups = {"frozen": [n[2:] for n in names]}  # type: ignore[index]
    with pytest.raises(InvalidTask, match=r"0.0.weight \(frozen\)"):
        maml(1, 0.1)(grouped, small_support(), seeded())


@pytest.mark.parametrize(
    "learner",
    [
        maml(2, 0.5), meta_sgd(2, 0.5), maml_pp(2, 0.5), reptile(2, 0.5), imaml(2, 0.5),
        fine_tune(2, sgd(0.5)),
    ],
)  # fmt: skip
def test_every_learner_leaves_frozen_and_slow_parameters_bit_equal(
    learner: Learner, grouped: nn.Module
) -> None:
    adapted = learner(grouped, small_support(), seeded())
    assert adapted.changed == ("0.5.weight", "0.5.bias")
    before, after = grouped.state_dict(), adapted.model.state_dict()
    for name in ("0.0.weight", "0.1.weight", "0.1.bias"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["0.5.weight"], after["0.5.weight"])


def test_training_moves_all_but_the_frozen_parameters(grouped: nn.Module) -> None:
    class Source:
        def episodes(self, count: int, generator: torch.Generator) -> Episodes:
            x = torch.randn(count, 6, 1, 6, 6, generator=generator, dtype=torch.float64)
            y = (torch.arange(6) % 3).repeat(count, 1)
            return Episodes(x, y, x, y, 3)

    before = {name: value.clone() for name, value in grouped.named_parameters()}
    plan = Plan(steps=2, batch=2, optimiser=adam(0.1, weight_decay=0.1))
    trained = meta_train(grouped, Source(), maml(1, 0.1), seeded(), plan)
    kept = {n for n, value in trained.model.named_parameters() if torch.equal(value, before[n])}
    assert kept == {"0.0.weight", "0.1.weight"}


def test_slow_parameters_have_the_implicit_gradient_that_finite_differences_give() -> None:
    """They are trained, though no task adapts them: what is adapted follows them implicitly."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2)).double()
    model.parameter_groups = {"slow": ["0.bias", "0.weight"]}  # type: ignore[assignment]
    x, qx = (torch.randn(2, 6, 3, generator=seeded(), dtype=torch.float64) for _ in range(2))
    y = (torch.arange(6) % 2).repeat(2, 1)
    episodes = Episodes(x, y, qx + 1, y, 2)
    learner = imaml(steps=150, lr=0.3, strength=1.0, solver_steps=12)
    found = learner.meta_gradient(model, episodes, seeded()).gradients["0.weight"]
    for row in range(3):
        losses = []
        for step in (1e-5, -1e-5):
            moved = deepcopy(model)
            with torch.no_grad():
                moved.get_parameter("0.weight")[row, 1] += step
            losses.append(learner.meta_gradient(moved, episodes, seeded()).loss)
        assert float(found[row, 1]) == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5)
